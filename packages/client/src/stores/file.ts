import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import { oneByOne } from '../oauth/shared-work.js';
import { withFileLock } from './file-lock.js';
import { requirePrivate, requirePrivateFolder, storeError } from './private-folder.js';
import type { TokenStore } from './token-store.js';

export interface FileTokenStoreOptions {
  /** Made with mode 0700 where it is not there. For nothing else, and on a disk of this machine. */
  readonly folder: string;
}

/** Larger than any tokens. */
const MAX_BYTES = 256 * 1024;

/** Where the system has no such flag, there are no links of this kind to be afraid of. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * Keeps each login in a file of its own, readable by this user alone (0600), in one folder (0700). Writing is atomic, and
 * processes that share the folder take turns with a login. What others could read, or that belongs to them, is refused.
 *
 * @throws {ClientError} `INVALID_OPTION`; its methods, `STORE_UNAVAILABLE`
 */
export function fileTokenStore(options: FileTokenStoreOptions): Required<TokenStore> {
  checkOptions('fileTokenStore()', options, { folder: true });
  const { folder } = options;
  if (typeof folder !== 'string' || folder === '') {
    throw new ClientError('INVALID_OPTION', 'fileTokenStore() needs a folder.');
  }
  /** Keys have characters that file names have not. */
  const pathOf = (key: string, ending: string) =>
    join(folder, `${createHash('sha256').update(key).digest('hex')}${ending}`);
  const inTurn = oneByOne();

  return {
    async get(key) {
      await requirePrivateFolder(folder);
      return readPrivate(pathOf(key, '.json'));
    },
    async set(key, value) {
      await requirePrivateFolder(folder);
      await writePrivate(folder, pathOf(key, '.json'), value);
    },
    async delete(key) {
      await requirePrivateFolder(folder);
      const path = pathOf(key, '.json');
      try {
        await rm(path, { force: true });
      } catch (error) {
        throw storeError(path, error);
      }
    },
    async withLock(key, work) {
      await requirePrivateFolder(folder);
      const path = pathOf(key, '.lock');
      // Within the process without the file system's help.
      return inTurn(key, () => withFileLock(path, work));
    },
  };
}

async function readPrivate(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | NO_FOLLOW);
    try {
      const found = await file.stat();
      if (!found.isFile() || found.size > MAX_BYTES) {
        throw new ClientError('STORE_UNAVAILABLE', `${path} is no token file.`);
      }
      requirePrivate(path, found, 'delete');
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw storeError(path, error);
  }
}

/** A reader sees the old value or the new one, also after the power has failed. */
async function writePrivate(folder: string, path: string, value: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW,
      0o600,
    );
    try {
      await file.writeFile(value);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw storeError(path, error);
  }
}

/** Not every system lets a folder be opened. There the file is what can be made safe. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined);
  try {
    await handle?.sync().catch(() => undefined);
  } finally {
    await handle?.close();
  }
}

import { lstat, mkdir } from 'node:fs/promises';

import { ClientError } from '../errors.js';

/** Where there are owners and modes to look at. */
const hasModes = process.getuid !== undefined;

/**
 * Makes sure that a folder is there and belongs to nobody else.
 *
 * @throws {ClientError} `STORE_UNAVAILABLE` when others can get at it
 */
export async function requirePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const found = await lstat(folder);
    if (!found.isDirectory()) throw refused(`${folder} is not a folder. A link is not followed`);
    requirePrivate(folder, found, 'chmod 700');
  } catch (error) {
    throw storeError(folder, error);
  }
}

/**
 * @throws {ClientError} `STORE_UNAVAILABLE` when it is not ours, or others can read or write it
 */
export function requirePrivate(
  path: string,
  { uid, mode }: { readonly uid: number; readonly mode: number },
  mend: string,
): void {
  if (!hasModes) return;
  if (uid !== process.getuid?.()) throw refused(`${path} belongs to another user`);
  if ((mode & 0o077) !== 0) throw refused(`Others can get at ${path}: ${mend} it, and log in again`);
}

function refused(what: string): ClientError {
  return new ClientError('STORE_UNAVAILABLE', `${what}.`);
}

/** Says which file failed and how; the error of Node would do as well, but for its wording. */
export function storeError(path: string, error: unknown): ClientError {
  if (error instanceof ClientError) return error;
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return new ClientError('STORE_UNAVAILABLE', `The token store cannot use ${path} (${code}).`);
}

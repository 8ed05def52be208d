import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { text } from 'node:stream/consumers';

import { ClientError } from '../errors.js';
import { oneByOne } from '../oauth/shared-work.js';
import { withFileLock } from './file-lock.js';
import { requirePrivateFolder } from './private-folder.js';
import type { TokenStore } from './token-store.js';

export interface KeychainTokenStoreOptions {
  /** What the entries are filed under, such as the name of your program. */
  readonly service: string;
  /** Runs `secret-tool`. Default: starts it without a shell. */
  readonly run?: RunSecretTool;
}

/**
 * @param input what the program reads
 * @returns what it printed, and how it ended
 */
export type RunSecretTool = (
  args: readonly string[],
  input: string,
) => Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;

/** Milliseconds that a person may take to unlock the keychain. */
const TIMEOUT = 120_000;

/** `secret-tool` cuts off what is longer, and reports success. */
const MAX_BYTES = 8_192;

/**
 * Keeps logins in the keychain of a Linux desktop (Secret Service: GNOME Keyring, KWallet), by `secret-tool` of libsecret.
 * Secrets go through pipes, and are never arguments. A login of more than 8 KiB does not fit. Locks are files in
 * `XDG_RUNTIME_DIR`.
 *
 * @throws {ClientError} `INVALID_OPTION`; its methods, `STORE_UNAVAILABLE`, also where there is no keychain
 */
export function keychainTokenStore({ service, run = runSecretTool }: KeychainTokenStoreOptions): TokenStore {
  if (typeof service !== 'string' || !/^[\w\-.@]{1,100}$/.test(service)) {
    throw new ClientError('INVALID_OPTION', 'keychainTokenStore() needs a service, a short name.');
  }
  const accountOf = (key: string) => createHash('sha256').update(key).digest('hex');
  const attributesOf = (key: string) => ['service', service, 'account', accountOf(key)];
  const inTurn = oneByOne();

  /** Whether it went well. It ends with 1 as well when there is nothing under these attributes, but then is silent. */
  const call = async (args: readonly string[], input = '') => {
    let result: Awaited<ReturnType<RunSecretTool>>;
    try {
      result = await run(args, input);
    } catch {
      throw unavailable(
        'secret-tool cannot be run. It comes with libsecret, and needs the session of a desktop.',
      );
    }
    const { code, stdout, stderr } = result;
    if (stderr !== '' || (code !== 0 && code !== 1)) {
      throw unavailable('The keychain cannot be used: secret-tool failed. Is this the session of a desktop?');
    }
    return { done: code === 0, stdout };
  };

  return {
    async get(key) {
      const { done, stdout } = await call(['lookup', ...attributesOf(key)]);
      return done ? stdout : undefined;
    },
    async set(key, value) {
      if (Buffer.byteLength(value) > MAX_BYTES) {
        throw unavailable(`The tokens are longer than the ${String(MAX_BYTES)} bytes of a keychain entry.`);
      }
      const { done } = await call(['store', `--label=${service}`, ...attributesOf(key)], value);
      if (!done) throw unavailable('The keychain did not take the login.');
    },
    async delete(key) {
      await call(['clear', ...attributesOf(key)]);
    },
    async withLock(key, work) {
      const user = String(process.getuid?.() ?? '');
      const { XDG_RUNTIME_DIR: runtime = '' } = process.env;
      const folder = join(isAbsolute(runtime) ? runtime : tmpdir(), `a2a-auth-${user}`);
      await requirePrivateFolder(folder);
      const path = join(folder, `${accountOf(`${service} ${key}`)}.lock`);
      return inTurn(key, () => withFileLock(path, work));
    },
  };
}

const PROGRAM = 'secret-tool';

const runSecretTool: RunSecretTool = async (args, input) => {
  const program = spawn(PROGRAM, args, { stdio: 'pipe', timeout: TIMEOUT });
  const ended = new Promise<number | null>((resolve, reject) => {
    program.on('error', reject);
    program.on('close', resolve);
  });
  // A program that does not read is seen by how it ends.
  program.stdin.on('error', () => undefined);
  program.stdin.end(input);
  const [code, stdout, stderr] = await Promise.all([ended, text(program.stdout), text(program.stderr)]);
  return { code, stdout, stderr };
};

function unavailable(message: string): ClientError {
  return new ClientError('STORE_UNAVAILABLE', `${message} fileTokenStore() works everywhere.`);
}

import { EncryptJWT, jwtDecrypt } from 'jose';
import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

import { ClientError } from '../errors.js';
import { notice } from '../notice.js';
import { checkOptions } from '../options.js';
import { unlessAborted } from '../oauth/shared-work.js';
import { fileTokenStore } from './file.js';
import { systemKeychain } from './system-keychain.js';
import type { TokenStore } from './token-store.js';

export interface KeychainTokenStoreOptions {
  /** What the key is filed under in the keychain, such as the name of your program. */
  readonly service: string;
  /** Default: the operating system's, by the package `@napi-rs/keyring`. */
  readonly keychain?: Keychain;
}

/** Keeps short secrets of printable ASCII. */
export interface Keychain {
  /** @returns undefined only where there is none: a keychain that cannot tell has to throw */
  get(service: string, account: string): Promise<string | undefined>;
  set(service: string, account: string, secret: string): Promise<void>;
}

/** Beside other secrets that a program may have under its name. */
const ACCOUNT = 'a2a-auth';

/** Milliseconds that a person may take to unlock the keychain. */
const TIMEOUT = 120_000;

const KEY_BYTES = 32;

/** A key of 256 bits is used as it is (RFC 7518 §4.5), with AES-GCM (§5.3). */
const algorithms = { alg: 'dir', enc: 'A256GCM' } as const;

/**
 * Keeps logins in files, as {@link fileTokenStore} does, encrypted with a key that is in the keychain of the operating
 * system: Keychain on macOS, Credential Manager on Windows, and the Secret Service elsewhere (GNOME Keyring, KWallet). The
 * files are in the folder `a2a-auth/logins` of the user's application data. A login that the key does not open, such as
 * after the key was lost, counts as none. Where there is no keychain, or it stays locked for two minutes, nothing is kept.
 *
 * @throws {ClientError} `INVALID_OPTION`; its methods, `STORE_UNAVAILABLE`, also where `@napi-rs/keyring` is not installed
 */
export function keychainTokenStore(options: KeychainTokenStoreOptions): TokenStore {
  checkOptions('keychainTokenStore()', options, { service: true, keychain: true });
  const { service, keychain = systemKeychain } = options;
  if (typeof service !== 'string' || !/^[\w\-.@]{1,100}$/.test(service)) {
    throw new ClientError('INVALID_OPTION', 'keychainTokenStore() needs a service, a short name.');
  }
  const files = fileTokenStore({ folder: join(applicationData(), 'a2a-auth', 'logins') });
  const nameOf = (key: string) => JSON.stringify([service, key]);

  const find = async () => readKey(await keychain.get(service, ACCOUNT));
  const create = async () => {
    const key = randomBytes(KEY_BYTES);
    await keychain.set(service, ACCOUNT, key.toString('base64url'));
    return key;
  };
  /** Of several processes that find none, one makes it: a second one would make the logins under the first unreadable. */
  const findOrCreate = async () =>
    (await find()) ??
    (await files.withLock(JSON.stringify([service]), async () => (await find()) ?? (await create())));

  let known: Promise<Uint8Array> | undefined;
  const encryptionKey = async (): Promise<Uint8Array> => {
    // A call that waits for a person cannot be stopped, and occupies a thread. Who asks again waits for the same call.
    known ??= findOrCreate().catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    try {
      return await unlessAborted(known, AbortSignal.timeout(TIMEOUT));
    } catch (error) {
      if (error instanceof ClientError) throw error;
      // What a keychain throws may show what it was given.
      throw new ClientError(
        'STORE_UNAVAILABLE',
        'The keychain is locked, or there is none, as outside of a desktop session. fileTokenStore() works everywhere.',
      );
    }
  };

  return {
    async get(key) {
      const secret = await encryptionKey();
      const text = await files.get(nameOf(key));
      if (text === undefined) return undefined;
      const login = await decrypt(text, secret, nameOf(key));
      if (login !== undefined) return login;
      // Another process may have found that the key was lost, and made a new one.
      known = undefined;
      const current = await decrypt(text, await encryptionKey(), nameOf(key));
      if (current === undefined) {
        notice(
          'UNREADABLE_SESSION',
          'The key in the keychain does not open the login that is kept. It is not used.',
        );
      }
      return current;
    },
    async set(key, value) {
      await files.set(nameOf(key), await encrypt(value, await encryptionKey(), nameOf(key)));
    },
    delete: (key) => files.delete(nameOf(key)),
    withLock: (key, work) => files.withLock(nameOf(key), work),
  };
}

/** What is no key counts as a lost one. */
function readKey(text: string | undefined): Uint8Array | undefined {
  const key = Buffer.from(text ?? '', 'base64url');
  return key.length === KEY_BYTES ? key : undefined;
}

/** Names whose login it is: a file in the place of another opens nothing. */
function encrypt(login: string, secret: Uint8Array, name: string): Promise<string> {
  return new EncryptJWT({ login }).setProtectedHeader(algorithms).setSubject(name).encrypt(secret);
}

async function decrypt(text: string, secret: Uint8Array, name: string): Promise<string | undefined> {
  try {
    const { payload } = await jwtDecrypt<{ login: string }>(text, secret, {
      keyManagementAlgorithms: [algorithms.alg],
      contentEncryptionAlgorithms: [algorithms.enc],
      subject: name,
    });
    return payload.login;
  } catch {
    return undefined;
  }
}

/** Where programs of this user keep what stays on this machine, as each system has it. */
function applicationData(): string {
  const { LOCALAPPDATA = '', XDG_DATA_HOME = '' } = process.env;
  switch (process.platform) {
    case 'win32':
      return isAbsolute(LOCALAPPDATA) ? LOCALAPPDATA : join(homedir(), 'AppData', 'Local');
    case 'darwin':
      return join(homedir(), 'Library', 'Application Support');
    default:
      // A relative path is to be ignored (XDG Base Directory Specification).
      return isAbsolute(XDG_DATA_HOME) ? XDG_DATA_HOME : join(homedir(), '.local', 'share');
  }
}

import { CLIENT_NOTICE_CHANNEL, keychainTokenStore, type Keychain } from '@a2a-auth/client';
import { EncryptJWT, UnsecuredJWT } from 'jose';
import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFile, readdir, rename, rm, mkdtemp, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  // Wherever a system has the data of applications.
  for (const name of ['HOME', 'USERPROFILE', 'LOCALAPPDATA', 'XDG_DATA_HOME']) vi.stubEnv(name, home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  vi.doUnmock('@napi-rs/keyring');
  await rm(home, { recursive: true });
});

const unavailable = { name: 'ClientError', code: 'STORE_UNAVAILABLE' };
const service = 'my-agent';

function fakeKeychain() {
  const entries = new Map<string, string>();
  const idOf = (...names: readonly string[]) => names.join(' ');
  const keychain = {
    get: vi.fn<Keychain['get']>(async (...names) => entries.get(idOf(...names))),
    set: vi.fn<Keychain['set']>(async (name, account, secret) => {
      entries.set(idOf(name, account), secret);
    }),
  };
  return { keychain, entries };
}

/** All files that there are, with their paths. */
async function files(): Promise<string[]> {
  const found = await readdir(home, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function onlyFile(): Promise<string> {
  const found = await files();
  expect(found).toHaveLength(1);
  return found[0] ?? '';
}

/** The secret that a keychain has. */
function onlySecret(entries: ReadonlyMap<string, string>): Buffer {
  expect(entries.size).toBe(1);
  return Buffer.from([...entries.values()][0] ?? '', 'base64url');
}

it('keeps, replaces and deletes', async () => {
  const { keychain } = fakeKeychain();
  const store = keychainTokenStore({ service, keychain });
  expect(await store.get('key')).toBeUndefined();
  await store.set('key', 'one');
  await store.set('key', 'two: é "quoted" \\ and\nlines');
  expect(await store.get('key')).toBe('two: é "quoted" \\ and\nlines');
  expect(await keychainTokenStore({ service, keychain }).get('key')).toBe('two: é "quoted" \\ and\nlines');
  expect(await keychainTokenStore({ service: 'other-agent', keychain }).get('key')).toBeUndefined();
  await store.delete('key');
  await store.delete('key');
  expect(await files()).toEqual([]);
});

it('has one short secret in the keychain, however many and long the logins are', async () => {
  const { keychain, entries } = fakeKeychain();
  const store = keychainTokenStore({ service, keychain });
  await store.set('one', 'x'.repeat(100_000));
  await store.set('two', 'x');
  expect(await store.get('one')).toHaveLength(100_000);
  expect([...entries.values()]).toEqual([expect.stringMatching(/^[\w-]{43}$/)]);
});

it('shows neither a login nor what it is for in its file', async () => {
  const { keychain } = fakeKeychain();
  await keychainTokenStore({ service, keychain }).set('the key', 'the secret');
  const text = await readFile(await onlyFile(), 'latin1');
  const parts = text.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
  for (const shown of [text, ...parts]) expect(shown).not.toMatch(/the key|the secret|my-agent/);
});

it('asks the keychain once, and not again when it is locked later', async () => {
  const { keychain } = fakeKeychain();
  const store = keychainTokenStore({ service, keychain });
  await Promise.all([store.set('key', 'value'), store.get('key'), store.get('other')]);
  keychain.get.mockRejectedValue(new Error('locked'));
  expect(await store.get('key')).toBe('value');
  expect(keychain.set).toHaveBeenCalledOnce();
});

it('makes one key for all who start at the same time', async () => {
  const { keychain } = fakeKeychain();
  let waiting = 0;
  let letGo: () => void = () => undefined;
  const allHaveAsked = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const find = keychain.get.getMockImplementation() as Keychain['get'];
  keychain.get.mockImplementation(async (...names) => {
    const found = await find(...names);
    if (++waiting === 5) letGo();
    await allHaveAsked;
    return found;
  });
  const stores = Array.from({ length: 5 }, () => keychainTokenStore({ service, keychain }));
  await Promise.all(stores.map((store, index) => store.set(`key ${index}`, `value ${index}`)));
  const later = keychainTokenStore({ service, keychain });
  for (const index of stores.keys()) expect(await later.get(`key ${index}`)).toBe(`value ${index}`);
  expect(keychain.set).toHaveBeenCalledOnce();
});

describe('a login that the key does not open counts as none:', () => {
  const seen: unknown[] = [];
  beforeEach(() => {
    seen.length = 0;
    const listener = (message: unknown) => seen.push(message);
    subscribe(CLIENT_NOTICE_CHANNEL, listener);
    onTestFinished(() => {
      unsubscribe(CLIENT_NOTICE_CHANNEL, listener);
    });
  });

  it.each<[string, (entries: Map<string, string>) => void]>([
    [
      'the key was lost',
      (entries) => {
        entries.clear();
      },
    ],
    [
      'the key was replaced',
      (entries) => {
        replaceAll(entries, randomBytes(32).toString('base64url'));
      },
    ],
    [
      'the key is damaged',
      (entries) => {
        replaceAll(entries, 'no key');
      },
    ],
    [
      'the key is too short',
      (entries) => {
        replaceAll(entries, randomBytes(16).toString('base64url'));
      },
    ],
  ])('%s', async (_, damage) => {
    const { keychain, entries } = fakeKeychain();
    await keychainTokenStore({ service, keychain }).set('key', 'old');
    damage(entries);
    const store = keychainTokenStore({ service, keychain });
    expect(await store.get('key')).toBeUndefined();
    expect(seen).toMatchObject([{ code: 'UNREADABLE_SESSION' }]);
    await store.set('key', 'new');
    expect(await keychainTokenStore({ service, keychain }).get('key')).toBe('new');
  });

  it.each([
    ['header', 0],
    ['initialization vector', 2],
    ['ciphertext', 3],
    ['tag', 4],
  ])('the %s of its file was changed', async (_, index) => {
    const { keychain } = fakeKeychain();
    const store = keychainTokenStore({ service, keychain });
    await store.set('key', 'value');
    const path = await onlyFile();
    const parts = (await readFile(path, 'utf8')).split('.');
    parts[index] = (parts[index] ?? '').replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
    await writeFile(path, parts.join('.'));
    expect(await store.get('key')).toBeUndefined();
  });

  it('its file is that of another login', async () => {
    const { keychain } = fakeKeychain();
    const store = keychainTokenStore({ service, keychain });
    await store.set('other', 'of another');
    const other = await onlyFile();
    await store.set('key', 'value');
    const [path = ''] = (await files()).filter((file) => file !== other);
    await rename(other, path);
    expect(await store.get('key')).toBeUndefined();
  });

  it('its file is that of another service with the same key', async () => {
    const { keychain, entries } = fakeKeychain();
    keychain.get.mockImplementation(async () => [...entries.values()][0]);
    await keychainTokenStore({ service: 'other-agent', keychain }).set('key', 'of another');
    const other = await onlyFile();
    const store = keychainTokenStore({ service, keychain });
    await store.set('key', 'value');
    const [path = ''] = (await files()).filter((file) => file !== other);
    await rename(other, path);
    expect(await store.get('key')).toBeUndefined();
  });

  const login = { login: 'forged' };
  const name = JSON.stringify([service, 'key']);
  it.each<[string, (secret: Buffer) => string | Promise<string>]>([
    ['plain text', () => JSON.stringify(login)],
    ['nothing', () => ''],
    ['a token that nobody signed', () => new UnsecuredJWT(login).setSubject(name).encode()],
    [
      'encrypted with a key of its own',
      () =>
        new EncryptJWT(login)
          .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
          .setSubject(name)
          .encrypt(randomBytes(32)),
    ],
    [
      'encrypted in another way',
      (secret) =>
        new EncryptJWT(login)
          .setProtectedHeader({ alg: 'dir', enc: 'A128CBC-HS256' })
          .setSubject(name)
          .encrypt(secret),
    ],
    [
      'nobody’s',
      (secret) => new EncryptJWT(login).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(secret),
    ],
  ])('its file is %s', async (_, forge) => {
    const { keychain, entries } = fakeKeychain();
    const store = keychainTokenStore({ service, keychain });
    await store.set('key', 'value');
    await writeFile(await onlyFile(), await forge(onlySecret(entries)));
    expect(await store.get('key')).toBeUndefined();
  });
});

function replaceAll(entries: Map<string, string>, value: string): void {
  for (const id of entries.keys()) entries.set(id, value);
}

it('opens what another process keeps under a new key', async () => {
  const { keychain, entries } = fakeKeychain();
  const store = keychainTokenStore({ service, keychain });
  await store.set('key', 'old');
  entries.clear();
  await keychainTokenStore({ service, keychain }).set('key', 'new');
  expect(await store.get('key')).toBe('new');
});

describe('a keychain that cannot be used', () => {
  const secret = 'S3CRET';

  it.each<[string, () => Promise<never>]>([
    ['is locked', () => Promise.reject(new Error(`unlock prompt was dismissed ${secret}`))],
    [
      'throws at once',
      () => {
        throw new TypeError(secret);
      },
    ],
  ])('is told when it %s, and nothing is kept', async (_, fail) => {
    const { keychain } = fakeKeychain();
    keychain.get.mockImplementation(fail);
    const store = keychainTokenStore({ service, keychain });
    for (const work of [() => store.get('key'), () => store.set('key', secret)]) {
      const error: unknown = await work().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject(unavailable);
      expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(secret);
    }
    expect(await files()).toEqual([]);
    expect(keychain.set).not.toHaveBeenCalled();
  });

  it('is told when it takes nothing, and nothing is kept', async () => {
    const { keychain } = fakeKeychain();
    keychain.set.mockRejectedValue(new Error('read only'));
    const store = keychainTokenStore({ service, keychain });
    // Before a person logs in for nothing.
    await expect(store.get('key')).rejects.toMatchObject(unavailable);
    await expect(store.set('key', 'value')).rejects.toMatchObject(unavailable);
    expect(await files()).toEqual([]);
  });

  it('costs no login', async () => {
    const { keychain, entries } = fakeKeychain();
    await keychainTokenStore({ service, keychain }).set('key', 'value');
    const before = [...entries];
    keychain.get.mockRejectedValueOnce(new Error('locked'));
    const store = keychainTokenStore({ service, keychain });
    await expect(store.get('key')).rejects.toMatchObject(unavailable);
    expect(await store.get('key')).toBe('value');
    expect([...entries]).toEqual(before);
  });

  it('lets a login be deleted', async () => {
    const { keychain } = fakeKeychain();
    await keychainTokenStore({ service, keychain }).set('key', 'value');
    keychain.get.mockRejectedValue(new Error('locked'));
    await keychainTokenStore({ service, keychain }).delete('key');
    expect(await files()).toEqual([]);
  });

  it('is not waited for without end, and not asked twice at a time', async () => {
    const { keychain } = fakeKeychain();
    let answer: (secret: undefined) => void = () => undefined;
    keychain.get.mockReturnValueOnce(
      new Promise<undefined>((resolve) => {
        answer = resolve;
      }),
    );
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort());
    const store = keychainTokenStore({ service, keychain });
    await expect(store.get('key')).rejects.toMatchObject(unavailable);
    await expect(store.set('key', 'value')).rejects.toMatchObject(unavailable);
    expect(timeout).toHaveBeenCalledWith(120_000);
    expect(keychain.get).toHaveBeenCalledOnce();

    timeout.mockRestore();
    const set = store.set('key', 'value');
    answer(undefined);
    await set;
    expect(await store.get('key')).toBe('value');
  });
});

describe('the keychain of the system', () => {
  it('is asked for the Secret Service on Linux, and for nothing that forgets', async () => {
    const entries = new Map<string, Uint8Array>();
    const opened: unknown[] = [];
    vi.doMock('@napi-rs/keyring', () => ({
      AsyncEntry: class {
        constructor(...args: unknown[]) {
          opened.push(args);
        }
        getSecret = async () => {
          const secret = entries.get('only');
          return secret === undefined ? null : [...secret];
        };
        setSecret = async (secret: Uint8Array) => {
          entries.set('only', secret);
        };
      },
    }));
    await keychainTokenStore({ service }).set('key', 'value');
    expect(await keychainTokenStore({ service }).get('key')).toBe('value');
    // Not the bytes themselves: KWallet takes text alone.
    expect(Buffer.from(entries.get('only') ?? []).toString()).toMatch(/^[\w-]{43}$/);
    expect(new Set(opened.map((args) => JSON.stringify(args)))).toEqual(
      new Set([JSON.stringify([service, 'a2a-auth', { linux: { store: 'secret-service' } }])]),
    );
  });

  it('needs a package, and says which', async () => {
    vi.doMock('@napi-rs/keyring', () => {
      throw new Error('Cannot find package');
    });
    await expect(keychainTokenStore({ service }).get('key')).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining('npm install @napi-rs/keyring') as string,
    });
  });
});

describe('the folder', () => {
  const onPlatform = async (platform: NodeJS.Platform): Promise<string> => {
    const before = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;
    Object.defineProperty(process, 'platform', { ...before, value: platform });
    try {
      await keychainTokenStore({ service, keychain: fakeKeychain().keychain }).set('key', 'value');
    } finally {
      Object.defineProperty(process, 'platform', before);
    }
    return onlyFile();
  };

  it.each<[NodeJS.Platform, readonly string[]]>([
    ['linux', ['share']],
    ['win32', ['Local']],
    ['darwin', ['Library', 'Application Support']],
  ])('is among the application data of %s', async (platform, parts) => {
    vi.stubEnv('XDG_DATA_HOME', join(home, 'share'));
    vi.stubEnv('LOCALAPPDATA', join(home, 'Local'));
    expect(await onPlatform(platform)).toContain(join(homedir(), ...parts, 'a2a-auth', 'logins'));
  });

  it.each<[NodeJS.Platform, readonly string[]]>([
    ['linux', ['.local', 'share']],
    ['win32', ['AppData', 'Local']],
  ])('depends on nothing relative on %s', async (platform, parts) => {
    vi.stubEnv('XDG_DATA_HOME', 'share');
    vi.stubEnv('LOCALAPPDATA', 'Local');
    expect(await onPlatform(platform)).toContain(join(homedir(), ...parts, 'a2a-auth', 'logins'));
  });
});

it('locks between processes, each login by itself', async () => {
  const { keychain } = fakeKeychain();
  const store = keychainTokenStore({ service, keychain });
  const locks = await store.withLock?.('key', async () => {
    // The first login makes the key, while the lock of the login is held.
    await store.set('key', 'value');
    return files();
  });
  expect(locks?.filter((path) => path.endsWith('.lock'))).toHaveLength(1);
  expect(await files()).toHaveLength(1);
});

it.each(['', 'two words', '--label=x y', '../elsewhere', 7 as unknown as string])(
  'refuses %j as a service',
  (wrong) => {
    expect(() => keychainTokenStore({ service: wrong })).toThrow(/service/);
  },
);

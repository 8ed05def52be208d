import { keychainTokenStore, type RunSecretTool } from '@a2a-auth/client';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

let runtime: string;

beforeEach(async () => {
  runtime = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  vi.stubEnv('XDG_RUNTIME_DIR', runtime);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(runtime, { recursive: true });
});

/** Does what secret-tool does, without a keychain. */
function fakeSecretTool() {
  const entries = new Map<string, string>();
  const seen: string[] = [];
  const run: RunSecretTool = async (args, input) => {
    seen.push(...args);
    const [command] = args;
    const id = args
      .filter((argument) => !argument.startsWith('--'))
      .slice(1)
      .join(' ');
    const result = (code: number, stdout = '') => ({ code, stdout, stderr: '' });
    if (command === 'store') {
      entries.set(id, input);
      return result(0);
    }
    const value = entries.get(id);
    if (value === undefined) return result(1);
    if (command === 'lookup') return result(0, value);
    entries.delete(id);
    return result(0);
  };
  return { run, seen, entries };
}

it('keeps, replaces and deletes', async () => {
  const { run, entries } = fakeSecretTool();
  const store = keychainTokenStore({ service: 'my-agent', run });
  expect(await store.get('key')).toBeUndefined();
  await store.set('key', 'one');
  await store.set('key', 'two');
  expect(await store.get('key')).toBe('two');
  expect(await keychainTokenStore({ service: 'other-agent', run }).get('key')).toBeUndefined();
  await store.delete('key');
  await store.delete('key');
  expect(entries.size).toBe(0);
});

it('has no secret, and no key, among the arguments', async () => {
  const { run, seen } = fakeSecretTool();
  const store = keychainTokenStore({ service: 'my-agent', run });
  await store.set('the key', 'the secret');
  await store.get('the key');
  expect(seen.join(' ')).not.toMatch(/the secret|the key/);
});

it('refuses what secret-tool would cut off', async () => {
  const { run, entries } = fakeSecretTool();
  const store = keychainTokenStore({ service: 'my-agent', run });
  await store.set('key', 'x'.repeat(8_192));
  await expect(store.set('key', 'x'.repeat(8_193))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await expect(store.set('key', 'ä'.repeat(5_000))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect([...entries.values()]).toEqual(['x'.repeat(8_192)]);
});

it.each<[string, RunSecretTool]>([
  ['there is no such program', () => Promise.reject(new Error('spawn secret-tool ENOENT'))],
  ['there is no session', async () => ({ code: 1, stdout: '', stderr: 'Cannot autolaunch D-Bus' })],
  ['it is killed', async () => ({ code: null, stdout: '', stderr: '' })],
])('says so when %s, and never that nobody is logged in', async (_, run) => {
  const store = keychainTokenStore({ service: 'my-agent', run });
  for (const work of [store.get('key'), store.set('key', 'value'), store.delete('key')]) {
    await expect(work).rejects.toMatchObject({ name: 'ClientError', code: 'STORE_UNAVAILABLE' });
  }
});

it('says so when the keychain does not take it', async () => {
  const store = keychainTokenStore({
    service: 'my-agent',
    run: async () => ({ code: 1, stdout: '', stderr: '' }),
  });
  await expect(store.set('key', 'value')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

it('locks between processes', async () => {
  const store = keychainTokenStore({ service: 'my-agent', run: fakeSecretTool().run });
  const [folder = ''] = (await store.withLock?.('key', () => readdir(runtime))) ?? [];
  expect(folder).toMatch(/^a2a-auth-/);
  expect(await readdir(join(runtime, folder))).toEqual([]);
});

it.each(['', 'runtime'])(
  'has its locks in no folder that depends on where it runs: XDG_RUNTIME_DIR=%j',
  async (at) => {
    vi.stubEnv('XDG_RUNTIME_DIR', at);
    vi.stubEnv('TMPDIR', runtime);
    const store = keychainTokenStore({ service: 'my-agent', run: fakeSecretTool().run });
    expect(await store.withLock?.('key', () => readdir(runtime))).toHaveLength(1);
  },
);

it('starts secret-tool itself, and says so where there is none', async () => {
  vi.stubEnv('PATH', runtime);
  const store = keychainTokenStore({ service: 'my-agent' });
  await expect(store.get('key')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

it.each(['', 'two words', '--label=x y'])('refuses %j as a service', (service) => {
  expect(() => keychainTokenStore({ service })).toThrow(/service/);
});

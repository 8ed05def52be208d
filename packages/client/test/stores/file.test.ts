import { chmod, link, lstat, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fileTokenStore } from '@a2a-auth/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let base: string;
let folder: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  folder = join(base, 'nested', 'tokens');
});
afterEach(() => rm(base, { recursive: true }));

const refused = { name: 'ClientError', code: 'STORE_UNAVAILABLE' };

/** The file of the only login. */
async function onlyFile(): Promise<string> {
  const names = await readdir(folder);
  expect(names).toHaveLength(1);
  return join(folder, names[0] ?? '');
}

it('keeps, replaces and deletes', async () => {
  const store = fileTokenStore({ folder });
  expect(await store.get('a key')).toBeUndefined();
  await store.set('a key', 'one');
  await store.set('a key', 'two');
  await store.set('../another/key', 'three');
  expect(await fileTokenStore({ folder }).get('a key')).toBe('two');
  expect(await store.get('../another/key')).toBe('three');
  await store.delete('a key');
  await store.delete('a key');
  expect(await store.get('a key')).toBeUndefined();
  expect(await readdir(folder)).toHaveLength(1);
});

it('shows the values to this user alone', async () => {
  const before = process.umask(0);
  try {
    await fileTokenStore({ folder }).set('key', 'value');
  } finally {
    process.umask(before);
  }
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await stat(await onlyFile())).mode & 0o777).toBe(0o600);
});

it('leaves nothing lying about after many writers', async () => {
  const store = fileTokenStore({ folder });
  const values = Array.from({ length: 30 }, (_, index) => `value-${String(index)}`.padEnd(5_000, '.'));
  await Promise.all(values.map((value) => store.set('key', value)));
  expect(values).toContain(await store.get('key'));
  await onlyFile();
});

it.each([0o640, 0o604, 0o620, 0o602])('refuses a file of mode %i', async (mode) => {
  const store = fileTokenStore({ folder });
  await store.set('key', 'value');
  await chmod(await onlyFile(), mode);
  await expect(store.get('key')).rejects.toMatchObject(refused);
});

it.each([0o750, 0o705, 0o777])('refuses a folder of mode %i', async (mode) => {
  const store = fileTokenStore({ folder });
  await store.set('key', 'value');
  await chmod(folder, mode);
  await expect(store.get('key')).rejects.toMatchObject(refused);
  await expect(store.set('key', 'other')).rejects.toMatchObject(refused);
  await expect(store.withLock?.('key', () => Promise.resolve())).rejects.toMatchObject(refused);
});

it('follows no link in the place of a file, neither reading nor writing', async () => {
  const store = fileTokenStore({ folder });
  await store.set('key', 'value');
  const path = await onlyFile();
  const target = join(base, 'target');
  await writeFile(target, 'untouched', { mode: 0o600 });
  await rm(path);
  await symlink(target, path);
  await expect(store.get('key')).rejects.toMatchObject(refused);
  await store.set('key', 'new');
  expect((await lstat(path)).isSymbolicLink()).toBe(false);
  expect((await stat(target)).size).toBe('untouched'.length);
});

it('follows no link in the place of the folder', async () => {
  const elsewhere = join(base, 'elsewhere');
  await mkdir(elsewhere, { mode: 0o700 });
  await mkdir(join(base, 'nested'));
  await symlink(elsewhere, folder);
  await expect(fileTokenStore({ folder }).set('key', 'value')).rejects.toMatchObject(refused);
  expect(await readdir(elsewhere)).toEqual([]);
});

it('does not change what a second name of the old file shows', async () => {
  const store = fileTokenStore({ folder });
  await store.set('key', 'old');
  const other = join(base, 'other-name');
  await link(await onlyFile(), other);
  await store.set('key', 'new-value');
  expect((await stat(other)).size).toBe(3);
});

it('refuses what is no file, or larger than any tokens', async () => {
  const store = fileTokenStore({ folder });
  await store.set('key', 'x'.repeat(300_000));
  await expect(store.get('key')).rejects.toMatchObject(refused);
  const path = await onlyFile();
  await rm(path);
  await mkdir(path, { mode: 0o700 });
  await expect(store.get('key')).rejects.toMatchObject(refused);
});

it('says which path cannot be used', async () => {
  await writeFile(join(base, 'nested'), '');
  await expect(fileTokenStore({ folder }).get('key')).rejects.toMatchObject({
    ...refused,
    message: expect.stringContaining(folder) as string,
  });
});

it('needs a folder', () => {
  expect(() => fileTokenStore({ folder: '' })).toThrow(/folder/);
});

describe('the lock of a key', () => {
  it('lets one at a time, and others of other keys beside', async () => {
    const stores = [fileTokenStore({ folder }), fileTokenStore({ folder }), fileTokenStore({ folder })];
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 2));
      inside--;
    };
    await Promise.all(
      Array.from(
        { length: 30 },
        (_, index) => stores[index % 3]?.withLock?.('key', work) ?? Promise.reject(new Error('No lock.')),
      ),
    );
    expect(most).toBe(1);
    await stores[0]?.withLock?.('key', async () => stores[1]?.withLock?.('other', work));
    expect(await readdir(folder)).toEqual([]);
  });

  it('is given back when the work fails', async () => {
    const store = fileTokenStore({ folder });
    const failing = store.withLock?.('key', () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await store.withLock?.('key', () => Promise.resolve('yes'))).toBe('yes');
  });
});

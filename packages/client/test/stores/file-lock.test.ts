import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { withFileLock } from '../../src/stores/file-lock.js';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  path = join(folder, 'lock');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** A process id that no process has any more. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid ?? 0;
}

const leftBehind = (changes: object) =>
  writeFile(path, JSON.stringify({ id: 'left-behind', host: hostname(), pid: process.pid, ...changes }));

it('is taken over at once from a process that died, by one of many', async () => {
  await leftBehind({ pid: await deadPid() });
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, () =>
      withFileLock(path, async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 1));
        inside--;
      }),
    ),
  );
  expect(most).toBe(1);
  expect(await readdir(folder)).toEqual([]);
});

it('is taken over from who gives no sign of life, and not before', async () => {
  await leftBehind({ host: 'another-machine' });
  let now = 0;
  let readings = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => {
    readings++;
    return now;
  });
  let isTaken = false;
  const taken = withFileLock(path, async () => {
    isTaken = true;
  });
  /** Until the lock was looked at twice more, or taken: who waits reads the clock twice with each look. */
  const looks = () => {
    const enough = readings + 6;
    return vi.waitUntil(() => isTaken || readings >= enough, { timeout: 20_000, interval: 5 });
  };
  await looks();
  now = 15_000;
  await looks();
  expect(isTaken).toBe(false);
  now = 15_001;
  await taken;
  expect(isTaken).toBe(true);
});

it.each(['', 'null', '{"id":1}', '{"id":"../../x","host":"h","pid":1}', '{"id":"x","host":'])(
  'is taken over when nobody can read who holds it (%j), as after a power failure',
  async (content) => {
    await writeFile(path, content);
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => (now += 1_000));
    expect(await withFileLock(path, () => Promise.resolve('taken'))).toBe('taken');
    expect(now).toBeGreaterThan(15_000);
    expect(await readdir(folder)).toEqual([]);
  },
);

it('is not taken from a living process that gives signs of life, however old its file', async () => {
  const start = await stat(folder);
  expect(start.isDirectory()).toBe(true);
  let release: () => void = () => undefined;
  let mtime = 0n;
  const holding = withFileLock(path, async () => {
    mtime = (await stat(path, { bigint: true })).mtimeNs;
    await new Promise<void>((resolve) => (release = resolve));
  });
  await expect
    .poll(async () => (await stat(path, { bigint: true })).mtimeNs > mtime, { timeout: 5_000 })
    .toBe(true);
  release();
  await holding;
});

it('is left alone by who finds that it was taken over meanwhile', async () => {
  await withFileLock(path, () => leftBehind({ id: 'somebody-else' }));
  expect(await readFile(path, 'utf8')).toContain('somebody-else');
});

it('is given up after a minute', async () => {
  const held = withFileLock(path, async () => {
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => (now += 20_000));
    // The holder is this very process, so it counts as alive; its signs of life change in between.
    const signs = setInterval(() => {
      void writeFile(path, JSON.stringify({ id: String(Math.random()), host: hostname(), pid: process.pid }));
    }, 1);
    try {
      await expect(withFileLock(path, () => Promise.resolve())).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
      });
    } finally {
      clearInterval(signs);
    }
  });
  await held;
});

it('says that it cannot be made', async () => {
  await expect(withFileLock(join(folder, 'none', 'lock'), () => Promise.resolve())).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  });
});

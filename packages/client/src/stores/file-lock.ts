import { randomUUID } from 'node:crypto';
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

import { ClientError } from '../errors.js';

/** Milliseconds between two signs of life of who holds a lock. */
const HEARTBEAT = 1_000;

/**
 * Milliseconds without a sign of life, as watched by who waits, after which a lock counts as left behind. Watched, and not
 * read from the file's time: clocks differ, and machines sleep.
 */
const SILENCE = 15_000;

/** Milliseconds after which waiting is given up. A refresh takes seconds at most. */
const MAX_WAIT = 60_000;

interface Owner {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
}

/**
 * Does work while no other process of this machine or, on a shared folder, of another has the same lock. A lock whose
 * process died is taken over.
 *
 * @throws {ClientError} `STORE_UNAVAILABLE` when the lock cannot be had
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const owner: Owner = { id: randomUUID(), host: hostname(), pid: process.pid };
  await acquire(path, owner);
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    // It may have been taken over, if this process slept.
    if ((await readOwner(path))?.id === owner.id) await rm(path, { force: true });
  }
}

async function acquire(path: string, owner: Owner): Promise<void> {
  const until = performance.now() + MAX_WAIT;
  let watched = { sign: '', since: performance.now() };
  for (;;) {
    if (await create(path, owner)) return;
    const holder = await readOwner(path);
    const sign = `${holder?.id ?? ''} ${await signOfLife(path)}`;
    if (sign !== watched.sign) watched = { sign, since: performance.now() };
    if (holder !== undefined && (isDead(holder) || performance.now() - watched.since > SILENCE)) {
      await breakLock(path, holder);
    }
    if (performance.now() > until) {
      throw new ClientError('STORE_UNAVAILABLE', `${path} has been held for too long by another process.`);
    }
    await delay(10 + Math.random() * 40);
  }
}

/** Appears with its content in it: a lock that nobody signed could not be told from one that was left behind. */
async function create(path: string, owner: Owner): Promise<boolean> {
  const signed = `${path}.${owner.id}.tmp`;
  try {
    await writeFile(signed, JSON.stringify(owner), { flag: 'wx', mode: 0o600 });
    await link(signed, path);
    return true;
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    throw new ClientError('STORE_UNAVAILABLE', `The lock ${path} cannot be made (${code}).`);
  } finally {
    await rm(signed, { force: true });
  }
}

/** Undefined when there is no lock. One that nobody can read, as after a power failure, is held by nobody who is known. */
async function readOwner(path: string): Promise<Owner | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  return parseOwner(text) ?? { id: `unreadable-${await signOfLife(path)}`, host: '', pid: 0 };
}

function parseOwner(text: string): Owner | undefined {
  try {
    const { id, host, pid } = JSON.parse(text) as Partial<Owner>;
    return typeof id === 'string' && /^[\w.-]{1,100}$/.test(id) && typeof host === 'string' && Number(pid) > 0
      ? { id, host, pid: Number(pid) }
      : undefined;
  } catch {
    return undefined;
  }
}

async function signOfLife(path: string): Promise<string> {
  try {
    const { ino, mtimeNs } = await stat(path, { bigint: true });
    return `${String(ino)}-${String(mtimeNs)}`;
  } catch {
    return '';
  }
}

/** Whether the process is gone. That of another machine, nobody here knows. */
function isDead({ host, pid }: Owner): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/**
 * Takes a lock away from who left it behind. Of those who noticed, one gets the right to, by a file that is named by
 * the lock: the others must not take away the lock that comes next.
 */
async function breakLock(path: string, holder: Owner): Promise<void> {
  const right = `${path}.${holder.id}`;
  if (!(await create(right, { id: randomUUID(), host: hostname(), pid: process.pid }))) {
    const other = await readOwner(right);
    // Whoever had the right died with it.
    if (other !== undefined && isDead(other)) await rm(right, { force: true });
    return;
  }
  try {
    if ((await readOwner(path))?.id === holder.id) await rm(path, { force: true });
  } finally {
    await rm(right, { force: true });
  }
}

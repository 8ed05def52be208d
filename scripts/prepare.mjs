// Makes the working copy runnable: installs what package-lock.json says if that is not what is installed,
// then builds what changed. Needs nothing but Node and npm. Everything it says goes to standard error.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { constants, hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const lockFile = join(root, '.prepare.lock');
const stampFile = join(root, 'node_modules', '.a2a-auth-stamp');
const heartbeatMs = 1_000;
const staleMs = 15_000;

const say = (message) => process.stderr.write(`${message}\n`);
const unlessMissing = (error) => {
  if (error.code !== 'ENOENT') throw error;
};

/** Installs and builds if needed. Concurrent calls, in any number of processes, take turns. */
export async function prepare() {
  await withLock(async () => {
    await install();
    await build();
  });
}

async function install() {
  const lock = await readFile(join(root, 'package-lock.json'), 'utf8');
  const stamp = createHash('sha256').update(lock).digest('hex');
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  if (existsSync(installedFile)) {
    const known = await readFile(stampFile, 'utf8').catch(unlessMissing);
    if (known === stamp) return;
    const installed = await readFile(installedFile, 'utf8');
    if (matches(JSON.parse(lock), JSON.parse(installed))) {
      await writeFile(stampFile, stamp);
      return;
    }
  }
  say('prepare: installing the dependencies (npm ci)');
  // --include=dev: the compiler is needed even where NODE_ENV=production.
  await run('npm', ['ci', '--loglevel=error', '--include=dev'], { shell: process.platform === 'win32' });
  await writeFile(stampFile, stamp);
}

/** Whether an install done by hand already holds what the lock file asks for. */
function matches(lock, installed) {
  for (const [path, wanted] of Object.entries(lock.packages)) {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) continue;
    const found = installed.packages[path];
    if (found === undefined && wanted.optional) continue;
    if (found?.version !== wanted.version || found?.integrity !== wanted.integrity) return false;
  }
  return Object.keys(installed.packages).every((path) => path in lock.packages);
}

async function build() {
  await run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
}

/** Runs a program with its output on standard error, and passes on the signals which would end this one. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    let received;
    const forward = (signal) => {
      received = signal;
      child.kill(signal);
    };
    for (const signal of signals) process.on(signal, forward);
    const settle = (result) => {
      for (const signal of signals) process.off(signal, forward);
      result();
    };
    child.on('error', (error) => settle(() => reject(error)));
    child.on('close', (code, signal) =>
      settle(() => {
        const ended = received ?? signal;
        if (ended) reject(new Ended(`${command} was ended by ${ended}`, 128 + constants.signals[ended]));
        else if (code !== 0) reject(new Ended(`${command} ${args.join(' ')} exited with ${code}`, code));
        else resolve();
      }),
    );
  });
}

/** A child process that did not end well; `exitCode` is what this process should exit with. */
export class Ended extends Error {
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Ends this process for an error that has to be shown to a person rather than with a stack trace. */
export function exitWith(error) {
  say(error instanceof Ended ? error.message : error.stack);
  process.exit(error instanceof Ended ? error.exitCode : 1);
}

/** Runs `work` while no other process of this working copy does. */
export async function withLock(work) {
  const me = JSON.stringify({ pid: process.pid, host: hostname() });
  const mine = `${lockFile}.${process.pid}`;
  // A link appears with its content in one step, so nobody ever reads a lock without an owner.
  await writeFile(mine, me);
  let waiting = false;
  try {
    while (!(await acquired(mine))) {
      if (!waiting) say('prepare: waiting for another run to finish');
      waiting = true;
      if (await isStale()) await takeAway();
      else await sleep(200);
    }
  } finally {
    await rm(mine, { force: true });
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(lockFile, now, now).catch(unlessMissing);
  }, heartbeatMs);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    if ((await readFile(lockFile, 'utf8').catch(unlessMissing)) === me) await rm(lockFile, { force: true });
  }
}

async function acquired(mine) {
  try {
    await link(mine, lockFile);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

async function isStale() {
  const about = await stat(lockFile).catch(unlessMissing);
  const text = await readFile(lockFile, 'utf8').catch(unlessMissing);
  if (about === undefined || text === undefined) return false;
  if (Date.now() - about.mtimeMs > staleMs) return true;
  const owner = JSON.parse(text);
  if (owner.host !== hostname()) return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Removes a stale lock; if another process has replaced it in between, gives the new one back. */
async function takeAway() {
  const before = await readFile(lockFile, 'utf8').catch(unlessMissing);
  const aside = `${lockFile}.${process.pid}.stale`;
  try {
    await rename(lockFile, aside);
  } catch (error) {
    unlessMissing(error);
    return;
  }
  if ((await readFile(aside, 'utf8')) !== before) await acquired(aside);
  await rm(aside, { force: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await prepare().catch(exitWith);
}

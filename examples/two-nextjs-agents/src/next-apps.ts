import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const READY_MS = 60_000;
const STOP_MS = 5_000;

const root = join(import.meta.dirname, '../../..');
const next = fileURLToPath(import.meta.resolve('next/dist/bin/next'));
const folderOf = (name: string) => join(import.meta.dirname, 'apps', name);

const environment = {
  ...process.env,
  NODE_ENV: 'production',
  NEXT_TELEMETRY_DISABLED: '1',
  // Else a build that misses packages of other platforms in the lock file asks the registry for them.
  NEXT_IGNORE_INCORRECT_LOCKFILE: '1',
};

/** What this needs of scripts/prepare.mjs. */
interface Prepare {
  readonly withLock: (work: () => Promise<void>) => Promise<void>;
  readonly run: (command: string, args: readonly string[], options: { env: object }) => Promise<void>;
}

/** Runs `next build` for each app that was not built yet, or has changed. Nothing of it needs the network. */
export async function buildApps(names: readonly string[]): Promise<void> {
  const prepare = (await import(new URL('../../../scripts/prepare.mjs', import.meta.url).href)) as Prepare;
  // Two builds in one folder would disturb each other.
  await prepare.withLock(async () => {
    for (const name of names) {
      const stamp = await stampOf(name);
      // A new build clears this folder before it does anything else.
      const stampFile = join(folderOf(name), '.next', 'example-stamp');
      if ((await readFile(stampFile, 'utf8').catch(() => undefined)) === stamp) continue;
      console.error(`next build: ${name}`);
      await prepare.run(process.execPath, [next, 'build', folderOf(name)], { env: environment });
      await writeFile(stampFile, stamp);
    }
  });
}

/** A digest of all that goes into the build of an app. */
async function stampOf(name: string): Promise<string> {
  const folders = [
    folderOf(name),
    join(import.meta.dirname, 'lib'),
    join(root, 'packages/client/dist'),
    join(root, 'packages/server/dist'),
  ];
  const found = await Promise.all(folders.map(modulesIn));
  const digest = createHash('sha256').update(process.version);
  for (const file of [join(root, 'package-lock.json'), ...found.flat().sort()]) {
    digest.update(`\n${file}\n`).update(await readFile(file));
  }
  return digest.digest('hex');
}

async function modulesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return entry.name === '.next' ? [] : modulesIn(path);
      return entry.name.endsWith('.js') ? [path] : [];
    }),
  );
  return found.flat();
}

/** An app that runs. */
export interface RunningApp {
  /** Rejects when the app ends although nobody stopped it. */
  readonly failed: Promise<never>;
  readonly stop: () => Promise<void>;
}

/**
 * Runs `next start` for an app, in a process of its own that ends with this one.
 *
 * @param settings the variables of its environment, its secrets among them
 */
export function startApp(name: string, port: number, settings: Readonly<Record<string, string>>): RunningApp {
  const preload = new URL('exit-with-parent.js', import.meta.url).href;
  const child = spawn(
    process.execPath,
    ['--import', preload, next, 'start', folderOf(name), '--port', String(port), '--hostname', 'localhost'],
    { env: { ...environment, ...settings }, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  );
  const ended = once(child, 'exit');
  let stopping = false;
  const failed = ended.then(([code, signal]) => {
    if (stopping) return new Promise<never>(() => undefined);
    throw new Error(`The app ${name} ended with ${String(code ?? signal)}.`);
  });
  failed.catch(() => undefined);
  return {
    failed,
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      const patience = new AbortController();
      const late = wait(STOP_MS, undefined, { signal: patience.signal }).then(
        () => child.kill('SIGKILL'),
        () => undefined,
      );
      await ended.catch(() => undefined);
      patience.abort();
      await late;
    },
  };
}

/** Resolves once something at a URL answers with 200. */
export async function isReady(url: string): Promise<void> {
  const signal = AbortSignal.timeout(READY_MS);
  for (;;) {
    const status = await fetch(url, { signal }).then(
      async (response) => {
        await response.body?.cancel();
        return response.status;
      },
      () => undefined,
    );
    if (status === 200) return;
    if (signal.aborted) throw new Error(`${url} answers with ${String(status ?? 'nothing')}.`);
    await wait(100);
  }
}

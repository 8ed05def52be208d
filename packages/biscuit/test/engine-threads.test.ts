import type * as workerThreads from 'node:worker_threads';

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { createEngine } from '../src/engine.js';
import { issuer } from './support/issuer.js';

/** What became of the threads of a test. */
const seen = vi.hoisted(() => ({ threads: 0, memory: [] as number[], keepsProcess: [] as boolean[] }));

vi.mock('node:worker_threads', async (importOriginal) => {
  const original = await importOriginal<typeof workerThreads>();
  class Observed extends original.Worker {
    constructor(file: URL, options: workerThreads.WorkerOptions) {
      super(file, options);
      seen.threads += 1;
      this.on('message', (report: { memory: number } | 'ready') => {
        if (report !== 'ready') seen.memory.push(report.memory);
      });
    }
    override ref(): void {
      seen.keepsProcess.push(true);
      super.ref();
    }
    override unref(): void {
      seen.keepsProcess.push(false);
      super.unref();
    }
  }
  return { ...original, Worker: Observed };
});

beforeEach(() => {
  Object.assign(seen, { threads: 0, memory: [], keepsProcess: [] });
});

const authority = issuer();
const limits = { time: 5000, facts: 1000, iterations: 100 };
const job = {
  token: Buffer.from(authority.token('user("alice");'), 'base64url'),
  key: Buffer.from(authority.rootKey.slice(8), 'hex'),
  authorizer: 'allow if user($user), operation($operation)',
  facts: [['operation', 'SendMessage']] as const,
  limits,
};

describe('the thread of the engine', () => {
  it('is replaced before its memory is without bound', { timeout: 120_000 }, async () => {
    const maxMemory = 16 * 2 ** 20;
    const engine = createEngine(maxMemory);
    for (let round = 0; round < 40; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 500 }, () => engine.ask('authorize', job, 10_000)),
      );
      expect(answers.every((answer) => answer.status === 'done' && answer.value.allowed)).toBe(true);
    }
    expect(seen.memory).toHaveLength(20_000);
    // The last job of a thread is the one that found it above the bound.
    expect(Math.max(...seen.memory)).toBeLessThan(maxMemory + 2 ** 20);
    // The library leaks some kilobytes of each job, and that is all.
    expect(seen.threads).toBeGreaterThan(1);
    expect(seen.threads).toBeLessThan(8);
  });

  it('is replaced after a panic of the library', async () => {
    const engine = createEngine();
    // A limit that is no number is where the library gives up.
    const broken = { ...job, limits: { ...limits, time: Number.NaN } };
    expect(await engine.ask('authorize', broken, 10_000)).toEqual({
      status: 'refused',
      detail: 'The biscuit library failed on it.',
    });
    expect(await engine.ask('authorize', job, 10_000)).toEqual({ status: 'done', value: { allowed: true } });
    expect(seen.threads).toBe(2);
  });

  it('is one for all', async () => {
    const engine = createEngine();
    await Promise.all(Array.from({ length: 50 }, () => engine.ask('authorize', job, 10_000)));
    expect(seen.threads).toBe(1);
  });

  it('keeps the process while somebody waits for it, and no longer', async () => {
    const engine = createEngine();
    await engine.ask('authorize', job, 10_000);
    expect(seen.keepsProcess).toContain(true);
    expect(seen.keepsProcess.at(-1)).toBe(false);
  });
});

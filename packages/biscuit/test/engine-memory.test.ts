import type * as workerThreads from 'node:worker_threads';

import { expect, it, vi } from 'vitest';

import { createEngine } from '../src/engine.js';
import { issuer } from './support/issuer.js';

const { memory, threads } = vi.hoisted(() => ({ memory: [] as number[], threads: { count: 0 } }));

vi.mock('node:worker_threads', async (importOriginal) => {
  const original = await importOriginal<typeof workerThreads>();
  class Observed extends original.Worker {
    constructor(file: URL, options: workerThreads.WorkerOptions) {
      super(file, options);
      threads.count += 1;
      this.on('message', (report: { memory: number } | 'ready') => {
        if (report !== 'ready') memory.push(report.memory);
      });
    }
  }
  return { ...original, Worker: Observed };
});

it('the memory of the engine is bounded, whatever the library leaks', { timeout: 120_000 }, async () => {
  const authority = issuer();
  const job = {
    token: Buffer.from(authority.token('user("alice");'), 'base64url'),
    key: Buffer.from(authority.rootKey.slice(8), 'hex'),
    authorizer: 'allow if user($user), operation($operation)',
    facts: [['operation', 'SendMessage']] as const,
    limits: { time: 5000, facts: 1000, iterations: 100 },
  };
  const maxMemory = 16 * 2 ** 20;
  const engine = createEngine(maxMemory);
  for (let round = 0; round < 40; round += 1) {
    const answers = await Promise.all(
      Array.from({ length: 500 }, () => engine.ask('authorize', job, 10_000)),
    );
    expect(answers.every((answer) => answer.status === 'done' && answer.value.allowed)).toBe(true);
  }
  expect(memory).toHaveLength(20_000);
  // The last job of a thread is the one that found it above the bound.
  expect(Math.max(...memory)).toBeLessThan(maxMemory + 2 ** 20);
  expect(threads.count).toBeGreaterThan(1);
});

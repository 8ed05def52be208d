import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Outcome } from '../../src/push/deliver.js';
import { deliveryQueue, type QueuedNotification } from '../../src/push/delivery-queue.js';
import { stepsOf } from './steps.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const delivered: Outcome = { delivered: true };
const failed: Outcome = { delivered: false, retry: true, detail: 'no' };
const stuck = () => new Promise<Outcome>(() => undefined);

function setUp({ attempts = 5, retryDelay = 1_000 } = {}) {
  const givenUp: { caller: string; id: string; reason: string }[] = [];
  const queue = deliveryQueue({
    attempts,
    retryDelay,
    giveUp: ({ caller, id }, reason) => givenUp.push({ caller, id, reason }),
  });
  return { queue, givenUp };
}

function notification(
  attempt: QueuedNotification['attempt'],
  changes: Partial<QueuedNotification> = {},
): QueuedNotification {
  return {
    id: 'n',
    tenant: undefined,
    taskId: 't',
    configId: 'w',
    origin: 'https://hooks.example',
    caller: 'alice',
    size: 10,
    queuedAt: Date.now(),
    attempt,
    ...changes,
  };
}

it.each([
  ['most', 1, [1000, 2000, 4000]],
  ['least', 0, [500, 1000, 2000]],
])('doubles the pause before each attempt, with the %s jitter', async (_, random, pauses) => {
  vi.spyOn(Math, 'random').mockReturnValue(random);
  const { queue } = setUp();
  const attempt = vi.fn(() => Promise.resolve(failed));
  queue.add(notification(attempt));
  const calls: number[] = [];
  for (const pause of pauses) {
    await vi.advanceTimersByTimeAsync(pause - 1);
    calls.push(attempt.mock.calls.length);
    await vi.advanceTimersByTimeAsync(1);
  }
  expect(calls).toEqual([1, 2, 3]);
});

it('waits as long as the webhook asks', async () => {
  const { queue } = setUp();
  const attempt = vi.fn(() => Promise.resolve<Outcome>({ ...failed, retryAfter: 30_000 }));
  queue.add(notification(attempt));
  await vi.advanceTimersByTimeAsync(29_999);
  expect(attempt).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(attempt).toHaveBeenCalledTimes(2);
});

it('holds the events after one that is tried again', async () => {
  const { queue } = setUp();
  const second = vi.fn(() => Promise.resolve(delivered));
  queue.add(notification(() => Promise.resolve(failed)));
  queue.add(notification(second));
  await vi.advanceTimersByTimeAsync(1);
  expect(second).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(second).toHaveBeenCalled();
});

it('takes tasks of one id in two tenants for two tasks', async () => {
  const { queue } = setUp();
  const attempt = vi.fn(stuck);
  for (const tenant of ['one', 'other']) queue.add(notification(attempt, { tenant }));
  await vi.advanceTimersByTimeAsync(0);
  expect(attempt).toHaveBeenCalledTimes(2);
});

it('keeps no more than 100 for one webhook, and drops the oldest', async () => {
  const { queue, givenUp } = setUp();
  for (let n = 0; n < 1_001; n++) queue.add(notification(stuck, { id: String(n) }));
  await vi.advanceTimersByTimeAsync(0);
  expect(givenUp).toHaveLength(900);
  // Number 0 is under way, 901 to 1000 wait.
  expect(givenUp.at(-1)).toEqual({ caller: 'alice', id: '900', reason: 'dropped' });
});

it('takes the room that lacks from whoever has the most waiting', async () => {
  const { queue, givenUp } = setUp();
  const size = 1024 * 1024;
  queue.add(notification(stuck, { size, caller: 'bob', id: 'first' }));
  queue.add(notification(stuck, { size, caller: 'bob', id: 'second' }));
  for (let n = 0; n < 200; n++) queue.add(notification(stuck, { size, caller: 'eve', taskId: `t${n >> 4}` }));
  await vi.advanceTimersByTimeAsync(0);
  expect(givenUp.length).toBeGreaterThan(100);
  expect(new Set(givenUp.map(({ caller }) => caller))).toEqual(new Set(['eve']));
});

it('takes room from what waits for its next attempt as well', async () => {
  const { queue, givenUp } = setUp();
  const size = 1024 * 1024;
  const busy = () => Promise.resolve<Outcome>({ ...failed, retryAfter: 300_000 });
  for (let n = 0; n < 63; n++) queue.add(notification(busy, { size, taskId: `t${n}` }));
  await vi.advanceTimersByTimeAsync(0);
  // The first of them is under way.
  for (let n = 0; n < 11; n++) queue.add(notification(stuck, { size, caller: 'bob' }));
  await vi.advanceTimersByTimeAsync(0);
  expect(givenUp.map(({ caller }) => caller)).toEqual(new Array(10).fill('alice'));
});

it('drops nothing that others have waiting for the size of what is under way', async () => {
  const { queue, givenUp } = setUp();
  for (let n = 0; n < 8; n++) queue.add(notification(stuck, { size: 16 * 1024 * 1024, taskId: `t${n}` }));
  for (let n = 0; n < 20; n++) queue.add(notification(stuck, { caller: 'bob', size: 1024 * 1024 }));
  await vi.advanceTimersByTimeAsync(0);
  expect(givenUp).toEqual([]);
});

it.each([
  ['one origin', 8, () => 'https://hooks.example'],
  ['many origins', 32, (n: number) => `https://${n}.example`],
])('opens no more connections for one caller to %s than %i', async (_, most, origin) => {
  const { queue } = setUp();
  const attempt = vi.fn(stuck);
  for (let n = 0; n < 100; n++) queue.add(notification(attempt, { taskId: `t${n}`, origin: origin(n) }));
  await vi.advanceTimersByTimeAsync(0);
  expect(attempt).toHaveBeenCalledTimes(most);
});

it('opens no more connections to the origin that webhooks have moved to while their notifications waited', async () => {
  const { queue } = setUp();
  const called = vi.fn(stuck);
  const attempt = vi.fn((_: AbortSignal, origin: string) =>
    origin === 'https://new.example' ? called() : Promise.resolve({ movedTo: 'https://new.example' }),
  );
  for (let n = 0; n < 100; n++)
    queue.add(notification(attempt, { taskId: `t${n}`, origin: `https://${n}.example` }));
  await vi.advanceTimersByTimeAsync(0);
  expect(attempt.mock.calls.length).toBe(100 + 8);
  expect(called).toHaveBeenCalledTimes(8);
});

it('keeps the order of notifications for a webhook that has moved', async () => {
  const { queue } = setUp();
  const sent: string[] = [];
  const attemptOf = (id: string, at: () => string) => async (_: AbortSignal, origin: string) => {
    if (origin !== at()) return { movedTo: at() };
    sent.push(`${id} to ${origin}`);
    return sent.length === 1 ? failed : delivered;
  };
  const old = 'https://hooks.example';
  const moved = 'https://new.example';
  queue.add(notification(attemptOf('first', () => (sent.length === 0 ? old : moved))));
  queue.add(
    notification(
      attemptOf('second', () => moved),
      { origin: moved },
    ),
  );
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sent).toEqual([`first to ${old}`, `first to ${moved}`, `second to ${moved}`]);
});

it('counts no attempt for finding that a webhook has moved', async () => {
  const { queue, givenUp } = setUp({ attempts: 1 });
  const attempt = vi.fn((_: AbortSignal, origin: string) =>
    Promise.resolve(origin === 'https://new.example' ? delivered : { movedTo: 'https://new.example' }),
  );
  queue.add(notification(attempt));
  await vi.advanceTimersByTimeAsync(0);
  expect(attempt).toHaveBeenCalledTimes(2);
  expect(givenUp).toEqual([]);
});

it('lets every attempt listen to its end without a warning', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const { queue } = setUp();
  const attempt = vi.fn((signal: AbortSignal) => {
    signal.addEventListener('abort', () => undefined);
    return stuck();
  });
  for (let n = 0; n < 256; n++) queue.add(notification(attempt, { caller: `caller ${n}` }));
  await vi.advanceTimersByTimeAsync(0);
  expect(attempt).toHaveBeenCalledTimes(256);
  expect(warn).not.toHaveBeenCalled();
});

it('opens no more than 256 connections', async () => {
  const { queue } = setUp();
  const attempt = vi.fn(stuck);
  for (let n = 0; n < 1_000; n++) queue.add(notification(attempt, { caller: `caller ${n}` }));
  await vi.advanceTimersByTimeAsync(0);
  expect(attempt).toHaveBeenCalledTimes(256);
});

it('serves one caller while the webhooks of another one are stuck', async () => {
  const { queue } = setUp();
  for (let n = 0; n < 1_000; n++)
    queue.add(notification(stuck, { taskId: `t${n}`, origin: `https://${n}.x` }));
  const attempt = vi.fn(() => Promise.resolve(delivered));
  queue.add(notification(attempt, { caller: 'bob' }));
  await vi.advanceTimersByTimeAsync(0);
  expect(attempt).toHaveBeenCalledTimes(1);
});

it('gives the connection to the next one when one is done', async () => {
  const { queue } = setUp();
  const attempt = vi.fn(() => Promise.resolve(delivered));
  for (let n = 0; n < 1_000; n++) queue.add(notification(attempt, { taskId: `t${n}` }));
  await vi.advanceTimersByTimeAsync(0);
  expect(attempt).toHaveBeenCalledTimes(1_000);
});

it('begins with those that were there first', async () => {
  const { queue } = setUp();
  const begun: number[] = [];
  for (let n = 0; n < 100; n++) {
    const attempt = async () => {
      begun.push(n);
      return delivered;
    };
    queue.add(notification(attempt, { taskId: `t${n}`, origin: `https://${n % 7}.example` }));
  }
  await vi.advanceTimersByTimeAsync(0);
  expect(begun).toEqual(Array.from({ length: 100 }, (_, n) => n));
});

it('tries nothing for longer than ten minutes', async () => {
  const { queue, givenUp } = setUp({ attempts: 1_000 });
  queue.add(notification(() => Promise.resolve(failed)));
  await vi.advanceTimersByTimeAsync(600_001);
  expect(givenUp).toMatchObject([{ reason: 'failed' }]);
});

it('begins nothing that waited for longer than ten minutes behind a slow one', async () => {
  const { queue, givenUp } = setUp();
  queue.add(
    notification(async () => {
      await new Promise((resolve) => setTimeout(resolve, 600_001));
      return delivered;
    }),
  );
  const late = vi.fn(() => Promise.resolve(delivered));
  queue.add(notification(late, { id: 'late' }));
  const flushed = vi.fn();
  void queue.flush().then(flushed);
  await vi.advanceTimersByTimeAsync(600_001);
  expect(late).not.toHaveBeenCalled();
  expect(givenUp).toMatchObject([{ id: 'late', reason: 'failed' }]);
  expect(flushed).toHaveBeenCalled();
});

it('gives up all that waited for too long, however many', async () => {
  const { queue, givenUp } = setUp();
  const slow = async () => {
    await new Promise((resolve) => setTimeout(resolve, 600_001));
    return delivered;
  };
  for (let n = 0; n < 30_000; n++) queue.add(notification(slow, { taskId: `t${n % 300}` }));
  const flushed = vi.fn();
  void queue.flush().then(flushed);
  await vi.advanceTimersByTimeAsync(600_001);
  expect(givenUp).toHaveLength(30_000 - 8);
  expect(flushed).toHaveBeenCalled();
});

it('resolves flush() once nothing is left', async () => {
  const { queue } = setUp();
  const flushed = vi.fn();
  await queue.flush();
  queue.add(notification(vi.fn().mockResolvedValueOnce(failed).mockResolvedValueOnce(delivered)));
  void queue.flush().then(flushed);
  await vi.advanceTimersByTimeAsync(400);
  expect(flushed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(flushed).toHaveBeenCalled();
});

describe.each([
  ['one caller at one origin', 8, () => ({})],
  ['one caller at many origins', 32, (n: number) => ({ origin: `https://${n}.example` })],
  ['many callers', 256, (n: number) => ({ caller: `caller ${n}` })],
])('when many webhooks of %s are stuck', (_, active, changes) => {
  /** So many wait that the next byte is one too many. */
  function crowd(lanes: number) {
    const { queue, givenUp } = setUp();
    let release: (outcome: Outcome) => void = () => undefined;
    const first = () => new Promise<Outcome>((resolve) => (release = resolve));
    const size = Math.floor((64 * 1024 * 1024) / lanes) - 2048;
    for (let n = 0; n < active + lanes; n++)
      queue.add(notification(n === 0 ? first : stuck, { taskId: `t${n}`, size, ...changes(n) }));
    return { queue, givenUp, release };
  }

  it.each<[string, (subject: ReturnType<typeof crowd>) => Promise<void> | void]>([
    [
      'adds one more',
      ({ queue }) => {
        queue.add(notification(stuck, { taskId: 'new', ...changes(-1) }));
      },
    ],
    [
      'adds one of another caller',
      ({ queue }) => {
        queue.add(notification(stuck, { caller: 'bob' }));
      },
    ],
    [
      'goes on when one is done',
      async ({ release }) => {
        release(delivered);
        await vi.advanceTimersByTimeAsync(0);
      },
    ],
  ])('%s in a few steps', async (_, work) => {
    const steps: number[] = [];
    for (const lanes of [250, 2_000]) {
      const subject = crowd(lanes);
      steps.push(await stepsOf(() => work(subject)));
    }
    const [few = 0, many = 0] = steps;
    expect(few).toBeGreaterThan(0);
    // Eight times as many make three levels more of each heap.
    expect(many).toBeLessThan(2 * few);
  });

  it('drops one of them in their place', () => {
    const { queue, givenUp } = crowd(250);
    queue.add(notification(stuck, { caller: 'bob' }));
    expect(givenUp).toMatchObject([{ reason: 'dropped' }]);
    expect(givenUp).not.toMatchObject([{ caller: 'bob' }]);
  });
});

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { everySecond } from '../../src/tls/every-second.js';

const warn = vi.spyOn(process, 'emitWarning');
let stop = (): void => undefined;

beforeEach(() => {
  vi.useFakeTimers();
  warn.mockReset().mockReturnValue(undefined);
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

const warnings = () => warn.mock.calls.map(([warning]) => warning);

it('does everything in turn, and begins anew a second after the last of it', async () => {
  const done: string[] = [];
  let finish = (): void => undefined;
  const slow = () =>
    new Promise<void>((resolve) => {
      done.push('slow');
      finish = resolve;
    });
  stop = everySecond({ Slow: slow, Quick: () => done.push('quick') });
  await vi.advanceTimersByTimeAsync(5000);
  expect(done).toEqual(['slow']);
  finish();
  await vi.advanceTimersByTimeAsync(999);
  expect(done).toEqual(['slow', 'quick']);
  await vi.advanceTimersByTimeAsync(1);
  expect(done).toEqual(['slow', 'quick', 'slow']);
});

it('goes on past what fails, and tells it once until it fails otherwise or is mended', async () => {
  const outcomes = ['gone', 'gone', 'broken', undefined, 'broken'];
  let others = 0;
  stop = everySecond({
    'The file': () => {
      const problem = outcomes.shift();
      if (problem !== undefined) throw new Error(problem);
    },
    'The rest': () => others++,
  });
  await vi.advanceTimersByTimeAsync(5000);
  expect(outcomes).toEqual([]);
  expect(others).toBe(5);
  expect(warnings()).toEqual(
    ['gone', 'broken', 'broken'].map((problem) => `The file stays as it was: ${problem}`),
  );
});

it('does nothing more once it is stopped, not even after what it is at', async () => {
  let count = 0;
  let finish = (): void => undefined;
  const end = everySecond({
    It: () => {
      count++;
      return new Promise<void>((resolve) => (finish = resolve));
    },
  });
  await vi.advanceTimersByTimeAsync(1000);
  end();
  finish();
  await vi.advanceTimersByTimeAsync(5000);
  expect(count).toBe(1);
});

import { VerifierUnavailable } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { circuit, type CircuitOptions } from '../../src/tokens/circuit.js';

const FAILURES = 3;
const PAUSE = 10;

const call = vi.fn<(argument: string) => Promise<string>>();
const through = (options: CircuitOptions = { failures: FAILURES, pause: PAUSE }) =>
  circuit('The endpoint', call, options);
const down = () => Promise.reject(new Error('down'));
const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1000);

async function fail(ask: (argument: string) => Promise<string>, times = FAILURES): Promise<void> {
  call.mockImplementation(down);
  for (let count = 0; count < times; count++) await expect(ask('x')).rejects.toThrow(VerifierUnavailable);
}

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
  call.mockReset().mockImplementation(async (argument) => `answer to ${argument}`);
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a closed circuit', () => {
  it('passes calls and answers through', async () => {
    expect(await through()('a')).toBe('answer to a');
  });

  it('says of a failure that the question is open, and why', async () => {
    call.mockImplementation(down);
    await expect(through()('a')).rejects.toMatchObject({
      name: 'VerifierUnavailable',
      message: 'The endpoint failed: down',
      retryAfter: PAUSE,
    });
  });

  it('stays closed when failures are not in a row', async () => {
    const ask = through();
    for (let count = 0; count < 10; count++) {
      await fail(ask, FAILURES - 1);
      call.mockImplementation(async () => 'good');
      expect(await ask('a')).toBe('good');
    }
  });
});

describe('a call that fails with an answer', () => {
  const refusal = new Error('HTTP 403');
  const through403 = () =>
    circuit('The endpoint', call, { failures: FAILURES, pause: PAUSE }, (error) => error === refusal);

  it('is unavailable, and keeps nobody else waiting', async () => {
    const ask = through403();
    call.mockRejectedValue(refusal);
    for (let count = 0; count < 2 * FAILURES; count++) {
      await expect(ask('odd')).rejects.toThrow(VerifierUnavailable);
    }
    call.mockResolvedValue('good');
    expect(await ask('a')).toBe('good');
  });

  it('closes the circuit when it was the trial', async () => {
    const ask = through403();
    await fail(ask);
    pass(PAUSE);
    call.mockRejectedValue(refusal);
    await expect(ask('odd')).rejects.toThrow(VerifierUnavailable);
    call.mockResolvedValue('good');
    expect(await ask('a')).toBe('good');
  });
});

describe('an open circuit', () => {
  it('leaves the provider alone, and says until when', async () => {
    const ask = through();
    await fail(ask);
    call.mockClear();
    pass(PAUSE - 1);
    await expect(ask('a')).rejects.toMatchObject({ name: 'VerifierUnavailable', retryAfter: 1 });
    expect(call).not.toHaveBeenCalled();
  });

  it('is tried by one call, and closed when that succeeds', async () => {
    const ask = through();
    await fail(ask);
    pass(PAUSE);
    call.mockClear().mockImplementation(async () => 'good');
    const [trial, ...others] = await Promise.allSettled([ask('a'), ask('b'), ask('c')]);
    expect(trial).toEqual({ status: 'fulfilled', value: 'good' });
    expect(others.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(call).toHaveBeenCalledOnce();
    expect(await Promise.all([ask('b'), ask('c')])).toEqual(['good', 'good']);
  });

  it('is opened for twice as long by every trial that fails, up to eight times', async () => {
    const ask = through();
    await fail(ask);
    for (const factor of [1, 2, 4, 8, 8, 8]) {
      call.mockClear();
      pass(PAUSE * factor - 1);
      await expect(ask('a')).rejects.toThrow('left alone');
      pass(1);
      await expect(ask('a')).rejects.toMatchObject({
        message: 'The endpoint failed: down',
        retryAfter: PAUSE * Math.min(8, 2 * factor),
      });
      expect(call).toHaveBeenCalledOnce();
    }
  });

  it('is opened for one pause, however many calls were under way when the provider went down', async () => {
    const ask = through();
    call.mockImplementation(down);
    await Promise.allSettled(Array.from({ length: 20 }, (_, index) => ask(String(index))));
    call.mockImplementation(async () => 'good');
    pass(PAUSE);
    expect(await ask('a')).toBe('good');
  });

  it('is not opened for longer by calls that were under way, and fail later', async () => {
    const ask = through();
    const failures: ((reason: Error) => void)[] = [];
    call.mockImplementation(() => new Promise((_, reject) => failures.push(reject)));
    const settled = Promise.allSettled(
      Array.from({ length: FAILURES + 1 }, (_, index) => ask(String(index))),
    );
    for (const reject of failures.slice(0, FAILURES)) reject(new Error('down'));
    await new Promise(setImmediate);
    pass(PAUSE / 2);
    failures[FAILURES]?.(new Error('down'));
    await settled;
    pass(PAUSE / 2);
    call.mockImplementation(async () => 'good');
    expect(await ask('a')).toBe('good');
  });

  it('begins anew after a success', async () => {
    const ask = through();
    await fail(ask);
    pass(PAUSE);
    await fail(ask, 1);
    pass(2 * PAUSE);
    call.mockImplementation(async () => 'good');
    await ask('a');
    await fail(ask, FAILURES);
    pass(PAUSE);
    call.mockImplementation(async () => 'good');
    expect(await ask('a')).toBe('good');
  });
});

describe('the number of calls under way', () => {
  it('is bounded: more are turned away at once', async () => {
    let answer = (_value: string): void => undefined;
    call.mockImplementation(
      () =>
        new Promise((resolve) => {
          const others = answer;
          answer = (value) => {
            others(value);
            resolve(value);
          };
        }),
    );
    const ask = through({ concurrency: 4 });
    const pending = Array.from({ length: 10_000 }, (_, index) => ask(String(index)));
    const settled = Promise.allSettled(pending);
    expect(call).toHaveBeenCalledTimes(4);
    answer('good');
    const outcomes = await settled;
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    expect(outcomes[9_999]).toMatchObject({ reason: { name: 'VerifierUnavailable', retryAfter: 1 } });
  });

  it('goes down again with every answer and every failure', async () => {
    const ask = through({ concurrency: 1, failures: 1000 });
    for (let count = 0; count < 20; count++) {
      call.mockImplementation(count % 2 === 0 ? down : async () => 'good');
      await ask('x').catch(() => undefined);
    }
    expect(call).toHaveBeenCalledTimes(20);
  });

  it('being exceeded does not open the circuit', async () => {
    const ask = through({ concurrency: 1, failures: 1 });
    await Promise.allSettled(Array.from({ length: 20 }, () => ask('a')));
    expect(await ask('a')).toBe('answer to a');
  });
});

describe('a circuit is refused at start-up with', () => {
  it.each<[string, CircuitOptions]>([
    ['no failure', { failures: 0 }],
    ['failures that are no number', { failures: Number.NaN }],
    ['no pause', { pause: 0 }],
    ['a pause that is no number', { pause: Number.NaN }],
    ['no concurrency', { concurrency: 0 }],
    ['concurrency that is no number', { concurrency: Number.NaN }],
  ])('%s', (_what, options) => {
    expect(() => through(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

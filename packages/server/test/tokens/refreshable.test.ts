import { VerifierUnavailable } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Refreshable } from '../../src/tokens/refreshable.js';

const MAX_AGE = 600;
const MAX_STALE = 3600;
const COOLDOWN = 30;

const load = vi.fn<() => Promise<string>>();
const refreshable = () =>
  new Refreshable({
    what: 'The thing',
    load,
    maxAge: MAX_AGE * 1000,
    maxStale: MAX_STALE * 1000,
    cooldown: COOLDOWN * 1000,
  });

const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1000);
/** Lets what happens in the background happen. */
const settle = async () => {
  for (let count = 0; count < 10; count++) await Promise.resolve();
};
const down = () => Promise.reject(new Error('down'));

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
  let version = 0;
  load.mockReset().mockImplementation(async () => `v${String(++version)}`);
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a value', () => {
  it('is not loaded before it is asked for', () => {
    refreshable();
    expect(load).not.toHaveBeenCalled();
  });

  it('is loaded once for all who ask at the same time', async () => {
    const thing = refreshable();
    expect(await Promise.all([thing.get(), thing.get(), thing.getAfterMiss()])).toEqual(['v1', 'v1', 'v1']);
    expect(load).toHaveBeenCalledOnce();
  });

  it('is not loaded again while it is fresh', async () => {
    const thing = refreshable();
    await thing.get();
    pass(MAX_AGE - 1);
    expect(await thing.get()).toBe('v1');
    expect(load).toHaveBeenCalledOnce();
  });

  it('is refreshed in the background, by one load, when it is no longer fresh', async () => {
    const thing = refreshable();
    await thing.get();
    pass(MAX_AGE);
    expect(await Promise.all([thing.get(), thing.get(), thing.get()])).toEqual(['v1', 'v1', 'v1']);
    await settle();
    expect(load).toHaveBeenCalledTimes(2);
    expect(await thing.get()).toBe('v2');
  });

  it('is waited for when it is too old to be used', async () => {
    const thing = refreshable();
    await thing.get();
    pass(MAX_STALE);
    expect(await thing.get()).toBe('v2');
  });
});

describe('a value that nobody asked for so long that a part of it may be withdrawn', () => {
  const unasked = () =>
    new Refreshable({
      what: 'The thing',
      load,
      maxAge: MAX_AGE * 1000,
      maxUnasked: 2 * MAX_AGE * 1000,
      maxStale: MAX_STALE * 1000,
      cooldown: COOLDOWN * 1000,
    });

  it('is waited for', async () => {
    const thing = unasked();
    await thing.get();
    pass(2 * MAX_AGE);
    expect(await Promise.all([thing.get(), thing.get()])).toEqual(['v2', 'v2']);
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('is used on before', async () => {
    const thing = unasked();
    await thing.get();
    pass(2 * MAX_AGE - 1);
    expect(await thing.get()).toBe('v1');
  });

  it('is used on where its owner is down, and nobody waits once that is known', async () => {
    const thing = unasked();
    await thing.get();
    pass(2 * MAX_AGE);
    load.mockImplementationOnce(down);
    expect(await thing.get()).toBe('v1');
    pass(COOLDOWN);
    load.mockImplementation(() => new Promise(() => undefined));
    expect(await thing.get()).toBe('v1');
    expect(load).toHaveBeenCalledTimes(3);
  });
});

describe('while the owner is down', () => {
  it('there is none at first, and no more than one attempt a cool-down', async () => {
    load.mockImplementation(down);
    const thing = refreshable();
    for (let second = 0; second < COOLDOWN; second++) {
      await expect(thing.get()).rejects.toThrow(VerifierUnavailable);
      pass(1);
    }
    expect(load).toHaveBeenCalledOnce();
    await expect(thing.get()).rejects.toThrow('The thing cannot be loaded: down');
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('the last one is used on, and refreshed once a cool-down', async () => {
    const thing = refreshable();
    await thing.get();
    load.mockImplementation(down);
    pass(MAX_AGE);
    for (let second = 0; second < 2 * COOLDOWN; second++) {
      expect(await thing.get()).toBe('v1');
      await settle();
      pass(1);
    }
    expect(load).toHaveBeenCalledTimes(1 + 2);
  });

  it('the last one is used no longer than maxStale, counted from when it was loaded', async () => {
    const thing = refreshable();
    await thing.get();
    load.mockImplementation(down);
    for (let second = 0; second < MAX_STALE; second += 10) {
      expect(await thing.get()).toBe('v1');
      await settle();
      pass(10);
    }
    await expect(thing.get()).rejects.toThrow(VerifierUnavailable);
  });

  it('a miss is not answered from the last one: nobody knows', async () => {
    const thing = refreshable();
    await thing.get();
    load.mockImplementation(down);
    for (let count = 0; count < 5; count++) {
      await expect(thing.getAfterMiss()).rejects.toThrow(VerifierUnavailable);
    }
    expect(load).toHaveBeenCalledTimes(2);
    pass(COOLDOWN);
    await expect(thing.getAfterMiss()).rejects.toThrow(VerifierUnavailable);
    expect(load).toHaveBeenCalledTimes(3);
    // What is known is known all the same.
    expect(await thing.get()).toBe('v1');
  });

  it('a failure in the background is nobody’s unhandled rejection', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const thing = refreshable();
    await thing.get();
    load.mockImplementation(down);
    pass(MAX_AGE);
    await thing.get();
    await new Promise((resolve) => setImmediate(resolve));
    expect(load).toHaveBeenCalledTimes(2);
    expect(unhandled).not.toHaveBeenCalled();
    process.off('unhandledRejection', unhandled);
  });

  it('says when to try again', async () => {
    load.mockImplementation(down);
    await expect(refreshable().get()).rejects.toMatchObject({
      retryAfter: COOLDOWN,
      cause: expect.objectContaining({ message: 'down' }) as Error,
    });
  });

  it('a failure that is no Error is described', async () => {
    load.mockImplementation(async () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- what a careless fetch may do
      throw 'nothing to say';
    });
    await expect(refreshable().get()).rejects.toThrow('The thing cannot be loaded: nothing to say');
  });
});

describe('when the owner is back', () => {
  it('its value is loaded after the cool-down, and is fresh again', async () => {
    const thing = refreshable();
    load.mockImplementationOnce(down);
    await expect(thing.get()).rejects.toThrow();
    pass(COOLDOWN);
    expect(await thing.get()).toBe('v1');
    pass(MAX_AGE - 1);
    expect(await thing.get()).toBe('v1');
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('a miss may load again', async () => {
    const thing = refreshable();
    await thing.get();
    load.mockImplementationOnce(down);
    await expect(thing.getAfterMiss()).rejects.toThrow();
    pass(COOLDOWN);
    expect(await thing.getAfterMiss()).toBe('v2');
  });
});

describe('a miss', () => {
  it('loads once a cool-down, whoever asks however often', async () => {
    const thing = refreshable();
    await thing.get();
    const seen: string[] = [];
    for (let second = 0; second < 3 * COOLDOWN; second++) {
      for (const value of await Promise.all([thing.getAfterMiss(), thing.getAfterMiss()])) seen.push(value);
      pass(1);
    }
    expect(load).toHaveBeenCalledTimes(1 + 3);
    expect(new Set(seen)).toEqual(new Set(['v2', 'v3', 'v4']));
  });

  it('makes the value fresh', async () => {
    const thing = refreshable();
    await thing.get();
    pass(MAX_AGE - 1);
    await thing.getAfterMiss();
    pass(MAX_AGE - 1);
    expect(await thing.get()).toBe('v2');
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('shares a load that is under way', async () => {
    const thing = refreshable();
    await thing.get();
    pass(MAX_AGE);
    expect(await thing.get()).toBe('v1');
    expect(await thing.getAfterMiss()).toBe('v2');
    expect(load).toHaveBeenCalledTimes(2);
  });
});

import { memoryReplayStore, VerifierUnavailable, type ReplayStore } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const MINUTE = 60_000;

const add = async (store: ReplayStore, key: string, life = MINUTE) => store.add(key, Date.now() + life);

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a replay store', () => {
  it('takes a key once', async () => {
    const store = memoryReplayStore();
    expect(await add(store, 'a')).toBe(true);
    expect(await add(store, 'a')).toBe(false);
    expect(await add(store, 'b')).toBe(true);
  });

  it('takes a key once, by whatever name: __proto__', async () => {
    const store = memoryReplayStore();
    for (const key of ['__proto__', 'constructor', '']) {
      expect(await add(store, key)).toBe(true);
      expect(await add(store, key)).toBe(false);
    }
  });

  it('does not forget a key before its end', async () => {
    const store = memoryReplayStore();
    await add(store, 'a');
    vi.advanceTimersByTime(MINUTE - 1);
    expect(await add(store, 'a')).toBe(false);
  });

  it('does not let a second try prolong the first', async () => {
    const store = memoryReplayStore(1);
    await add(store, 'a');
    vi.advanceTimersByTime(MINUTE / 2);
    await add(store, 'a');
    vi.advanceTimersByTime(MINUTE / 2);
    expect(await add(store, 'b')).toBe(true);
  });

  it('forgets keys that have ended', async () => {
    const store = memoryReplayStore(2);
    for (let count = 0; count < 100; count++) {
      expect(await add(store, `a${String(count)}`)).toBe(true);
      vi.advanceTimersByTime(MINUTE / 2);
    }
  });

  it('that is full turns new keys away, and forgets none: a proof could be used again', async () => {
    const store = memoryReplayStore(3);
    for (const key of ['a', 'b', 'c']) await add(store, key);
    await expect(add(store, 'd')).rejects.toThrow(VerifierUnavailable);
    for (const key of ['a', 'b', 'c']) expect(await add(store, key)).toBe(false);
    vi.advanceTimersByTime(MINUTE);
    expect(await add(store, 'd')).toBe(true);
  });

  it('that is full looks for keys that ended out of order once a second, and not for every key', async () => {
    const store = memoryReplayStore(2);
    await add(store, 'long', 2 * MINUTE);
    await add(store, 'short', 500);
    await expect(add(store, 'a')).rejects.toThrow(VerifierUnavailable);
    vi.advanceTimersByTime(600);
    await expect(add(store, 'a')).rejects.toThrow(VerifierUnavailable);
    vi.advanceTimersByTime(400);
    expect(await add(store, 'a')).toBe(true);
  });

  it.each([NaN, 0, -1, 1.5, '10', { maxKeys: 10 }])('of %j keys is a configuration error', (maxKeys) => {
    expect(() => memoryReplayStore(maxKeys as number)).toThrow(/maxKeys must be a positive integer/);
  });

  it('has room again when keys have ended that came after one that lives on', async () => {
    const store = memoryReplayStore(3);
    await add(store, 'long', 2 * MINUTE);
    await add(store, 'a');
    await add(store, 'b');
    vi.advanceTimersByTime(MINUTE);
    expect(await add(store, 'c')).toBe(true);
    expect(await add(store, 'long')).toBe(false);
  });
});

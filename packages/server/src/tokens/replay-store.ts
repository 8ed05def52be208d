import { configurationError, VerifierUnavailable } from '../errors.js';

/** Remembers what may be used only once. For several processes, put a shared one behind this interface. */
export interface ReplayStore {
  /**
   * Adds a key unless it is there, in one step.
   *
   * @param expiresAt milliseconds since the epoch after which the key may be forgotten
   * @returns false when the key was there already
   */
  add(key: string, expiresAt: number): boolean | Promise<boolean>;
}

/** A store that is full must not be walked through for every key. */
const SWEEP_INTERVAL_MS = 1_000;

/**
 * Keeps keys in this process. When it is full of keys that are still live, it turns new ones away: forgetting one early
 * would let it be used again.
 *
 * @param maxKeys default 100 000
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function memoryReplayStore(maxKeys = 100_000): ReplayStore {
  if (!Number.isInteger(maxKeys) || maxKeys < 1) {
    throw configurationError('INVALID_OPTION', 'memoryReplayStore(): maxKeys must be a positive integer.');
  }
  const keys = new Map<string, number>();

  let sweptAt = -Infinity;

  // Keys end almost in the order in which they came. Those that end out of order are looked for when room is needed.
  function forgetEnded(now: number): void {
    const isSweep = keys.size >= maxKeys && now - sweptAt >= SWEEP_INTERVAL_MS;
    if (isSweep) sweptAt = now;
    for (const [key, expiresAt] of keys) {
      if (expiresAt <= now) keys.delete(key);
      else if (!isSweep) return;
    }
  }

  return {
    add(key, expiresAt) {
      forgetEnded(Date.now());
      if (keys.has(key)) return false;
      if (keys.size >= maxKeys) {
        throw new VerifierUnavailable('The replay store is full.', { retryAfter: 1 });
      }
      keys.set(key, expiresAt);
      return true;
    },
  };
}

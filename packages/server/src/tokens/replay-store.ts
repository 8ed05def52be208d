import { VerifierUnavailable } from '../errors.js';

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

/**
 * Keeps keys in this process. When it is full of keys that are still live, it turns new ones away: forgetting one early
 * would let it be used again.
 *
 * @param maxKeys default 100 000
 */
export function memoryReplayStore(maxKeys = 100_000): ReplayStore {
  const keys = new Map<string, number>();

  // Keys of one store live equally long, so the map is ordered by their end.
  function forgetEnded(now: number): void {
    for (const [key, expiresAt] of keys) {
      if (expiresAt > now) return;
      keys.delete(key);
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

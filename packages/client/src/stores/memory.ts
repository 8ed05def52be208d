import { oneByOne } from '../oauth/shared-work.js';
import type { TokenStore } from './token-store.js';

/** Keeps logins as long as the process lives, such as for several sources that share them. */
export function memoryTokenStore(): TokenStore {
  const values = new Map<string, string>();
  return {
    get: async (key) => values.get(key),
    async set(key, value) {
      values.set(key, value);
    },
    async delete(key) {
      values.delete(key);
    },
    withLock: oneByOne(),
  };
}

import { AgentSecurity, apiKey } from '@a2a-auth/server';

import { API_KEY_HEADER } from '../settings.js';
import { decisions, measureRounds } from './rounds.js';

/** How many of the keys are used, at most: enough that none is still in the processor's cache by chance. */
const KEYS_USED = 10_000;

await measureRounds(({ keyCounts }) =>
  Object.fromEntries(
    keyCounts.map((count) => {
      // Made by counting, because a random key takes longer to make than to store.
      const keys = Array.from(
        { length: count },
        (_, index) => `bench-key-of-thirty-two-letters-${String(index)}`,
      );
      const used = keys.filter((_, index) => index % Math.ceil(count / KEYS_USED) === 0);
      const security = new AgentSecurity()
        .addSecurityScheme('key', apiKey({ in: 'header', name: API_KEY_HEADER, keys }))
        .addSecurityRequirement({ key: [] });
      return [String(count), decisions(security, API_KEY_HEADER, used)];
    }),
  ),
);

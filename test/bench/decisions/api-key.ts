import { AgentSecurity, apiKey } from '@a2a-auth/server';

import { API_KEY_HEADER } from '../settings.js';
import { decisions, measureRounds } from './rounds.js';

/** How many keys are presented in turn: enough that none of those stored is still in the processor's cache by chance. */
const KEYS_PRESENTED = 10_000;

await measureRounds(({ keyCounts }) =>
  Object.fromEntries(
    keyCounts.map((count) => {
      const keys = Array.from({ length: count }, (_, number) => keyOf(number));
      const security = new AgentSecurity()
        .addSecurityScheme('key', apiKey({ in: 'header', name: API_KEY_HEADER, keys }))
        .addSecurityRequirement({ key: [] });
      const step = Math.ceil(count / KEYS_PRESENTED);
      const presented = (index: number) => keyOf(((index % KEYS_PRESENTED) * step) % count);
      return [String(count), decisions(security, API_KEY_HEADER, presented)];
    }),
  ),
);

/** Made by counting, because a random key takes longer to make than to store; each time anew, as the header of a request is. */
function keyOf(number: number): string {
  return `bench-key-of-thirty-two-letters-${String(number)}`;
}

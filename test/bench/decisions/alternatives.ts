import { AgentSecurity, apiKey } from '@a2a-auth/server';

import { decisions, measureRounds } from './rounds.js';

const KEY = 'bench-key-of-thirty-two-letters-0';

await measureRounds(() =>
  Object.fromEntries(
    Array.from({ length: 10 }, (_, index) => {
      const count = index + 1;
      const last = `x-key-${String(count)}`;
      return [String(count), decisions(securityOf(count), last, () => KEY)];
    }),
  ),
);

function securityOf(count: number): AgentSecurity<string> {
  const security = new AgentSecurity<string>();
  for (let number = 1; number <= count; number++) {
    const id = `key${String(number)}`;
    security
      .addSecurityScheme(id, apiKey({ in: 'header', name: `X-Key-${String(number)}`, keys: [KEY] }))
      .addSecurityRequirement({ [id]: [] });
  }
  return security;
}

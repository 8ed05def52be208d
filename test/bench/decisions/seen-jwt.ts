import { AgentSecurity, httpBearer, jwt } from '@a2a-auth/server';

import { AUDIENCE, ISSUER } from '../settings.js';
import { createTokenIssuer } from '../tokens.js';
import { decisions, measureRounds } from './rounds.js';

const CALLERS = 100;

await measureRounds(() => {
  const issuer = createTokenIssuer();
  const security = new AgentSecurity()
    .addSecurityScheme(
      'token',
      httpBearer({ verifier: jwt({ issuer: ISSUER, audience: AUDIENCE, publicKey: issuer.publicKey }) }),
    )
    .addSecurityRequirement({ token: [] });
  const values = issuer.issue(CALLERS).map((token) => `Bearer ${token}`);
  return {
    'JWT seen before': decisions(security, 'authorization', (index) => values[index % CALLERS] ?? ''),
  };
});

import { AgentSecurity, apiKey, httpBearer, jwt } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';

import { ALGORITHM, API_KEY_HEADER, AUDIENCE, ISSUER, type GivenSettings } from '../settings.js';
import { createApp, createRequestHandler, serve, settings } from './agent.js';

const { apiKey: key, publicKey } = settings<GivenSettings>();

const security = new AgentSecurity()
  .addSecurityScheme(
    'token',
    httpBearer({
      verifier: jwt({ issuer: ISSUER, audience: AUDIENCE, publicKey, algorithms: [ALGORITHM] }),
    }),
  )
  .addSecurityScheme('key', apiKey({ in: 'header', name: API_KEY_HEADER, keys: [key] }))
  .addSecurityRequirement({ token: [] })
  .addSecurityRequirement({ key: [] });

const app = createApp();
app.use(agentRouter({ security, requestHandler: createRequestHandler() }));
await serve(app);

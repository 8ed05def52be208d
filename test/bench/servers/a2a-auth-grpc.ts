import { AgentSecurity, apiKey, httpBearer, jwt } from '@a2a-auth/server';
import { agentServices } from '@a2a-auth/server/grpc';

import { ALGORITHM, API_KEY_HEADER, AUDIENCE, ISSUER, type GivenSettings } from '../settings.js';
import { createRequestHandler, settings } from './agent.js';
import { serveGrpc } from './grpc-server.js';

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

await serveGrpc(agentServices({ security, requestHandler: createRequestHandler() }));

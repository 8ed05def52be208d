import { AgentSecurity, httpBearer, jwtFromIssuer } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';

import { AUDIENCE, ISSUER, type IssuerSettings } from '../settings.js';
import { createApp, createRequestHandler, serve, settings } from './agent.js';

const { algorithm, jwksUri, keys = {} } = settings<IssuerSettings>();

const security = new AgentSecurity()
  .addSecurityScheme(
    'token',
    httpBearer({
      verifier: jwtFromIssuer({
        issuer: { issuer: ISSUER, jwksUri, algorithms: [algorithm] },
        audience: AUDIENCE,
        keys,
      }),
    }),
  )
  .addSecurityRequirement({ token: [] });

const app = createApp();
app.use(agentRouter({ security, requestHandler: createRequestHandler() }));
await serve(app);

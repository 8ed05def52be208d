import { AgentSecurity, httpBearer, introspection } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';

import { AUDIENCE, ISSUER, type IntrospectionSettings } from '../settings.js';
import { createApp, createRequestHandler, serve, settings } from './agent.js';

const { endpoint } = settings<IntrospectionSettings>();

const security = new AgentSecurity()
  .addSecurityScheme(
    'token',
    httpBearer({
      verifier: introspection({
        issuer: ISSUER,
        endpoint,
        audience: AUDIENCE,
        clientId: 'agent',
        clientAuthentication: { method: 'client_secret_basic', clientSecret: 'bench' },
      }),
    }),
  )
  .addSecurityRequirement({ token: [] });

const app = createApp();
app.use(agentRouter({ security, requestHandler: createRequestHandler() }));
await serve(app);

import type { AddressInfo } from 'node:net';

import { AgentSecurity, certificateTrust, mutualTls, serveMutualTls } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';

import type { TlsSettings } from '../settings.js';
import { createApp, createRequestHandler, report, settings } from './agent.js';

const { files, trust: folder } = settings<TlsSettings>();

const trust = certificateTrust({ folder });
const security = new AgentSecurity()
  .addSecurityScheme('certificate', mutualTls({ trust }))
  .addSecurityRequirement({ certificate: [] });

const app = createApp();
app.use(agentRouter({ security, requestHandler: createRequestHandler() }));
const { server } = await serveMutualTls(app, { ...files, trust, port: 0, host: '127.0.0.1' });
report((server.address() as AddressInfo).port);

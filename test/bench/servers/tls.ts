import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import type { TlsSettings } from '../settings.js';
import { agentBehind, report, settings, userNamed } from './agent.js';

const { certificate, key, ca } = settings<TlsSettings>();

// Clients need a certificate here too, so that both do the same handshake.
const tls = { cert: certificate, key, ca, requestCert: true, rejectUnauthorized: true };
const server = createServer(
  tls,
  agentBehind([], () => userNamed(undefined)),
);
await once(server.listen(0, '127.0.0.1'), 'listening');
report((server.address() as AddressInfo).port);

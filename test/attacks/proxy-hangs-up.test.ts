import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { connect as connectTls } from 'node:tls';

import {
  AgentSecurity,
  certificateTrust,
  createDevelopmentPki,
  mutualTls,
  nginxClientCertificate,
  type AgentSecurityOptions,
  type AuthRequest,
  type DecisionEvent,
  type DevelopmentPki,
  type PresentedCertificate,
  type SecurityScheme,
} from '@a2a-auth/server';
import { agentRouter, toAuthRequest } from '@a2a-auth/server/express';
import express from 'express';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../../packages/server/test/support/auth-request.js';
import { agentCard, createAgent } from '../support/agent.js';
import { jsonRpc, message } from '../support/operations.js';

// A proxy may show the agent a certificate of its own. Whoever calls through it can make it hang up, and then the agent
// does not know any more from which address the request came.

let pki: DevelopmentPki;
beforeAll(async () => {
  pki = await createDevelopmentPki({ clients: ['proxy'] });
});
afterAll(() => rm(pki.folder, { recursive: true }));

/** An agent behind a proxy on this machine, over TLS. */
async function start() {
  const decisions: DecisionEvent[] = [];
  const security = new AgentSecurity({
    onDecision: (event) => decisions.push(event),
    forwardedCertificate: { from: ['127.0.0.1'], format: nginxClientCertificate() },
  })
    .addSecurityScheme('mtls', mutualTls({ trust: certificateTrust({ folder: pki.knownClients }) }))
    .addSecurityRequirement({ mtls: [] });
  const { executor, requestHandler } = createAgent(agentCard('https://agent.example'));
  const requests: AuthRequest[] = [];
  const app = express();
  app.use((req, _res, next) => {
    requests.push(toAuthRequest(req));
    next();
  });
  app.use(agentRouter({ security, requestHandler }));
  const [cert, key, ca] = await Promise.all(
    [pki.server.certificate, pki.server.key, pki.ca].map((path) => readFile(path)),
  );
  const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false }, app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    decisions,
    executor,
    requests,
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The proxy passes a message of a caller without a certificate on, and resets the connection before it is looked at. */
async function passOnAndHangUp(port: number): Promise<void> {
  const { certificate, key } = pki.clients.proxy ?? { certificate: '', key: '' };
  const connection = connect(port, '127.0.0.1');
  const proxy = connectTls({
    socket: connection,
    cert: await readFile(certificate),
    key: await readFile(key),
    ca: await readFile(pki.ca),
  });
  for (const socket of [connection, proxy]) socket.on('error', () => undefined);
  await once(proxy, 'secureConnect');
  const body = JSON.stringify(jsonRpc('SendMessage', { message: message['1.0'] }));
  const head = [
    'POST /a2a/jsonrpc HTTP/1.1',
    'Host: agent.example',
    'A2A-Version: 1.0',
    'Content-Type: application/json',
    `Content-Length: ${String(body.length)}`,
  ];
  // Both before this thread, which is the agent's too, reads anything.
  proxy.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  connection.resetAndDestroy();
}

describe('a proxy that hangs up on the agent', () => {
  it('does not leave its own certificate to the caller', async () => {
    const agent = await start();
    try {
      // The reset may come before the request is read: then there is no request at all, and it is tried again.
      await vi.waitFor(
        async () => {
          await passOnAndHangUp(agent.port);
          await vi.waitFor(() => {
            expect(agent.decisions).not.toHaveLength(0);
          });
        },
        { timeout: 20_000 },
      );
      expect(agent.requests[0]?.peerAddress).toBeUndefined();
      expect(agent.decisions[0]).toMatchObject({ granted: false, reason: 'missing_credential' });
      expect(agent.executor.calls).toHaveLength(0);
    } finally {
      agent.close();
    }
  });
});

describe.each([undefined, ''])('a connection from the address %j', (peerAddress) => {
  const anyCertificate: SecurityScheme<PresentedCertificate> = {
    declaration: { type: 'mutualTLS' },
    extract: (request) => request.clientCertificate,
    verify: () => ({ verified: true, principal: { subject: 'whoever it is' } }),
  };
  const request: AuthRequest = {
    ...authRequest({ clientCertificate: { der: Uint8Array.of(1) } }),
    peerAddress,
  };
  const decide = (options: AgentSecurityOptions) =>
    new AgentSecurity(options)
      .addSecurityScheme('mtls', anyCertificate)
      .addSecurityRequirement({ mtls: [] })
      .authenticate(request);

  it('has no certificate where proxies pass them on', async () => {
    const forwardedCertificate = { from: ['192.0.2.1'], format: nginxClientCertificate() };
    expect(await decide({ forwardedCertificate })).toMatchObject({ reason: 'missing_credential' });
  });

  it('has its own where there is no proxy', async () => {
    expect((await decide({})).granted).toBe(true);
  });
});

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

import { startAuthorizationServer } from '@a2a-auth/example-authorization-server';
import { agentRouter } from '@a2a-auth/server/express';
import express from 'express';

import { createRequestHandler } from './agent.js';
import { runDemo, runDeviceFlowDemo } from './demo.js';
import { clientCredentialsToken, createClients } from './oauth-clients.js';
import { createSecurity, scopes, type Alternative } from './security.js';

/** What a stream that is still open at SIGTERM has, to come to its end. */
const DRAIN_MS = 10_000;
const TOKEN_TTL_SECONDS = 12 * 3600;

// The authorization server's notices go to standard output, which belongs to what this program says.
console.info = console.error;

const port = Number(process.env.PORT ?? 41_241);
if (!Number.isInteger(port) || port < 1 || port > 65_534) {
  console.error(
    `PORT must be a number from 1 to 65534 (the next one is used as well), not ${String(process.env.PORT)}.`,
  );
  process.exit(1);
}
const baseUrl = `http://localhost:${String(port)}`;
const resource = `${baseUrl}/a2a`;
const endpoints = { JSONRPC: `${resource}/jsonrpc`, 'HTTP+JSON': `${resource}/rest` };
const cardUrl = `${baseUrl}/.well-known/agent-card.json`;

const clients = createClients(() => randomBytes(24).toString('base64url'));
const authorizationServer = await startAuthorizationServer({
  port: port + 1,
  resource,
  scopes: Object.keys(scopes),
  clients: Object.values(clients),
  accessTokenTtl: TOKEN_TTL_SECONDS,
});
const { security, alternatives } = await createSecurity({ resource, issuer: authorizationServer.issuer });
const serviceToken = await clientCredentialsToken(authorizationServer, clients.orchestrator, resource);
const allAlternatives = [
  ...alternatives,
  { name: 'service', headers: { Authorization: `Bearer ${serviceToken}` } },
];

const app = express();
app.disable('x-powered-by');
app.use(agentRouter({ security, requestHandler: createRequestHandler(endpoints) }));

const server = createServer(app).listen(port);
await once(server, 'listening');
stopOnSignal([server, authorizationServer.server]);

if (process.argv.includes('--json')) {
  console.log(
    JSON.stringify({
      cardUrl,
      endpoints,
      alternatives: allAlternatives,
      authorizationServer: { issuer: authorizationServer.issuer, resource, clients: Object.values(clients) },
    }),
  );
} else {
  console.log(`The agent card: ${cardUrl}\n`);
  console.log(`A denied call:\n${curl({})}\n`);
  console.log(`A granted call:\n${curl(alternatives[0].headers)}\n`);
  const monitorToken = await clientCredentialsToken(authorizationServer, clients.monitor, resource);
  await runDemo(baseUrl, [
    { name: 'no credentials', headers: {} },
    ...allAlternatives,
    { name: 'a token that lacks a scope', headers: { Authorization: `Bearer ${monitorToken}` } },
  ]);
  await runDeviceFlowDemo(baseUrl, authorizationServer, clients.terminal, resource);
}

function curl(headers: Alternative['headers']): string {
  const all = { 'Content-Type': 'application/json', 'A2A-Version': '1.0', ...headers };
  const body = {
    jsonrpc: '2.0',
    id: 1,
    method: 'SendMessage',
    params: { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Who am I?' }] } },
  };
  const flags = Object.entries(all).map(([name, value]) => `  -H '${name}: ${value}' \\`);
  return [`curl -i ${endpoints.JSONRPC} \\`, ...flags, `  -d '${JSON.stringify(body)}'`].join('\n');
}

/** Takes no new calls, lets open streams come to their end, and leaves. */
function stopOnSignal(servers: readonly Server[]): void {
  const stop = async () => {
    const closed = servers.map((running) => once(running, 'close'));
    for (const running of servers) running.close();
    // A connection becomes idle when its stream has ended.
    const idle = setInterval(() => {
      for (const running of servers) running.closeIdleConnections();
    }, 100);
    await Promise.race([Promise.all(closed), wait(DRAIN_MS)]);
    clearInterval(idle);
    process.exit(0);
  };
  process.once('SIGTERM', () => void stop());
  process.once('SIGINT', () => void stop());
}

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';

import { startAuthorizationServer } from '@a2a-auth/example-authorization-server';
import { certificateTrust, createDevelopmentPki, serveMutualTls } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentServices } from '@a2a-auth/server/grpc';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
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
if (!Number.isInteger(port) || port < 1 || port > 65_532) {
  console.error(
    `PORT must be a number from 1 to 65532 (the next three are used as well), not ${String(process.env.PORT)}.`,
  );
  process.exit(1);
}
const unknownArguments = process.argv.slice(2).filter((argument) => argument !== '--json');
if (unknownArguments.length > 0) {
  console.error(`There is only the argument --json, and no ${unknownArguments.join(' ')}.`);
  process.exit(1);
}
process.once('uncaughtException', (error: NodeJS.ErrnoException & { port?: number }) => {
  console.error(
    error.code === 'EADDRINUSE'
      ? `Port ${String(error.port)} is taken. Set PORT to another number that is free, like the next three, such as PORT=${String(port > 60_000 ? 42_000 : port + 10)} npm start`
      : error,
  );
  process.exit(1);
});
const baseUrl = `http://localhost:${String(port)}`;
const resource = `${baseUrl}/a2a`;
const endpoints = {
  JSONRPC: `${resource}/jsonrpc`,
  'HTTP+JSON': `${resource}/rest`,
  GRPC: `localhost:${String(port + 3)}`,
};
const mtlsEndpoint = `https://localhost:${String(port + 2)}/a2a/jsonrpc`;
const cardUrl = `${baseUrl}/.well-known/agent-card.json`;

const clients = createClients(() => randomBytes(24).toString('base64url'));
const authorizationServer = await startAuthorizationServer({
  port: port + 1,
  resource,
  scopes: Object.keys(scopes),
  clients: Object.values(clients),
  accessTokenTtl: TOKEN_TTL_SECONDS,
});
const pki = await createDevelopmentPki({ clients: ['example-client'] });
const trust = certificateTrust({ folder: pki.knownClients });
const { security, alternatives } = await createSecurity({
  resource,
  issuer: authorizationServer.issuer,
  trust,
});
const serviceToken = await clientCredentialsToken(authorizationServer, clients.orchestrator, resource);
const allAlternatives = [
  ...alternatives,
  { name: 'service', headers: { Authorization: `Bearer ${serviceToken}` } },
];

const app = express();
app.disable('x-powered-by');
const requestHandler = createRequestHandler(endpoints);
app.use(agentRouter({ security, requestHandler }));

const server = createServer(app).listen(port);
await once(server, 'listening');
const mtls = await serveMutualTls(app, { ...pki.server, trust, port: port + 2 });
const grpcServer = await serveGrpc(port + 3);
stopOnSignal([server, mtls.server, authorizationServer.server], grpcServer);
const exampleClient = pki.clients['example-client'];

if (process.argv.includes('--json')) {
  console.log(
    JSON.stringify({
      cardUrl,
      endpoints,
      mtls: { endpoint: mtlsEndpoint, ca: pki.ca, ...exampleClient },
      alternatives: allAlternatives,
      authorizationServer: { issuer: authorizationServer.issuer, resource, clients: Object.values(clients) },
    }),
  );
} else {
  console.log(`The agent card: ${cardUrl}\n`);
  console.log(`A denied call:\n${curl({})}\n`);
  console.log(`A granted call:\n${curl(alternatives[0].headers)}\n`);
  console.log(`A call with a client certificate instead:\n${curl({}, mtlsEndpoint)}\n`);
  console.log(`The agent by gRPC: ${endpoints.GRPC} (plain text)\n`);
  const monitorToken = await clientCredentialsToken(authorizationServer, clients.monitor, resource);
  await runDemo(baseUrl, [
    { name: 'no credentials', headers: {} },
    ...allAlternatives,
    { name: 'a token that lacks a scope', headers: { Authorization: `Bearer ${monitorToken}` } },
  ]);
  await runDeviceFlowDemo(baseUrl, authorizationServer, clients.terminal, resource);
}

async function serveGrpc(port: number): Promise<GrpcServer> {
  const grpc = new GrpcServer();
  for (const { definition, implementation } of agentServices({ security, requestHandler })) {
    grpc.addService(definition, implementation);
  }
  await promisify(grpc.bindAsync.bind(grpc))(`localhost:${String(port)}`, ServerCredentials.createInsecure());
  return grpc;
}

function curl(headers: Alternative['headers'], endpoint = endpoints.JSONRPC): string {
  const all = { 'Content-Type': 'application/json', 'A2A-Version': '1.0', ...headers };
  const body = {
    jsonrpc: '2.0',
    id: 1,
    method: 'SendMessage',
    params: { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Who am I?' }] } },
  };
  const flags = Object.entries(all).map(([name, value]) => `  -H '${name}: ${value}' \\`);
  if (endpoint === mtlsEndpoint) {
    flags.push(
      `  --cacert ${pki.ca} --cert ${exampleClient?.certificate ?? ''} --key ${exampleClient?.key ?? ''} \\`,
    );
  }
  return [`curl -i ${endpoint} \\`, ...flags, `  -d '${JSON.stringify(body)}'`].join('\n');
}

/** Takes no new calls, lets open streams come to their end, and leaves. */
function stopOnSignal(servers: readonly Server[], grpc: GrpcServer): void {
  const stop = async () => {
    const closed = [
      ...servers.map((running) => once(running, 'close')),
      promisify(grpc.tryShutdown.bind(grpc))(),
    ];
    for (const running of servers) running.close();
    // A connection becomes idle when its stream has ended.
    const idle = setInterval(() => {
      for (const running of servers) running.closeIdleConnections();
    }, 100);
    await Promise.race([Promise.all(closed), wait(DRAIN_MS)]);
    clearInterval(idle);
    await rm(pki.folder, { recursive: true, force: true });
    process.exit(0);
  };
  process.once('SIGTERM', () => void stop());
  process.once('SIGINT', () => void stop());
}

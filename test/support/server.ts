import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { AgentCard } from '@a2a-js/sdk';
import type { AgentSecurity } from '@a2a-auth/server';
import { agentRouter, type AgentRouterOptions } from '@a2a-auth/server/express';
import express, { type Express } from 'express';
import { afterAll, afterEach } from 'vitest';

import { agentCard, createAgent } from './agent.js';
import { createSecurity } from './credentials.js';

const perTest = new Set<Server>();
const perFile = new Set<Server>();

async function closeAll(servers: Set<Server>): Promise<void> {
  const closing = [...servers].map((server) => once(server.close(), 'close'));
  for (const server of servers) server.closeAllConnections();
  servers.clear();
  await Promise.all(closing);
}

/** Listens on an ephemeral port, before there is anything to serve: the card wants to name the port. */
export async function listen(lifetime: 'test' | 'file' = 'test') {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  (lifetime === 'test' ? perTest : perFile).add(server);
  return {
    server,
    port,
    url: `http://127.0.0.1:${String(port)}`,
    serve: (app: Express) => {
      server.on('request', app);
    },
  };
}

/** To be called once in a test file. */
export function closeServersAfterTests(): void {
  afterEach(() => closeAll(perTest));
  afterAll(() => closeAll(perFile));
}

export interface StartOptions {
  readonly lifetime?: 'test' | 'file';
  readonly security?: AgentSecurity<string>;
  readonly card?: Partial<AgentCard>;
  readonly router?: Partial<AgentRouterOptions>;
}

/** A whole agent behind `agentRouter`, on a real HTTP server. */
export async function startAgent(options: StartOptions = {}) {
  const { lifetime, security = createSecurity(), card: changes, router } = options;
  const { server, port, url, serve } = await listen(lifetime);
  const card = agentCard(url, changes);
  const agent = createAgent(card);
  const app = express();
  app.use(agentRouter({ security, requestHandler: agent.requestHandler, ...router }));
  serve(app);
  return {
    ...agent,
    server,
    port,
    url,
    card,
    security,
    jsonRpcUrl: `${url}/a2a/jsonrpc`,
    restUrl: `${url}/a2a/rest`,
    cardUrl: `${url}/.well-known/agent-card.json`,
  };
}

export type RunningAgent = Awaited<ReturnType<typeof startAgent>>;

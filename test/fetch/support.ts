import type { AgentCard } from '@a2a-js/sdk';
import type { AgentSecurity } from '@a2a-auth/server';
import { agentFetchHandler, type AgentFetchHandlerOptions } from '@a2a-auth/server/fetch';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';

import { agentCard, createAgent } from '../support/agent.js';
import { createSecurity } from '../support/credentials.js';
import { listen } from '../support/server.js';

export interface FetchAgentOptions {
  readonly security?: AgentSecurity<string>;
  readonly card?: Partial<AgentCard>;
  readonly handler?: Partial<AgentFetchHandlerOptions>;
}

/** A whole agent behind `agentFetchHandler`, without any server: requests are handed to it. */
export function createFetchAgent(options: FetchAgentOptions & { readonly url?: string } = {}) {
  const { security = createSecurity(), card: changes, handler, url = 'http://agent.example' } = options;
  const card = agentCard(url, changes);
  const agent = createAgent(card);
  const handle = agentFetchHandler({ security, requestHandler: agent.requestHandler, ...handler });
  const fetchImpl: typeof fetch = (input, init) => handle(new Request(input, init));
  return {
    ...agent,
    url,
    card,
    security,
    handle,
    /** `fetch`, as far as the agent. */
    fetch: fetchImpl,
    jsonRpcUrl: `${url}/a2a/jsonrpc`,
    restUrl: `${url}/a2a/rest`,
    cardUrl: `${url}/.well-known/agent-card.json`,
  };
}

/** What Node's HTTP server calls for a function from `Request` to `Response`. */
export function listenerOf(handle: Parameters<typeof getRequestListener>[0]) {
  const listener = getRequestListener(handle);
  return (...args: Parameters<typeof listener>): void => {
    void listener(...args);
  };
}

/** A whole agent behind `agentFetchHandler`, as a route of Hono on a real HTTP server. */
export async function startFetchAgent(
  options: FetchAgentOptions & { readonly lifetime?: 'test' | 'file' } = {},
) {
  const { server, port, url } = await listen(options.lifetime);
  const agent = createFetchAgent({ ...options, url });
  const app = new Hono().all('/*', (context) => agent.handle(context.req.raw));
  server.on('request', listenerOf(app.fetch));
  return { ...agent, server, port };
}

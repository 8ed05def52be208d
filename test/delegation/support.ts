import type { IncomingHttpHeaders } from 'node:http';

import {
  AgentSecurity,
  oauth2FromIssuer,
  principalOf,
  type DecisionListener,
  type DelegationOptions,
  type Principal,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { Role, type AgentCard } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  type RequestContext,
} from '@a2a-js/sdk/server';
import express, { type Express } from 'express';

import { agentCard, textMessage, textOf } from '../support/agent.js';
import { request } from '../support/client.js';
import { SECRET, type AuthorizationServer } from '../support/oauth/authorization-server.js';
import { logIn, oauthClient } from '../support/oauth/clients.js';
import { listen } from '../support/oauth/servers.js';
import { JWT_BEARER, TOKEN_EXCHANGE } from '../support/oauth/token-exchange.js';
import { UserAgent } from '../support/oauth/user-agent.js';

/** An agent that the authorization server knows as a client of this name. */
export const exchangingClient = (clientId: string) => ({
  client_id: clientId,
  client_secret: SECRET,
  grant_types: [TOKEN_EXCHANGE, JWT_BEARER, 'client_credentials'],
  redirect_uris: [],
  response_types: [],
});

/** A person's token for an agent. */
export async function personToken(
  server: AuthorizationServer,
  login: string,
  resource: string,
  scope = 'ask',
): Promise<string> {
  const client = await oauthClient(server, 'web');
  return (await logIn(client, new UserAgent(), { login }, { scope, resource })).access_token;
}

interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface ServiceOptions extends DelegationOptions {
  /** What the agent does for its caller, and answers. Default: it says who called. */
  readonly work?: (context: RequestContext) => Promise<string>;
  /** In place of what a token of the authorization server opens. */
  readonly security?: (resource: string) => AgentSecurity<string> | Promise<AgentSecurity<string>>;
  readonly card?: Partial<AgentCard>;
}

export type Service = Awaited<ReturnType<typeof startService>>;

/** An agent that takes tokens of the authorization server, writes down who called, and may call others. */
export async function startService(server: AuthorizationServer, options: ServiceOptions = {}) {
  const { work, maxDelegationDepth, allowedActors, card: changes } = options;
  const listening = await listen();
  const { url } = listening;
  const resource = `${url}/a2a`;
  server.addResource(resource);
  const received: Received[] = [];
  const principals: Principal[] = [];
  const refusals: string[] = [];
  const security =
    (await options.security?.(resource)) ??
    (await tokenSecurity(server, resource, { maxDelegationDepth, allowedActors }, (event) => {
      refusals.push(...event.schemes.flatMap(({ detail }) => detail ?? []));
    }));
  const card = agentCard(url, changes);
  const app = express();
  app.use((req, _res, next) => {
    received.push({ method: req.method, path: req.originalUrl, headers: req.headers });
    next();
  });
  app.use(
    serve({ card, security }, async (context) => {
      const principal = principalOf(context);
      principals.push(principal);
      return (await work?.(context)) ?? principal.subject;
    }),
  );
  listening.serve(app);
  return {
    url,
    resource,
    received,
    principals,
    /** What the operator is told of refusals. */
    refusals,
    jsonRpcUrl: `${resource}/jsonrpc`,
  };
}

/** An agent that answers what the function says. */
export function serve(
  { card, security }: { readonly card: AgentCard; readonly security: AgentSecurity<string> },
  work: (context: RequestContext) => Promise<string>,
): Express {
  const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), {
    async execute(context, bus) {
      const { contextId } = context;
      const answer = textMessage(await work(context), { role: Role.ROLE_AGENT, contextId });
      bus.publish(AgentEvent.message(answer));
      bus.finished();
    },
    cancelTask: () => Promise.resolve(),
  });
  return express().use(agentRouter({ security, requestHandler }));
}

async function tokenSecurity(
  server: AuthorizationServer,
  audience: string,
  delegation: DelegationOptions,
  onDecision: DecisionListener,
): Promise<AgentSecurity<string>> {
  const { clientCredentials } = await oauth2FromIssuer({
    issuer: server.issuer,
    flows: ['clientCredentials'],
    scopes: { ask: 'Ask.', admin: 'Run.' },
    audience,
    ...delegation,
  });
  return new AgentSecurity<string>({ resource: audience, onDecision })
    .addSecurityScheme('user', clientCredentials)
    .addSecurityRequirement({ user: ['ask'] });
}

/** What the agent answers; of a task its state and what its message says. */
export async function ask(client: Client, text = 'Who am I?'): Promise<string> {
  const answer = await client.sendMessage(request(text));
  if (!('status' in answer)) return textOf(answer);
  return `${String(answer.status?.state)}: ${textOf(answer.status?.message)}`;
}

import type { AgentSecurity } from '@a2a-auth/server';
import {
  agentCardRoute,
  authenticate,
  contextBuilder,
  userBuilder,
  type AuthenticateOptions,
} from '@a2a-auth/server/express';
import { jsonRpcHandler, restHandler } from '@a2a-js/sdk/server/express';
import express, { type Express, type RequestHandler } from 'express';

import { agentCard, createAgent } from '../support/agent.js';
import type { Combination } from '../support/client.js';
import { createSecurity } from '../support/credentials.js';
import { callsOf, rowOf, type WireCall } from '../support/operations.js';
import { listen } from '../support/server.js';

/** An agent whose application is put together by `build`. */
export async function start(build: (app: Express, agent: ReturnType<typeof createAgent>) => void, path = '') {
  const { url, port, serve } = await listen();
  const agent = createAgent(agentCard(`${url}${path}`));
  const app = express();
  build(app, agent);
  serve(app);
  const urlOf = ({ binding }: Pick<Combination, 'binding'>) =>
    `${url}${path}/a2a/${binding === 'JSONRPC' ? 'jsonrpc' : 'rest'}`;
  return { ...agent, url, port, urlOf };
}

export type Started = Awaited<ReturnType<typeof start>>;

export interface Pieces {
  readonly security?: AgentSecurity<string>;
  readonly authenticate?: (options: AuthenticateOptions) => RequestHandler;
  readonly userBuilder?: typeof userBuilder;
}

export const passOn: RequestHandler = (_req, _res, next) => {
  next();
};

/** Everything that `agentRouter` does, by hand. */
export function mountPieces(
  app: Express,
  { requestHandler }: ReturnType<typeof createAgent>,
  pieces: Pieces = {},
): void {
  const security = pieces.security ?? createSecurity();
  const handler = security.protect(requestHandler);
  const sdkOptions = {
    requestHandler: handler,
    userBuilder: pieces.userBuilder ?? userBuilder,
    contextBuilder: contextBuilder(security),
    legacyCompat: { enabled: true },
  };
  const gate = (binding: Combination['binding']) =>
    (pieces.authenticate ?? authenticate)({ security, requestHandler: handler, binding });
  app.use('/.well-known/agent-card.json', agentCardRoute({ security, requestHandler: handler }));
  app.use('/a2a/jsonrpc', gate('JSONRPC'), jsonRpcHandler(sdkOptions));
  app.use('/a2a/rest', gate('HTTP+JSON'), restHandler(sdkOptions));
}

export function sendMessage(combination: Combination): WireCall {
  const call = callsOf(combination).find((candidate) => rowOf(candidate) === 'SendMessage');
  if (call === undefined) throw new Error('There is no SendMessage.');
  return call;
}

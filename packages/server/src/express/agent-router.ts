import { A2A_VERSION_HEADER, AGENT_CARD_PATH } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import { restHandler } from '@a2a-js/sdk/server/express';
import { Router, type ErrorRequestHandler, type RequestHandler } from 'express';

import type { AgentSecurity } from '../agent-security.js';
import { configurationError } from '../errors.js';
import { httpJsonCall } from '../http/call.js';
import { agentCardRoute } from './agent-card-route.js';
import { authenticate } from './authenticate.js';
import { protectedResourceRoute } from './protected-resource-route.js';
import { contextBuilder } from '../http/context-builder.js';
import { bodyErrorResponse } from '../http/body.js';
import { jsonRpcRoute } from './json-rpc-route.js';
import { send } from './send.js';
import { userBuilder } from './user-builder.js';

export interface AgentRouterOptions {
  readonly security: AgentSecurity<string>;
  /** The SDK's request handler; it is protected here. */
  readonly requestHandler: A2ARequestHandler;
  /** Where JSON-RPC is mounted. Default `/a2a/jsonrpc`. */
  readonly jsonRpcPath?: string;
  /** Where HTTP+JSON is mounted. Default `/a2a/rest`. */
  readonly httpJsonPath?: string;
  /** The largest body, in bytes or as `bytes` reads it (`'1mb'`). Default `'100kb'`, as the SDK's. */
  readonly bodyLimit?: number | string;
  /** Seconds for which clients and proxies may keep the card. Default 3600. */
  readonly cardMaxAge?: number;
}

/**
 * A whole agent: the card and the protected resource metadata at their well-known paths, JSON-RPC and HTTP+JSON, each
 * in protocol 1.0 and 0.3, all behind the same security. Which versions are answered is what the card's
 * `supportedInterfaces` say.
 *
 * ```ts
 * app.use(agentRouter({ security, requestHandler }));
 * ```
 *
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function agentRouter(options: AgentRouterOptions): RequestHandler {
  const {
    security,
    jsonRpcPath = '/a2a/jsonrpc',
    httpJsonPath = '/a2a/rest',
    bodyLimit,
    cardMaxAge,
  } = options;
  for (const path of [jsonRpcPath, httpJsonPath]) {
    if (!path.startsWith('/')) {
      throw configurationError(
        'INVALID_OPTION',
        `agentRouter: the path ${JSON.stringify(path)} must begin with a slash.`,
      );
    }
  }
  const requestHandler = security.protect(options.requestHandler);
  const sdkOptions = {
    requestHandler,
    userBuilder,
    contextBuilder: contextBuilder(security),
    legacyCompat: { enabled: true },
  };
  const gateOptions = { security, requestHandler, ...(bodyLimit === undefined ? {} : { bodyLimit }) };

  const router = Router();
  const jsonRpc = jsonRpcRoute(gateOptions);
  router.use(
    `/${AGENT_CARD_PATH}`,
    agentCardRoute({ security, requestHandler, ...(cardMaxAge === undefined ? {} : { maxAge: cardMaxAge }) }),
  );
  router.use(protectedResourceRoute(security));
  // After what is for everybody: their paths may be above it.
  router.use(jsonRpcPath, jsonRpc.mounted);
  router.use(
    httpJsonPath,
    behind(authenticate({ ...gateOptions, binding: 'HTTP+JSON' }), restHandler(sdkOptions)),
    badRequestHandler,
  );
  // What most calls are for, and to look for it in a router takes longer than to authenticate the caller.
  return (req, res, next) => {
    if (req.url === jsonRpcPath) jsonRpc.atPath(req, res, next);
    else router(req, res, next);
  };
}

/** One step for the router instead of two, each of which would match the path anew. */
function behind(gate: RequestHandler, handler: RequestHandler): RequestHandler {
  return (req, res, next) =>
    gate(req, res, (error?: unknown) => {
      if (error === undefined) void handler(req, res, next);
      else next(error);
    });
}

/** What Express itself refuses, such as a path that cannot be decoded, in the shape of the binding. */
const badRequestHandler: ErrorRequestHandler = (error: { status?: unknown }, req, res, next) => {
  if (res.headersSent || typeof error.status !== 'number' || error.status < 400 || error.status >= 500) {
    next(error);
    return;
  }
  const call = httpJsonCall(req.method, req.path, undefined, req.get(A2A_VERSION_HEADER));
  send(res, bodyErrorResponse(call, error));
};

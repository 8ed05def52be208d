import { AGENT_CARD_PATH } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import { Router, type RequestHandler } from 'express';

import { assertSecurity, type AgentSecurity } from '../agent-security.js';
import { configurationError } from '../errors.js';
import { agentCardEndpoint } from '../http/agent-card-endpoint.js';
import { checkOptions } from '../options.js';
import { serveCard } from './agent-card-route.js';
import { httpJsonRoute } from './http-json-route.js';
import { jsonRpcRoute } from './json-rpc-route.js';
import { protectedResourceRoute } from './protected-resource-route.js';

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
  checkOptions('agentRouter()', options, {
    security: 'object',
    requestHandler: 'any',
    jsonRpcPath: 'string',
    httpJsonPath: 'string',
    bodyLimit: 'any',
    cardMaxAge: 'number',
  });
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
  if (jsonRpcPath === httpJsonPath) {
    throw configurationError(
      'INVALID_OPTION',
      `agentRouter: jsonRpcPath and httpJsonPath are both ${JSON.stringify(jsonRpcPath)}. Give each binding a path of its own.`,
    );
  }
  assertSecurity('agentRouter()', security);
  const requestHandler = security.protect(options.requestHandler);
  const gateOptions = { security, requestHandler, ...(bodyLimit === undefined ? {} : { bodyLimit }) };

  const router = Router();
  const jsonRpc = jsonRpcRoute(gateOptions);
  const httpJson = httpJsonRoute(gateOptions, httpJsonPath);
  router.use(
    `/${AGENT_CARD_PATH}`,
    serveCard(
      agentCardEndpoint(security, requestHandler, cardMaxAge, {
        JSONRPC: jsonRpcPath,
        'HTTP+JSON': httpJsonPath,
      }),
    ),
  );
  router.use(protectedResourceRoute(security));
  // After what is for everybody: their paths may be above it.
  router.use(jsonRpcPath, (req, res, next) => {
    if (req.path === '/') jsonRpc(req, res, next);
    else next();
  });
  router.use(httpJsonPath, httpJson.mounted);

  const httpJsonPrefix = `${httpJsonPath}/`;
  // Whether nothing else is below it.
  const isApart = [jsonRpcPath, '/.well-known/'].every(
    (path) => !path.toLowerCase().startsWith(httpJsonPrefix.toLowerCase()),
  );
  // What nearly all calls are for, and to look for it in a router takes longer than to authenticate the caller.
  return (req, res, next) => {
    const { url } = req;
    if (url === jsonRpcPath) jsonRpc(req, res, next);
    else if (isApart && url.startsWith(httpJsonPrefix)) httpJson.below(req, res, next);
    else router(req, res, next);
  };
}

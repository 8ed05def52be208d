import { A2A_VERSION_HEADER, AGENT_CARD_PATH } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';

import { assertSecurity, type AgentSecurity } from '../agent-security.js';
import { CallerUser } from '../caller.js';
import { configurationError } from '../errors.js';
import { agentCardEndpoint } from '../http/agent-card-endpoint.js';
import { DEFAULT_BODY_LIMIT } from '../http/body.js';
import { contextBuilder } from '../http/context-builder.js';
import { callGate } from '../http/gate.js';
import { httpJsonEndpoint, noHttpJsonRoute } from '../http/http-json-endpoint.js';
import { jsonRpcEndpoint, wrongJsonRpcMethod } from '../http/json-rpc-endpoint.js';
import { protectedResourceEndpoint } from '../http/protected-resource-endpoint.js';
import type { HttpResponse } from '../http/response.js';
import type { HttpStream } from '../http/stream.js';
import { checkOptions } from '../options.js';
import type { CallerConnection } from './auth-request.js';
import { FetchCall } from './fetch-call.js';
import { respond } from './respond.js';

export interface AgentFetchHandlerOptions {
  readonly security: AgentSecurity<string>;
  /** The SDK's request handler; it is protected here. */
  readonly requestHandler: A2ARequestHandler;
  /** What the paths of the requests begin with, and the paths below do not. Default: nothing. */
  readonly basePath?: string;
  /** Where JSON-RPC is. Default `/a2a/jsonrpc`. */
  readonly jsonRpcPath?: string;
  /** Where HTTP+JSON is. Default `/a2a/rest`. */
  readonly httpJsonPath?: string;
  /** The largest body, in bytes. Default 100 KiB, as the SDK's. */
  readonly bodyLimit?: number;
  /** Seconds for which clients and proxies may keep the card. Default 3600; 0 makes them ask each time. */
  readonly cardMaxAge?: number;
  /**
   * The caller's connection, which a `Request` does not tell. Asked at most once for each request, and only when a scheme or
   * a listener wants to know. When it throws, nobody is let in. Default: nothing is known.
   */
  readonly connection?: (request: Request) => CallerConnection;
}

type Answer = HttpResponse | HttpStream;

/**
 * A whole agent as a function from `Request` to `Response`: the card and the protected resource metadata at their
 * well-known paths, JSON-RPC and HTTP+JSON, each in protocol 1.0 and 0.3, all behind the same security. Which versions are
 * answered is what the card's `supportedInterfaces` say. Other paths get 404.
 *
 * The function rejects when the agent itself fails (its card cannot be had), or when somebody has read the request's body.
 *
 * @throws {ConfigurationError} when the security is configured wrongly, or an option is out of range
 */
export function agentFetchHandler(
  options: AgentFetchHandlerOptions,
): (request: Request) => Promise<Response> {
  checkOptions('agentFetchHandler()', options, {
    security: 'object',
    requestHandler: 'any',
    basePath: 'string',
    jsonRpcPath: 'string',
    httpJsonPath: 'string',
    bodyLimit: 'any',
    cardMaxAge: 'number',
    connection: 'function',
  });
  const {
    security,
    basePath = '',
    jsonRpcPath = '/a2a/jsonrpc',
    httpJsonPath = '/a2a/rest',
    bodyLimit = DEFAULT_BODY_LIMIT,
    cardMaxAge,
    connection = () => ({}),
  } = options;
  const paths = {
    card: mounted(basePath, `/${AGENT_CARD_PATH}`),
    jsonRpc: mounted(basePath, jsonRpcPath),
    httpJson: mounted(basePath, httpJsonPath),
  };
  assertNumber('bodyLimit', bodyLimit, 1);
  assertNumber('cardMaxAge', cardMaxAge ?? 0, 0);
  assertSecurity('agentFetchHandler()', security);
  const requestHandler = security.protect(options.requestHandler);
  const buildContext = contextBuilder(security);
  const card = agentCardEndpoint(security, requestHandler, cardMaxAge, {
    JSONRPC: paths.jsonRpc,
    'HTTP+JSON': paths.httpJson,
  });
  const metadata = protectedResourceEndpoint(security);
  const jsonRpc = {
    pass: callGate({ security, requestHandler, binding: 'JSONRPC' }),
    answer: jsonRpcEndpoint(requestHandler, buildContext),
  };
  const httpJson = {
    pass: callGate({ security, requestHandler, binding: 'HTTP+JSON' }),
    answer: httpJsonEndpoint(requestHandler, buildContext),
  };

  async function serveJsonRpc(request: Request): Promise<Answer> {
    const call = new FetchCall(request, { binding: 'JSONRPC', path: '/', bodyLimit, connection });
    const outcome = await jsonRpc.pass(call);
    if (!('grant' in outcome)) return outcome;
    if (call.method !== 'POST') return wrongJsonRpcMethod(call.headers[VERSION_HEADER]);
    const { grant, body } = outcome;
    return jsonRpc.answer({ body, headers: call.headers, user: new CallerUser(grant) });
  }

  async function serveHttpJson(request: Request, path: string): Promise<Answer> {
    const call = new FetchCall(request, { binding: 'HTTP+JSON', path, bodyLimit, connection });
    const outcome = await httpJson.pass(call);
    if (!('grant' in outcome)) return outcome;
    const { method, query, headers } = call;
    const { grant, body } = outcome;
    const asked = { method, path, query, body, headers, user: new CallerUser(grant) };
    return (await httpJson.answer(asked)) ?? noHttpJsonRoute(asked);
  }

  async function answerTo(request: Request): Promise<Answer> {
    const { method, headers } = request;
    const { pathname } = new URL(request.url);
    if (pathname === paths.card) {
      const version = headers.get(A2A_VERSION_HEADER) ?? undefined;
      return card({ method, version, ifNoneMatch: headers.get('if-none-match') ?? undefined });
    }
    if (pathname === metadata?.path) {
      return method === 'GET' || method === 'HEAD'
        ? metadata.response
        : { status: 405, headers: { allow: 'GET, HEAD' }, body: '' };
    }
    if (pathname === paths.jsonRpc || pathname === `${paths.jsonRpc}/`) return serveJsonRpc(request);
    if (pathname === paths.httpJson || pathname.startsWith(`${paths.httpJson}/`)) {
      return serveHttpJson(request, pathname.slice(paths.httpJson.length) || '/');
    }
    return { status: 404, headers: {}, body: '' };
  }

  return async (request) => respond(await answerTo(request), request);
}

const VERSION_HEADER = A2A_VERSION_HEADER.toLowerCase();

/** @returns the whole path, without a slash at its end */
function mounted(basePath: string, path: string): string {
  const whole = `${basePath.replace(/\/$/, '')}${path}`;
  // Another spelling than that of `URL` would never be met.
  const isMet =
    path.startsWith('/') &&
    whole.startsWith('/') &&
    URL.canParse(whole, 'http://host') &&
    new URL(whole, 'http://host').pathname === whole;
  if (!isMet) {
    throw configurationError(
      'INVALID_OPTION',
      `agentFetchHandler: ${JSON.stringify(whole)} is no path of a URL. Paths begin with a slash, and are encoded as in URLs.`,
    );
  }
  return whole.replace(/\/$/, '');
}

function assertNumber(option: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw configurationError(
    'INVALID_OPTION',
    `agentFetchHandler: ${option} must be a whole number, at least ${String(least)}.`,
  );
}

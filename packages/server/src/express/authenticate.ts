import { A2A_CONTENT_TYPE, A2A_VERSION_HEADER } from '@a2a-js/sdk';
import { A2A_ERROR_CODE } from '@a2a-js/sdk/errors';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import express, { type Request, type RequestHandler, type Response } from 'express';

import type { AgentSecurity } from '../agent-security.js';
import type { Granted } from '../decision.js';
import { httpJsonCall, jsonRpcCall, type HttpBinding, type HttpCall } from '../http/call.js';
import { requestProblem } from '../http/request-problem.js';
import { denialResponse, errorResponse, type HttpResponse } from '../http/response.js';
import { agentCardUrl } from '../protect.js';
import { toAuthRequest } from './auth-request.js';

export interface AuthenticateOptions {
  readonly security: AgentSecurity<string>;
  /** What `security.protect()` returned. */
  readonly requestHandler: A2ARequestHandler;
  /** Which of the SDK's handlers comes next: `JSONRPC` for jsonRpcHandler, `HTTP+JSON` for restHandler. */
  readonly binding: HttpBinding;
  /** The largest body, in bytes or as `bytes` reads it (`'1mb'`). Default `'100kb'`, as the SDK's. */
  readonly bodyLimit?: number | string;
}

const grants = new WeakMap<Request, Granted>();

/** The grant that {@link authenticate} left on a request. */
export function grantOf(req: Request): Granted | undefined {
  return grants.get(req);
}

/**
 * The middleware to put before the SDK's `jsonRpcHandler` or `restHandler`. It authenticates the caller by the headers,
 * then reads the body (unless an `express.json()` did so before), and either answers a denied caller as its binding and
 * version ask for, or lets the call go on to `userBuilder`.
 *
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function authenticate(options: AuthenticateOptions): RequestHandler {
  const { security, requestHandler, binding, bodyLimit = '100kb' } = options;
  security.validate();
  const readBody = bodyReader(binding, bodyLimit);

  async function handle(req: Request, res: Response): Promise<'go on' | HttpResponse> {
    const provisional = await security.authenticate(toAuthRequest(req));
    const bodyError = await readBody(req, res);
    const versionHeader = req.get(A2A_VERSION_HEADER);
    const body = bodyError === undefined ? (req.body as unknown) : undefined;
    const call =
      binding === 'JSONRPC'
        ? jsonRpcCall(body, versionHeader)
        : httpJsonCall(req.method, req.path, body, versionHeader);
    const decision = security.conclude(provisional, call);
    const card = await requestHandler.getAgentCard();
    if (!decision.granted) {
      return denialResponse(decision, call, {
        denials: security.denials,
        agentCardUrl: agentCardUrl(security, card),
      });
    }
    const problem =
      bodyError === undefined
        ? requestProblem(call, { body, query: req.query as unknown }, versionHeader, card)
        : bodyErrorResponse(call, bodyError);
    if (problem !== undefined) return problem;
    grants.set(req, decision);
    return 'go on';
  }

  return (req, res, next) => {
    handle(req, res).then((outcome) => {
      if (outcome === 'go on') next();
      else send(res, outcome);
    }, next);
  };
}

/** Writes a response; HEAD gets the headers alone. */
export function send(res: Response, { status, headers, body }: HttpResponse): void {
  res.status(status);
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.end(res.req.method === 'HEAD' ? undefined : body);
}

/** Resolves to what was wrong with the body, if anything. */
function bodyReader(
  binding: HttpBinding,
  limit: number | string,
): (req: Request, res: Response) => Promise<Error | undefined> {
  const type = binding === 'JSONRPC' ? ['application/json'] : ['application/json', A2A_CONTENT_TYPE];
  // Not strict, so that a body that is no object gets our answer and not the parser's.
  const parse = express.json({ limit, type, strict: false });
  return async (req, res) => {
    const failure = await new Promise<unknown>((resolve) => {
      parse(req, res, resolve as (error?: unknown) => void);
    });
    if (failure !== undefined) return failure instanceof Error ? failure : new Error(String(failure));
    return parseUnparsed(req);
  };
}

/** An express.text() or express.raw() before us leaves the JSON as it came. */
function parseUnparsed(req: Request): Error | undefined {
  if (typeof req.body !== 'string' && !Buffer.isBuffer(req.body)) return undefined;
  try {
    req.body = JSON.parse(req.body.toString()) as unknown;
    return undefined;
  } catch {
    return Object.assign(new Error('The body is not JSON.'), { status: 400, type: 'entity.parse.failed' });
  }
}

/** An error of the body parser, as 413 or another 4xx, in the shape of the binding. */
export function bodyErrorResponse(call: HttpCall, error: unknown): HttpResponse {
  const { status, type } = error as { status?: unknown; type?: unknown };
  const code = typeof status === 'number' && status >= 400 && status < 500 ? status : 400;
  const messages: Readonly<Record<number, string>> = {
    413: 'The body is too large.',
    415: 'The encoding of the body is not supported.',
  };
  return errorResponse(call, {
    status: code,
    statusName: code === 413 ? 'OUT_OF_RANGE' : 'INVALID_ARGUMENT',
    jsonRpcCode: type === 'entity.parse.failed' ? A2A_ERROR_CODE.PARSE_ERROR : A2A_ERROR_CODE.INVALID_REQUEST,
    message: messages[code] ?? 'The body cannot be read.',
  });
}

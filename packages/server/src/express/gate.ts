import { A2A_VERSION_HEADER } from '@a2a-js/sdk';
import { A2A_ERROR_CODE } from '@a2a-js/sdk/errors';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import type { Request, Response } from 'express';

import type { AgentSecurity } from '../agent-security.js';
import { CallerUser } from '../caller.js';
import type { Granted } from '../decision.js';
import { configurationError } from '../errors.js';
import { httpJsonCall, jsonRpcCall, type HttpBinding, type HttpCall } from '../http/call.js';
import { isLostInTranslation, legacyExtendedCardResponse } from '../http/legacy-extended-card.js';
import { requestProblem } from '../http/request-problem.js';
import { denialResponse, errorResponse, type HttpResponse } from '../http/response.js';
import { agentCardUrl, assertProtected } from '../protect.js';
import { toAuthRequest } from './auth-request.js';
import { bodyReader, DEFAULT_BODY_LIMIT } from './body-reader.js';
import { contextBuilder } from './context-builder.js';

export interface GateOptions {
  readonly security: AgentSecurity<string>;
  /** What `security.protect()` returned. */
  readonly requestHandler: A2ARequestHandler;
  /** Which of the SDK's handlers comes next: `JSONRPC` for jsonRpcHandler, `HTTP+JSON` for restHandler. */
  readonly binding: HttpBinding;
  /** The largest body, in bytes or as `bytes` reads it (`'1mb'`). Default 100 KiB, as the SDK's. */
  readonly bodyLimit?: number | string;
}

const VERSION_HEADER = A2A_VERSION_HEADER.toLowerCase();

/**
 * What stands before an agent on one binding. It authenticates the caller by the headers, then reads the body (unless an
 * `express.json()` did so before).
 *
 * @returns a function that resolves to the grant, or to the response for whoever is not let in or asks for nothing that
 *   the SDK could answer
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function createGate(
  options: GateOptions,
): (req: Request, res: Response) => Promise<Granted | HttpResponse> {
  const { security, requestHandler, binding, bodyLimit = DEFAULT_BODY_LIMIT } = options;
  security.validate();
  assertProtected(requestHandler, 'authenticate');
  if (binding !== 'JSONRPC' && binding !== 'HTTP+JSON') {
    throw configurationError(
      'INVALID_OPTION',
      `binding must be 'JSONRPC' or 'HTTP+JSON', not ${JSON.stringify(binding)}.`,
    );
  }
  const readBody = bodyReader(binding, bodyLimit);
  const readDeniedBody = bodyReader(
    binding,
    typeof bodyLimit === 'number' ? Math.min(bodyLimit, DEFAULT_BODY_LIMIT) : DEFAULT_BODY_LIMIT,
  );
  const buildContext = contextBuilder(security);

  async function pass(req: Request, res: Response): Promise<Granted | HttpResponse> {
    const provisional = await security.authenticate(toAuthRequest(req));
    // A denied caller's body matters for the shape of the denial alone, and is not worth a large limit.
    const bodyError = await (provisional.granted ? readBody : readDeniedBody)(req, res);
    const versionHeader = req.headers[VERSION_HEADER] as string | undefined;
    const body = bodyError === undefined ? (req.body as unknown) : undefined;
    const call =
      binding === 'JSONRPC'
        ? jsonRpcCall(body, versionHeader)
        : httpJsonCall(req.method, req.path, body, versionHeader);
    const decision = await security.conclude(provisional, call);
    const card = await requestHandler.getAgentCard();
    if (!decision.granted) {
      return denialResponse(decision, call, {
        denials: security.denials,
        agentCardUrl: agentCardUrl(security, card),
      });
    }
    const problem =
      bodyError === undefined
        ? requestProblem(
            call,
            { body, query: binding === 'HTTP+JSON' ? req.query : undefined },
            versionHeader,
            card,
          )
        : bodyErrorResponse(call, bodyError);
    if (problem !== undefined) return problem;
    if (call.operation !== 'GetExtendedAgentCard' || !isLostInTranslation(call, security.published))
      return decision;
    return (await extendedCard(req, decision, call)) ?? decision;
  }

  /** Undefined when there is none: the SDK then says so. */
  async function extendedCard(
    req: Request,
    granted: Granted,
    call: HttpCall,
  ): Promise<HttpResponse | undefined> {
    const { headers } = req;
    const user = new CallerUser(granted);
    const context = buildContext({ user, headers, extensions: undefined, requestedVersion: '0.3' });
    try {
      const card = await requestHandler.getAuthenticatedExtendedAgentCard({ tenant: '' }, context);
      return await legacyExtendedCardResponse(call, card, security.published);
    } catch {
      return undefined;
    }
  }

  return pass;
}

/** An error of the body parser, as 413 or another 4xx, in the shape of the binding. */
export function bodyErrorResponse(call: HttpCall, error: unknown): HttpResponse {
  const { status, type } = error as { status?: unknown; type?: unknown };
  const code = typeof status === 'number' && status >= 400 && status < 500 ? status : 400;
  const messages: Readonly<Record<number, string>> = {
    413: 'The body is too large.',
    415: 'The media type or the encoding of the body is not supported.',
  };
  return errorResponse(call, {
    status: code,
    statusName: code === 413 ? 'OUT_OF_RANGE' : 'INVALID_ARGUMENT',
    jsonRpcCode:
      type === 'entity.parse.failed'
        ? A2A_ERROR_CODE.PARSE_ERROR
        : code === 415
          ? A2A_ERROR_CODE.CONTENT_TYPE_NOT_SUPPORTED
          : A2A_ERROR_CODE.INVALID_REQUEST,
    message: messages[code] ?? 'The body cannot be read.',
  });
}

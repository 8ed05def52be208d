import { A2A_VERSION_HEADER } from '@a2a-js/sdk';
import type { A2ARequestHandler, RequestHeaders } from '@a2a-js/sdk/server';

import type { AgentSecurity } from '../agent-security.js';
import type { AuthRequest } from '../auth-request.js';
import { CallerUser } from '../caller.js';
import { Granted } from '../decision.js';
import { configurationError } from '../errors.js';
import { agentCardUrl, assertProtected } from '../protect.js';
import { bodyErrorResponse, mayBeForged, notSentAsJson, type ParsedBody } from './body.js';
import { httpJsonCall, jsonRpcCall, type HttpBinding, type HttpCall } from './call.js';
import { contextBuilder } from './context-builder.js';
import { isLostInTranslation, legacyExtendedCardResponse } from './legacy-extended-card.js';
import { requestProblem } from './request-problem.js';
import { denialResponse, type HttpResponse } from './response.js';

/** What a gate stands before. */
export interface GatePlace {
  readonly security: AgentSecurity<string>;
  /** What `security.protect()` returned. */
  readonly requestHandler: A2ARequestHandler;
  /** Which of the SDK's handlers comes next: `JSONRPC` for jsonRpcHandler, `HTTP+JSON` for restHandler. */
  readonly binding: HttpBinding;
}

/** A request as it comes to the gate, whatever framework brought it. */
export interface IncomingCall {
  /** The view that the security schemes have of it. */
  readonly auth: AuthRequest;
  readonly method: string;
  /** Below the URL of the interface, still encoded. */
  readonly path: string;
  /** By lower-case name. */
  readonly headers: RequestHeaders;
  /** As the framework parses it. Asked for in HTTP+JSON alone. */
  readonly query: unknown;
  /** Reads the body: of denied callers no more than 100 KiB, because it matters for the shape of the denial alone. */
  readBody(granted: boolean): ParsedBody | Promise<ParsedBody>;
}

/** A call that may go on to the agent. */
export interface AdmittedCall {
  readonly grant: Granted;
  /** Parsed; undefined when there is none. */
  readonly body: unknown;
}

/** Milliseconds that a body may take to arrive before the credentials are verified again. */
const MOST_FOR_BODY = 1000;
const VERSION_HEADER = A2A_VERSION_HEADER.toLowerCase();

/**
 * What stands before an agent on one binding. It authenticates the caller by the headers, and then reads the body.
 *
 * @returns a function that resolves to the call that is let in, or to the response for whoever is not let in or asks for
 *   nothing that the SDK could answer
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function callGate({
  security,
  requestHandler,
  binding,
}: GatePlace): (incoming: IncomingCall) => Promise<AdmittedCall | HttpResponse> {
  security.validate();
  assertProtected(requestHandler, security, 'authenticate');
  if (binding !== 'JSONRPC' && binding !== 'HTTP+JSON') {
    throw configurationError(
      'INVALID_OPTION',
      `binding must be 'JSONRPC' or 'HTTP+JSON', not ${JSON.stringify(binding)}.`,
    );
  }
  const buildContext = contextBuilder(security);

  async function pass(incoming: IncomingCall): Promise<AdmittedCall | HttpResponse> {
    const early = await security.authenticate(incoming.auth);
    const { method, headers } = incoming;
    const startedAt = performance.now();
    const read = await incoming.readBody(early.granted);
    // The caller decides when the body ends, and may have lost the right to call by then.
    const provisional =
      early.granted && performance.now() - startedAt > MOST_FOR_BODY
        ? // As it was seen before: whoever remembers a request, for its DPoP proof, knows it again.
          await security.authenticate(Granted.evaluation(early).request ?? incoming.auth)
        : early;
    const isForgeable = 'body' in read && mayBeForged(binding, method, headers);
    const parsed = isForgeable ? { error: notSentAsJson() } : read;
    const body = 'body' in parsed ? parsed.body : undefined;
    const versionHeader = headers[VERSION_HEADER] as string | undefined;
    const call =
      binding === 'JSONRPC'
        ? // What is not sent by POST is no call, whatever it carries.
          jsonRpcCall(method === 'POST' ? body : undefined, versionHeader)
        : httpJsonCall(method, incoming.path, body, versionHeader);
    const decision = await security.conclude(provisional, call);
    const card = await requestHandler.getAgentCard();
    if (!decision.granted) {
      return denialResponse(decision, call, {
        denials: security.denials,
        agentCardUrl: agentCardUrl(security, card),
      });
    }
    const problem =
      'error' in parsed
        ? bodyErrorResponse(call, parsed.error)
        : requestProblem(
            call,
            { body, query: binding === 'HTTP+JSON' ? incoming.query : undefined },
            versionHeader,
            card,
          );
    if (problem !== undefined) return problem;
    const admitted = { grant: decision, body };
    if (call.operation !== 'GetExtendedAgentCard' || !isLostInTranslation(call, security.published))
      return admitted;
    return (await extendedCard(headers, decision, call)) ?? admitted;
  }

  /** Undefined when there is none: the SDK then says so. */
  async function extendedCard(
    headers: RequestHeaders,
    granted: Granted,
    call: HttpCall,
  ): Promise<HttpResponse | undefined> {
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

import { A2A_VERSION_HEADER } from '@a2a-js/sdk';
import type { A2ARequestHandler, RequestHeaders } from '@a2a-js/sdk/server';

import type { AgentSecurity } from '../agent-security.js';
import type { AuthRequest } from '../auth-request.js';
import { CallerUser } from '../caller.js';
import type { Granted } from '../decision.js';
import { configurationError } from '../errors.js';
import { agentCardUrl, assertProtected } from '../protect.js';
import { bodyErrorResponse, mayBeForged, notSentAsJson } from './body.js';
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
  /** Parsed; asked for after {@link readBody}. */
  readonly body: unknown;
  /**
   * Reads the body: of denied callers no more than 100 KiB, because it matters for the shape of the denial alone.
   *
   * @returns what was wrong with the body, if anything
   */
  readBody(granted: boolean): Promise<Error | undefined>;
}

const VERSION_HEADER = A2A_VERSION_HEADER.toLowerCase();

/**
 * What stands before an agent on one binding. It authenticates the caller by the headers, and then reads the body.
 *
 * @returns a function that resolves to the grant, or to the response for whoever is not let in or asks for nothing that
 *   the SDK could answer
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function callGate({
  security,
  requestHandler,
  binding,
}: GatePlace): (incoming: IncomingCall) => Promise<Granted | HttpResponse> {
  security.validate();
  assertProtected(requestHandler, 'authenticate');
  if (binding !== 'JSONRPC' && binding !== 'HTTP+JSON') {
    throw configurationError(
      'INVALID_OPTION',
      `binding must be 'JSONRPC' or 'HTTP+JSON', not ${JSON.stringify(binding)}.`,
    );
  }
  const buildContext = contextBuilder(security);

  async function pass(incoming: IncomingCall): Promise<Granted | HttpResponse> {
    const provisional = await security.authenticate(incoming.auth);
    const isForgeable = mayBeForged(binding, incoming.method, incoming.headers);
    const bodyError =
      (await incoming.readBody(provisional.granted)) ?? (isForgeable ? notSentAsJson() : undefined);
    const versionHeader = incoming.headers[VERSION_HEADER] as string | undefined;
    const body = bodyError === undefined ? incoming.body : undefined;
    const call =
      binding === 'JSONRPC'
        ? // What is not sent by POST is no call, whatever it carries.
          jsonRpcCall(incoming.method === 'POST' ? body : undefined, versionHeader)
        : httpJsonCall(incoming.method, incoming.path, body, versionHeader);
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
            { body, query: binding === 'HTTP+JSON' ? incoming.query : undefined },
            versionHeader,
            card,
          )
        : bodyErrorResponse(call, bodyError);
    if (problem !== undefined) return problem;
    if (call.operation !== 'GetExtendedAgentCard' || !isLostInTranslation(call, security.published))
      return decision;
    return (await extendedCard(incoming, decision, call)) ?? decision;
  }

  /** Undefined when there is none: the SDK then says so. */
  async function extendedCard(
    { headers }: IncomingCall,
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

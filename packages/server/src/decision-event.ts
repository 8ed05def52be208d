import diagnosticsChannel from 'node:diagnostics_channel';

import type { AuthRequest } from './auth-request.js';
import type { Decision, DenialReason, SchemeOutcome } from './decision.js';
import { Denied, Granted } from './decision.js';
import { warningsOf } from './forwarded-certificate.js';
import { tell } from './listener.js';
import type { Operation } from './operation.js';
import type { Principal } from './principal.js';
import type { RegisteredScheme } from './policy.js';

/** The name of the `diagnostics_channel` on which every decision of the process is published. */
export const DECISION_CHANNEL = 'a2a-auth.decision';

/** Answers "why was this caller refused", and holds no secret. */
export interface DecisionEvent {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly operation: Operation;
  /** `JSONRPC`, `HTTP+JSON` or `GRPC`; `none` for a call that reached the agent past every binding. */
  readonly binding: string;
  readonly granted: boolean;
  readonly reason: DenialReason | undefined;
  readonly missingScopes: readonly string[];
  /** The primary principal of a grant. */
  readonly principalId: string | undefined;
  /** What became of every scheme that a requirement names, in the order of registration. */
  readonly schemes: readonly SchemeReport[];
  readonly remoteAddress: string | undefined;
  /** What authentication took, in milliseconds. */
  readonly durationMs: number | undefined;
  /** What was odd about the request and was ignored: a certificate in a header of somebody who is no proxy. */
  readonly warnings: readonly string[];
}

/** One scheme's part in a decision. */
export interface SchemeReport {
  readonly schemeId: string;
  readonly outcome: SchemeOutcome['status'];
  /** With `refused`. */
  readonly reason: string | undefined;
  /** Which claim, which key, which error, which login was too weak: for the operator alone. */
  readonly detail: string | undefined;
  /** Who the credential belongs to, also when the call was not permitted. */
  readonly principalId: string | undefined;
}

export type DecisionListener = (event: DecisionEvent) => void;

const channel = diagnosticsChannel.channel(DECISION_CHANNEL);

/** Events are made only when somebody listens. */
export function hasDecisionListeners(listener: DecisionListener | undefined): boolean {
  return listener !== undefined || channel.hasSubscribers;
}

/** Tells the hook and the channel. */
export function publishDecision(
  decision: Decision,
  call: { readonly operation: Operation; readonly binding: string },
  schemes: readonly RegisteredScheme[],
  listener: DecisionListener | undefined,
): void {
  if (!hasDecisionListeners(listener)) return;
  const evaluation = decision.granted ? Granted.evaluation(decision) : Denied.evaluation(decision);
  const event: DecisionEvent = Object.freeze({
    time: Date.now(),
    operation: call.operation,
    binding: call.binding,
    granted: decision.granted,
    reason: decision.granted ? undefined : decision.reason,
    missingScopes: decision.granted ? [] : decision.missingScopes,
    principalId: decision.granted ? decision.principal.id : undefined,
    schemes: schemes.map(({ id }, position) => reportOf(id, evaluation.outcomes[position], decision)),
    remoteAddress: addressOf(evaluation.request),
    durationMs: evaluation.durationMs,
    warnings: warningsOf(evaluation.request),
  });
  channel.publish(event);
  tell(listener, event, { option: 'onDecision', code: 'A2A_AUTH_ON_DECISION' });
}

/** Where somebody else's code has to say it, it may fail: the decision stands, and is told of. */
function addressOf(request: AuthRequest | undefined): string | undefined {
  try {
    return request?.remoteAddress;
  } catch {
    return undefined;
  }
}

function reportOf(
  schemeId: string,
  outcome: SchemeOutcome = { status: 'absent' },
  decision: Decision,
): SchemeReport {
  const isTooWeak = !decision.granted && decision.reason === 'insufficient_authentication';
  return {
    schemeId,
    outcome: outcome.status,
    reason: 'reason' in outcome ? outcome.reason : undefined,
    detail:
      isTooWeak && outcome.status === 'verified'
        ? loginOf(outcome.principal)
        : 'detail' in outcome
          ? oneLine(outcome.detail)
          : undefined,
    principalId: 'principal' in outcome ? outcome.principal?.id : undefined,
  };
}

/** What there is of what a step-up asks for (RFC 9470). */
function loginOf({ claims: { acr, auth_time: authTime } }: Principal): string {
  const shown = (claim: unknown) => {
    if (claim === undefined) return 'missing';
    // Validators may put anything there, also what JSON does not know.
    return typeof claim === 'string' || typeof claim === 'number'
      ? JSON.stringify(claim).slice(0, 200)
      : 'neither text nor a number';
  };
  return `Its acr is ${shown(acr)}, and its auth_time ${shown(authTime)}.`;
}

/** What callers sent may be quoted in it: it can neither end a line of a log, steer a terminal, nor flood it. */
function oneLine(detail: string | undefined): string | undefined {
  return detail?.slice(0, 1000).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}

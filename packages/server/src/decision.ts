import type { AuthRequest } from './auth-request.js';
import type { SecurityRequirementDeclaration } from './card/declaration.js';
import type { Challenge } from './challenge.js';
import type { Operation } from './operation.js';
import { anonymousPrincipal, type Principal } from './principal.js';
import type { Verification } from './scheme.js';

/** The one outcome of authenticating a request. */
export type Decision = Granted | Denied;

/**
 * Why a request is denied, from the nearest to a grant to the farthest:
 * - `not_permitted`: the credentials are genuine, but do not allow this call
 * - `insufficient_authentication`: all credentials are genuine, but a stronger or fresher login is asked for (RFC 9470)
 * - `insufficient_scope`: all credentials are genuine, but scopes lack
 * - `too_many_attempts`, `unavailable`: a verifier would not, or could not, tell
 * - `invalid_credential`: a credential is malformed, wrong, expired or revoked
 * - `missing_credential`: no alternative is complete
 */
export type DenialReason =
  | 'not_permitted'
  | 'insufficient_authentication'
  | 'insufficient_scope'
  | 'too_many_attempts'
  | 'unavailable'
  | 'invalid_credential'
  | 'missing_credential';

/** Each reason as an HTTP status, and as a `google.rpc.Code` by name. */
export const denialStatuses: Readonly<
  Record<DenialReason, { readonly http: number; readonly code: string }>
> = {
  missing_credential: { http: 401, code: 'UNAUTHENTICATED' },
  invalid_credential: { http: 401, code: 'UNAUTHENTICATED' },
  // RFC 9470 §3
  insufficient_authentication: { http: 401, code: 'UNAUTHENTICATED' },
  insufficient_scope: { http: 403, code: 'PERMISSION_DENIED' },
  not_permitted: { http: 403, code: 'PERMISSION_DENIED' },
  unavailable: { http: 503, code: 'UNAVAILABLE' },
  too_many_attempts: { http: 429, code: 'RESOURCE_EXHAUSTED' },
};

/** How a request came to its decision: kept for the audit event, and out of every serialisation. */
export interface Evaluation {
  /** Undefined when a call reached the agent without passing a binding. */
  readonly request: AuthRequest | undefined;
  /** What became of each scheme that a requirement names, in the order of registration. */
  readonly outcomes: readonly SchemeOutcome[];
  /** What each of them found, in the same order. */
  readonly credentials: readonly unknown[];
  /** Milliseconds, measured only when somebody listens for decisions. */
  readonly durationMs: number | undefined;
}

/** What became of one scheme. */
export type SchemeOutcome =
  | { readonly status: 'absent' }
  /** A credential was there, but the requirements were decided without it. */
  | { readonly status: 'not_verified' }
  | { readonly status: 'malformed'; readonly detail: string }
  | {
      readonly status: 'refused';
      readonly reason: 'invalid' | 'expired' | 'revoked' | 'not_permitted';
      readonly detail: string;
      readonly principal?: Principal | undefined;
      /** The scheme's own error code for its challenge. */
      readonly error?: string | undefined;
    }
  | {
      readonly status: 'unavailable' | 'too_many_attempts';
      readonly detail: string;
      readonly retryAfter: number;
    }
  | {
      readonly status: 'verified';
      readonly principal: Principal;
      readonly detail?: string | undefined;
      /** Still to be asked when the call is known. */
      readonly permits?: Permits | undefined;
    };

/** A scheme's answer to whether a credential allows a call. */
type Permits = NonNullable<(Verification & { readonly verified: true })['permits']>;

/**
 * Knows which `AgentSecurity` made a decision, whether it is final, and what it is about, where it is not about every
 * operation. In the decision itself, because a WeakSet with an entry for each request is a burden on the garbage
 * collector; in private fields, which a copy has not.
 */
abstract class Traceable {
  #madeBy: object | undefined;
  #isFinal = false;
  #operation: Operation | undefined;

  static readonly sign = (decision: Decision, by: object, isFinal: boolean, operation?: Operation): void => {
    decision.#madeBy = by;
    decision.#isFinal = isFinal;
    decision.#operation = operation;
  };

  static readonly isMadeBy = (decision: Decision, by: object): boolean =>
    #madeBy in decision && decision.#madeBy === by;

  static readonly isFinal = (decision: Decision, by: object, operation: Operation): boolean =>
    Traceable.isMadeBy(decision, by) &&
    decision.#isFinal &&
    (decision.#operation === undefined || decision.#operation === operation);
}

export const { sign, isMadeBy, isFinal } = Traceable;

/** What the alternative that was met needed of one scheme. */
export interface VerifiedPart {
  readonly schemeId: string;
  readonly principal: Principal;
  readonly credential: unknown;
}

/** The caller may go on. */
export class Granted extends Traceable {
  readonly granted = true;
  /** The principal of the scheme registered first among those of the alternative that was met. */
  readonly principal: Principal;
  readonly #parts: readonly VerifiedPart[];
  #evaluation: Evaluation;
  #principals: ReadonlyMap<string, Principal> | undefined;

  /** @param parts in the order of registration; none for the anonymous caller */
  constructor(parts: readonly VerifiedPart[], evaluation: Evaluation) {
    super();
    this.principal = parts[0]?.principal ?? anonymousPrincipal;
    this.#parts = parts;
    this.#evaluation = evaluation;
  }

  /** Whether it is the anonymous alternative that was met. */
  get isAnonymous(): boolean {
    return this.#parts.length === 0;
  }

  /** The principals of that alternative by scheme id, in the order of registration; empty for the anonymous caller. */
  get principals(): ReadonlyMap<string, Principal> {
    this.#principals ??= new Map(this.#parts.map(({ schemeId, principal }) => [schemeId, principal]));
    return this.#principals;
  }

  /** Private fields keep credentials out of JSON, logs and `util.inspect`. */
  static credential(granted: Granted, schemeId: string): unknown {
    return granted.#parts.find((part) => part.schemeId === schemeId)?.credential;
  }

  static evaluation(granted: Granted): Evaluation {
    return granted.#evaluation;
  }

  /** Lets go of the request: a task may keep the grant for as long as it runs. */
  static release(granted: Granted): void {
    granted.#evaluation = { ...granted.#evaluation, request: undefined };
  }

  /** Who was let in, for keeping: without the credentials and the request. It opens nothing. */
  static withoutSecrets(granted: Granted): Granted {
    const parts = granted.#parts.map((part) => ({ ...part, credential: undefined }));
    return new Granted(parts, { request: undefined, outcomes: [], credentials: [], durationMs: undefined });
  }
}

/** The caller may not go on. */
export class Denied extends Traceable {
  readonly granted = false;
  readonly reason: DenialReason;
  /** One for each distinct scheme that could have helped. */
  readonly challenges: readonly Challenge[];
  /** The alternatives of which the caller met none, as the card publishes them. */
  readonly alternatives: readonly SecurityRequirementDeclaration[];
  /** With `insufficient_scope`: what lacks, of the alternative that lacks least. */
  readonly missingScopes: readonly string[];
  /** Seconds; with `unavailable` and `too_many_attempts`. */
  readonly retryAfter: number | undefined;
  readonly #evaluation: Evaluation;

  constructor(
    denial: Pick<Denied, 'reason' | 'challenges' | 'alternatives' | 'missingScopes' | 'retryAfter'>,
    evaluation: Evaluation,
  ) {
    super();
    this.reason = denial.reason;
    this.challenges = denial.challenges;
    this.alternatives = denial.alternatives;
    this.missingScopes = denial.missingScopes;
    this.retryAfter = denial.retryAfter;
    this.#evaluation = evaluation;
  }

  static evaluation(denied: Denied): Evaluation {
    return denied.#evaluation;
  }
}

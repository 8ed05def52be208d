/** One thing that is wrong with a configuration. */
export interface ConfigurationProblem {
  /** Stable, for programs. */
  readonly code: ConfigurationProblemCode;
  /** Names the culprit and the mend, for people. */
  readonly message: string;
}

export type ConfigurationProblemCode =
  | 'DUPLICATE_SCHEME'
  | 'INVALID_SCHEME_ID'
  | 'INVALID_SCHEME'
  | 'INVALID_OPTION'
  | 'NO_REQUIREMENT'
  | 'UNKNOWN_SCHEME'
  | 'UNDECLARED_SCOPE'
  | 'INVALID_REQUIREMENT'
  | 'CONFLICTING_PLACE'
  | 'UNREACHABLE_SCHEME'
  | 'FROZEN'
  | 'CARD_CONFLICT'
  | 'CARD_SIGNED'
  | 'UNPROTECTED_HANDLER'
  | 'FORBIDDEN_IN_PRODUCTION';

/**
 * The security of an agent is configured wrongly. Thrown when a scheme is constructed, or when an `AgentSecurity` is
 * first used; never while a request is answered.
 */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  /** The code of the first problem. */
  readonly code: ConfigurationProblemCode;
  readonly problems: readonly ConfigurationProblem[];

  constructor(problems: readonly [ConfigurationProblem, ...ConfigurationProblem[]]) {
    super(problems.map((problem) => problem.message).join('\n'));
    this.code = problems[0].code;
    this.problems = problems;
  }
}

/** A {@link ConfigurationError} with a single problem. */
export function configurationError(code: ConfigurationProblemCode, message: string): ConfigurationError {
  return new ConfigurationError([{ code, message }]);
}

/**
 * A security scheme found something in its place that is not a credential, or more than one: RFC 6750 calls it
 * `invalid_request`. Thrown by `extract`. The request is refused, whatever else it carries: a caller who sends
 * ambiguous credentials is not guessed at.
 */
export class MalformedCredential extends Error {
  override readonly name = 'MalformedCredential';
  readonly code = 'MALFORMED_CREDENTIAL';
}

/**
 * A verifier cannot tell whether a credential is good: its provider is down, or too slow. Thrown by `verify`; the
 * caller gets HTTP 503 or gRPC UNAVAILABLE, and is never let in.
 */
export class VerifierUnavailable extends Error {
  override readonly name = 'VerifierUnavailable';
  readonly code = 'VERIFIER_UNAVAILABLE';
  /** Seconds after which another try makes sense; sent as Retry-After. */
  readonly retryAfter: number;

  constructor(message: string, options: { retryAfter?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.retryAfter = options.retryAfter ?? 5;
  }
}

/** A verifier will not look at another credential of this caller for now. HTTP 429, gRPC RESOURCE_EXHAUSTED. */
export class TooManyAttempts extends Error {
  override readonly name = 'TooManyAttempts';
  readonly code = 'TOO_MANY_ATTEMPTS';
  /** Seconds after which another try makes sense; sent as Retry-After. */
  readonly retryAfter: number;

  constructor(message: string, options: { retryAfter: number }) {
    super(message);
    this.retryAfter = options.retryAfter;
  }
}

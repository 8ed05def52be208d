import type { AuthRequest } from '../auth-request.js';
import type { Operation } from '../operation.js';
import type { RefusalReason, SecurityScheme } from '../scheme.js';

type Maybe<T> = T | Promise<T>;

/** What the kit has to know of a scheme to try it. Requests are made by `conformanceRequest`. */
export interface SchemeFixture<Credential = unknown> {
  /** A new scheme for each case, configured for the requests below. */
  readonly create: () => Maybe<SecurityScheme<Credential>>;

  /** A request with a good credential. Called anew wherever a credential must not be used twice. */
  readonly good: () => Maybe<AuthRequest>;

  /** A request whose credential is well-formed, and wrong. */
  readonly bad: () => Maybe<AuthRequest>;

  /** A good request of somebody else. Left out: it is not tried whether callers are kept apart. */
  readonly other?: () => Maybe<AuthRequest>;

  /** Requests with something in the credential's place that is no credential. */
  readonly malformed?: () => Maybe<readonly AuthRequest[]>;

  /** Requests that are refused for these reasons, such as one with an expired credential. */
  readonly refused?: Readonly<Partial<Record<RefusalReason, () => Maybe<AuthRequest>>>>;

  /** The scopes of the good credential. Left out: any will do. */
  readonly scopes?: readonly string[];

  /** A scheme whose verifier cannot answer, such as one whose provider is down, and a request that it cannot judge. */
  readonly unavailable?: {
    readonly create: () => Maybe<SecurityScheme<Credential>>;
    readonly request: () => Maybe<AuthRequest>;
  };

  /** Operations that the good credential allows, and some that it does not, where the scheme answers `permits`. */
  readonly permits?: { readonly allowed: readonly Operation[]; readonly forbidden: readonly Operation[] };

  /** Whether a credential is good only once, as a DPoP proof is. Default false. */
  readonly singleUse?: boolean;

  /**
   * What of a credential nobody may see. Default: every text in what `extract` returned, and in the place it came
   * from. For basic authentication that is too much, since the user name may be known: `({ password }) => [password]`.
   */
  secrets?(credential: Credential): readonly string[];

  /** The agent's resource identifier, as in the options of `AgentSecurity`. */
  readonly resource?: string;
}

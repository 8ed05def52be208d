import type { AuthRequest } from './auth-request.js';
import type { SecuritySchemeDeclaration } from './card/declaration.js';
import type { Challenge } from './challenge.js';
import type { Operation } from './operation.js';
import type { Principal, PrincipalClaims } from './principal.js';

/**
 * The plug-in contract. A security scheme knows where its credential is, whether it is good, and how to ask for it; it
 * knows nothing of bindings, requirements, or other schemes. Every built-in scheme uses this contract and no other way.
 *
 * The engine calls `extract` once a request and `verify` at most once a request; where the body took longer than a second to
 * arrive, both once more, with the same request. It treats whatever it does not understand as a denial: an exception, a verification of another shape, a promise that does not settle.
 */
export interface SecurityScheme<Credential = unknown> {
  /**
   * What the Agent Card says of this scheme, from which the 1.0 and the 0.3 form are rendered. Left out: the scheme is
   * not published (development only).
   */
  readonly declaration?: SecuritySchemeDeclaration | undefined;

  /**
   * The scopes a requirement may ask of this scheme. Left out: the scheme cannot tell beforehand, and a requirement
   * may ask for any.
   */
  readonly scopes?: readonly string[] | undefined;

  /** The authorization servers whose tokens it accepts: published as protected resource metadata (RFC 9728). */
  readonly authorizationServers?: readonly string[] | undefined;

  /**
   * Headers besides the declared one in which callers send secrets. They are kept out of the executor's context.
   */
  readonly secretHeaders?: readonly string[] | undefined;

  /**
   * Whether the connection itself proves the credential, as it does a client certificate. Such a credential is verified
   * also when a requirement lacks another one, so that the caller is told what lacks and the audit event who it was. It is
   * of no use to anybody else, so that the audit event may quote it. Default false: an incomplete requirement costs nothing.
   */
  readonly provenByConnection?: boolean | undefined;

  /** Fetches ahead of traffic whatever the scheme will need. */
  warmUp?(): Promise<void>;

  /**
   * Finds this scheme's credential. Synchronous, without I/O, and without judging whether the credential is good.
   *
   * @returns the credential, or undefined when the request carries none for this scheme
   * @throws {MalformedCredential} when there is something in its place that is no single well-formed credential
   */
  extract(request: AuthRequest): Credential | undefined;

  /**
   * Proves the credential. Resolves also when it is not good; throws only when it cannot tell.
   *
   * @throws {VerifierUnavailable} the question cannot be answered now: 503
   * @throws {TooManyAttempts} the question will not be answered now: 429
   */
  verify(credential: Credential, context: VerifyContext): Verification | Promise<Verification>;

  /**
   * This scheme's part of WWW-Authenticate (RFC 9110 §11.6.1). Left out: a generic challenge made from the
   * declaration.
   */
  challenge?(denial: SchemeDenial): Challenge | readonly Challenge[];
}

/** What `verify` may want to know besides the credential. */
export interface VerifyContext {
  /** The id under which the scheme was registered. */
  readonly schemeId: string;
  readonly request: AuthRequest;
  /** The resource identifier of the agent (RFC 8707), where it has one. */
  readonly resource: string | undefined;
}

/** What a scheme found out about a credential. */
export type Verification =
  | {
      readonly verified: true;
      readonly principal: PrincipalClaims;
      /** The scopes the credential carries. Left out: none. */
      readonly scopes?: readonly string[] | undefined;
      /** For the audit event: which of the principal's credentials it was. Must not hold the credential. */
      readonly detail?: string | undefined;
      /**
       * Asked once it is known what is called and by whom, for credentials that allow some calls and not others. Whatever
       * is not exactly a yes is a no: the call is `not_permitted` (403). Left out: every call is permitted.
       *
       * @throws {VerifierUnavailable} the question cannot be answered now: 503
       */
      readonly permits?: ((call: PermittedCall) => Permission | Promise<Permission>) | undefined;
    }
  | {
      readonly verified: false;
      /**
       * Why not. `not_permitted` says that the credential is genuine but does not allow this call (403); every other
       * reason is a credential to be replaced (401).
       */
      readonly reason: RefusalReason;
      /** For the audit event, never for the caller. Must not hold the credential. */
      readonly detail: string;
      /** Who it was, where that is known, for the audit event. */
      readonly principal?: PrincipalClaims | undefined;
      /** The standard error code for the challenge, where the reason alone does not tell it. */
      readonly error?: string | undefined;
    };

/** A call that credentials have to allow. */
export interface PermittedCall {
  readonly operation: Operation;
  /** Everyone whose credentials the alternative needs, by scheme id, in the order of registration. */
  readonly principals: ReadonlyMap<string, Principal>;
}

export type Permission =
  | { readonly permitted: true }
  | {
      readonly permitted: false;
      /** For the audit event, never for the caller. Must not hold the credential. */
      readonly detail: string;
      /** The standard error code for the challenge. */
      readonly error?: string | undefined;
    };

export type RefusalReason = 'invalid' | 'expired' | 'revoked' | 'not_permitted';

/** Why a scheme is asked for a challenge. */
export interface SchemeDenial {
  readonly schemeId: string;
  /** What was wrong with this scheme's part of the request. */
  readonly reason:
    | 'missing'
    | 'malformed'
    | 'invalid'
    | 'insufficient_scope'
    | 'insufficient_authentication'
    | 'not_permitted';
  /** The error code of the scheme's own verification, where it gave one. */
  readonly error: string | undefined;
  /** The scopes that a requirement asks of this scheme. */
  readonly requiredScopes: readonly string[];
  /** What a requirement asks of the authentication itself (RFC 9470). */
  readonly stepUp: StepUp | undefined;
  /** The protection space (RFC 9110 §11.5) of the agent. */
  readonly realm: string;
  /** Where the protected resource metadata is (RFC 9728 §5.1), where the agent publishes it. */
  readonly resourceMetadataUrl: string | undefined;
}

/** How strong, and how fresh, an authentication must be (RFC 9470). */
export interface StepUp {
  /** Acceptable authentication contexts (`acr`), any of them. */
  readonly acrValues?: readonly string[] | undefined;
  /** Seconds that may have passed since the user authenticated (`auth_time`). */
  readonly maxAge?: number | undefined;
}

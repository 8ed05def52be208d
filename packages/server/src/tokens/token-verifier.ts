import type { Verification, VerifyContext } from '../scheme.js';

/** Proves a bearer token. Made by `jwt`, `jwtFromIssuer` and `introspection`, or written by hand. */
export interface TokenVerifier {
  /**
   * Says whether a token is good and whose it is. A `cnf` among the principal's claims (RFC 7800) is enforced by the
   * scheme that uses this verifier.
   *
   * @throws {VerifierUnavailable} when it cannot tell now
   */
  verify(token: string, context: VerifyContext): Verification | Promise<Verification>;
  /** The authorization servers whose tokens are accepted: published as protected resource metadata (RFC 9728). */
  readonly authorizationServers?: readonly string[] | undefined;
  /** Fetches ahead of traffic whatever is fetched. Left out: there is nothing to fetch. */
  warmUp?(): Promise<void>;
}

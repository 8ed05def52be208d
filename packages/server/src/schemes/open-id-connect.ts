import { checkOptions } from '../options.js';
import type { SecurityScheme } from '../scheme.js';
import type { DpopVerifier } from '../tokens/dpop.js';
import type { TokenVerifier } from '../tokens/token-verifier.js';
import { bearerTokenScheme } from './bearer-token.js';
import { assertUrl, assertVerifier } from './oauth2.js';

export interface OpenIdConnectOptions {
  /** The provider's discovery document, `<issuer>/.well-known/openid-configuration`. */
  readonly openIdConnectUrl: string;
  /** The scopes that requirements may ask for. Left out: any. */
  readonly scopes?: readonly string[];
  /** Published. */
  readonly description?: string;
  /** Such as `jwtFromIssuer()`; with `accept: 'id_token'` for ID tokens instead of access tokens. */
  readonly verifier: TokenVerifier;
  /** Accepts tokens that are bound to a key, with their DPoP proofs; see `dpop()`. Left out: such tokens are refused. */
  readonly dpop?: DpopVerifier;
}

/**
 * OpenID Connect: how tokens are had is what the provider's discovery document says.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` without a verifier, or with a URL that is none
 */
export function openIdConnect(options: OpenIdConnectOptions): SecurityScheme<string> {
  checkOptions('openIdConnect()', options, {
    openIdConnectUrl: 'any',
    scopes: 'strings',
    description: 'string',
    verifier: 'any',
    dpop: 'any',
  });
  const { openIdConnectUrl, description, scopes, verifier, dpop } = options;
  assertVerifier('openIdConnect', verifier);
  assertUrl('openIdConnect', 'openIdConnectUrl', openIdConnectUrl);
  return bearerTokenScheme({
    declaration: { type: 'openIdConnect', openIdConnectUrl, description },
    scopes,
    verifier,
    dpop,
  });
}

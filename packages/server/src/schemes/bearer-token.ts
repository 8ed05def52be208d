import type { AuthRequest } from '../auth-request.js';
import type { SecuritySchemeDeclaration } from '../card/declaration.js';
import type { Challenge } from '../challenge.js';
import { configurationError, MalformedCredential } from '../errors.js';
import { isPromise } from '../is-promise.js';
import type { SchemeDenial, SecurityScheme, Verification, VerifyContext } from '../scheme.js';
import type { DpopVerifier } from '../tokens/dpop.js';
import { holdToSender } from '../tokens/sender-constraint.js';
import type { TokenVerifier } from '../tokens/token-verifier.js';
import { authorizationCredentials } from './authorization-header.js';

/** What all schemes have in common whose credential is a token in the Authorization header. */
export interface BearerTokenOptions {
  readonly declaration: SecuritySchemeDeclaration;
  readonly scopes?: readonly string[] | undefined;
  readonly verifier: TokenVerifier;
  readonly dpop?: DpopVerifier | undefined;
}

/**
 * A scheme whose credential is a bearer token (RFC 6750), or one bound to its sender: by DPoP (RFC 9449) where `dpop` is
 * given, by the client certificate (RFC 8705) wherever a token says so.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when `dpop` is no DPoP verifier
 */
export function bearerTokenScheme({
  declaration,
  scopes,
  verifier,
  dpop,
}: BearerTokenOptions): SecurityScheme<string> {
  if (dpop !== undefined && typeof (dpop as Partial<DpopVerifier> | null)?.check !== 'function') {
    throw configurationError('INVALID_OPTION', 'The option dpop must be what dpop() returns.');
  }

  function verify(token: string, context: VerifyContext): Verification | Promise<Verification> {
    const verification = verifier.verify(token, context);
    return isPromise(verification)
      ? verification.then((settled) => hold(settled, token, context))
      : hold(verification, token, context);
  }

  function hold(
    verification: Verification,
    token: string,
    context: VerifyContext,
  ): Verification | Promise<Verification> {
    if (typeof verification !== 'object' || !verification?.verified) return verification;
    const presentedAs = dpop === undefined ? 'Bearer' : presentationOf(context.request);
    const isPlain = presentedAs === 'Bearer' && dpop?.required !== true;
    if (isPlain && verification.principal.claims?.cnf === undefined) return verification;
    return holdToSender(verification, token, presentedAs, context, dpop);
  }

  return {
    declaration,
    scopes,
    authorizationServers: verifier.authorizationServers,
    ...(verifier.warmUp === undefined ? {} : { warmUp: () => verifier.warmUp?.() ?? Promise.resolve() }),
    extract: (request) => extractToken(request, dpop !== undefined),
    verify,
    challenge: (denial) => bearerChallenges(denial, dpop),
  };
}

/**
 * @returns the token, or undefined when the request has no such credentials
 * @throws {MalformedCredential} when they are no single b64token (RFC 6750 §2.1), or there are several DPoP proofs
 */
function extractToken(request: AuthRequest, acceptsDpop: boolean): string | undefined {
  const token =
    authorizationCredentials(request, 'Bearer') ??
    (acceptsDpop ? authorizationCredentials(request, 'DPoP') : undefined);
  if (token === undefined) return undefined;
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) {
    throw new MalformedCredential('The Authorization header holds no single well-formed token.');
  }
  if (acceptsDpop && request.header('dpop').length > 1) {
    throw new MalformedCredential('There is more than one DPoP header (RFC 9449 §4.3).');
  }
  return token;
}

function presentationOf(request: AuthRequest): 'Bearer' | 'DPoP' {
  return authorizationCredentials(request, 'DPoP') === undefined ? 'Bearer' : 'DPoP';
}

/**
 * RFC 6750 §3: no error code when nothing was presented; the scope where one is asked for. What is malformed has the status of
 * every other refusal, 401, and not the 400 of §3.1 (SHOULD): without a challenge that is about it, a client cannot mend it.
 * RFC 9449 §7.1: the DPoP challenge stands beside the bearer one, and alone where DPoP is required or a proof was wrong.
 */
function bearerChallenges(denial: SchemeDenial, dpop: DpopVerifier | undefined): readonly Challenge[] {
  const { reason, error, requiredScopes, stepUp, realm, resourceMetadataUrl } = denial;
  const errors: Record<SchemeDenial['reason'], string | undefined> = {
    missing: undefined,
    malformed: 'invalid_request',
    invalid: 'invalid_token',
    insufficient_scope: 'insufficient_scope',
    // RFC 9470 §3
    insufficient_authentication: 'insufficient_user_authentication',
    not_permitted: 'insufficient_scope',
  };
  const isAboutProof = error === 'invalid_dpop_proof' || error === 'use_dpop_nonce';
  const needsStepUp = reason === 'insufficient_authentication';
  const params = {
    realm,
    // Where a credential may be wrong, a code of the verifier would tell which of several it is.
    error: (isAboutProof || reason === 'not_permitted' ? error : undefined) ?? errors[reason],
    scope: requiredScopes.length === 0 ? undefined : requiredScopes.join(' '),
    acr_values: needsStepUp ? stepUp?.acrValues?.join(' ') : undefined,
    max_age: needsStepUp && stepUp?.maxAge !== undefined ? String(stepUp.maxAge) : undefined,
    resource_metadata: resourceMetadataUrl,
  };
  const bearer: Challenge = { scheme: 'Bearer', params };
  if (dpop === undefined) return [bearer];
  const nonce = dpop.freshNonce();
  const proven: Challenge = {
    scheme: 'DPoP',
    params: { ...params, algs: dpop.algorithms.join(' ') },
    headers: nonce === undefined ? undefined : { 'dpop-nonce': nonce },
  };
  // RFC 9449 §7.1 and §8: what is wrong with a proof is answered by the DPoP challenge alone.
  return dpop.required || isAboutProof ? [proven] : [bearer, proven];
}

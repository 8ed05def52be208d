import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
} from 'jose';

import { configurationError } from '../errors.js';
import { checkOptions, type OptionKind } from '../options.js';
import type { Verification } from '../scheme.js';
import { delegationReader, type DelegationOptions } from './delegation.js';
import {
  ASYMMETRIC_ALGORITHMS,
  DEFAULT_MAX_LIFETIME,
  clientIdOf,
  hasAudience,
  isIdToken,
  isSecurityEvent,
  mediaType,
  livesTooLong,
  refusalOf,
  refused,
  shown,
  signedPart,
  spellingProblem,
  verificationOf,
  type ScopesMapper,
} from './jwt-claims.js';
import { givenKeySet, remoteKeySet, type KeySet, type KeySetOptions } from './key-set.js';
import { assertSecure, OutboundError } from './outbound.js';
import { rememberTokens, type TokenMemoryOptions } from './token-memory.js';
import type { TokenVerifier } from './token-verifier.js';

/** An issuer whose tokens are accepted, and what its tokens are like. */
export interface TrustedIssuer {
  /** The `iss` of its tokens, compared exactly; also where its metadata is looked for. */
  readonly issuer: string;
  /** Default: the verifier's. */
  readonly audience?: string | readonly string[] | undefined;
  /**
   * Where the issuer says whom a token is for. `client_id` is for issuers whose access tokens carry no `aud`; `audience`
   * then lists the accepted clients. Default `aud`.
   */
  readonly audienceClaim?: 'aud' | 'client_id' | undefined;
  /** Where its keys are. Default: as its metadata says. */
  readonly jwksUri?: string | undefined;
  /** Its keys, when they are not to be fetched. */
  readonly jwks?: JSONWebKeySet | undefined;
  /** The accepted `alg` values, asymmetric ones alone. Default: all of RFC 7518, RFC 8037 and RFC 9864. */
  readonly algorithms?: readonly string[] | undefined;
  /**
   * `id_token` accepts the issuer's ID tokens instead of its access tokens; `audience` is then the client id. Default
   * `access_token`.
   */
  readonly accept?: 'access_token' | 'id_token' | undefined;
  /**
   * Accepts access tokens whose `typ` is `JWT` or missing, for issuers that do not follow RFC 9068. ID tokens are told
   * apart and refused all the same. Default false: `at+jwt` alone.
   */
  readonly anyJwt?: boolean | undefined;
  /** Finds the scopes, where they are not in `scope` or `scp`. */
  readonly scopes?: ScopesMapper | undefined;
}

export interface JwtFromIssuerOptions
  extends TokenMemoryOptions, DelegationOptions, Pick<TrustedIssuer, 'accept' | 'anyJwt'> {
  /** One issuer or several; which one a token is checked against is decided by its exact `iss`. */
  readonly issuer: string | TrustedIssuer | readonly (string | TrustedIssuer)[];
  /** The `aud` a token must have, alone or among others; several are alternatives. Needed unless every issuer has its own. */
  readonly audience?: string | readonly string[];
  /** Seconds by which clocks may differ. Default 5. */
  readonly clockTolerance?: number;
  /** Claims that must be present besides `iss`, `exp`, `sub` and the audience. */
  readonly requiredClaims?: readonly string[];
  /** Seconds that a token may be valid for: from its `iat`, where it has one, and from now. Default 366 days. */
  readonly maxLifetime?: number;
  /** How keys are fetched and kept. */
  readonly keys?: KeySetOptions;
}

/** The options that `oauth2FromIssuer()` has as well. */
export const PROOF_OPTIONS = {
  issuer: 'any',
  audience: 'any',
  anyJwt: 'boolean',
  clockTolerance: 'number',
  maxLifetime: 'number',
  requiredClaims: 'strings',
  keys: 'object',
  cache: 'any',
  revoked: 'function',
  maxDelegationDepth: 'number',
  allowedActors: 'any',
} as const satisfies Record<keyof Omit<JwtFromIssuerOptions, 'accept'>, OptionKind>;

/**
 * Verifies the JWTs that issuers sign with keys they publish: access tokens by RFC 9068 and with the advice of RFC 8725,
 * or ID tokens where that is asked for.
 *
 * The issuer is found by an exact `iss` before any key is fetched. Keys come from the issuer's metadata and never from
 * the token: `jwk`, `jku` and `x5u` headers are ignored.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when an option is missing or too weak
 */
export function jwtFromIssuer(options: JwtFromIssuerOptions): Required<TokenVerifier> {
  checkOptions('jwtFromIssuer()', options, { ...PROOF_OPTIONS, accept: 'any' });
  const { clockTolerance = 5, maxLifetime = DEFAULT_MAX_LIFETIME, keys = {} } = options;
  const requiredClaims = [...new Set(['iss', 'exp', 'sub', ...(options.requiredClaims ?? [])])];
  const delegation = delegationReader('jwtFromIssuer()', options);
  const issuers = new Map<string, Issuer>();
  for (const given of [options.issuer].flat() as readonly (string | TrustedIssuer)[]) {
    const issuer = readIssuer(given, options, keys);
    if (issuers.has(issuer.issuer)) throw invalid(`the issuer ${issuer.issuer} is in the list twice.`);
    issuers.set(issuer.issuer, issuer);
  }
  if (issuers.size === 0) throw invalid('at least one issuer is needed.');
  if (!Number.isFinite(clockTolerance) || clockTolerance < 0) {
    throw invalid('clockTolerance must be a number of seconds, 0 or more.');
  }
  if (!(maxLifetime > 0)) {
    throw invalid('maxLifetime must be a positive number of seconds.');
  }

  async function verifyToken(token: string): Promise<Verification> {
    try {
      const misspelling = spellingProblem(token);
      if (misspelling !== undefined) return refused(misspelling);
      const header = decodeProtectedHeader(token);
      const { iss } = decodeJwt(token);
      const issuer = iss === undefined ? undefined : issuers.get(iss);
      if (issuer === undefined)
        return refused(`its "iss" is ${shown(iss)}, which is none of the trusted issuers`);
      const kind = wrongKind(issuer, header.typ);
      if (kind !== undefined) return refused(kind);
      const { payload, protectedHeader } = await verifySignature(token, header.kid, issuer, {
        issuer: issuer.issuer,
        algorithms: issuer.algorithms,
        clockTolerance,
        requiredClaims,
      });
      const problem = claimsProblem(issuer, payload, protectedHeader.typ);
      if (problem !== undefined) return refused(problem);
      if (livesTooLong(payload, maxLifetime, clockTolerance)) {
        return refused(`it is valid for more than ${String(maxLifetime)} seconds`);
      }
      return verificationOf(payload, { clockTolerance, delegation, scopes: issuer.scopes });
    } catch (error) {
      // decodeProtectedHeader and decodeJwt throw a TypeError on what is no JWT at all.
      if (error instanceof TypeError) return refused('it is not a JWT, or its key is not usable');
      return refusalOf(error);
    }
  }

  return {
    verify: rememberTokens(verifyToken, options, 0, signedPart),
    authorizationServers: [...issuers.keys()],
    async warmUp() {
      await Promise.all([...issuers.values()].map(({ keySet }) => keySet.warmUp()));
    },
  };
}

interface Issuer extends Pick<TrustedIssuer, 'issuer' | 'scopes'> {
  readonly audience: readonly string[];
  readonly audienceClaim: 'aud' | 'client_id';
  readonly algorithms: string[];
  readonly accept: 'access_token' | 'id_token';
  readonly anyJwt: boolean;
  readonly keySet: KeySet;
}

type VerifyOptions = Parameters<typeof jwtVerify>[2];

/** Of keys without a `kid`, only trying tells whether the issuer has begun to sign with another one. */
async function verifySignature(
  token: string,
  kid: unknown,
  { keySet }: Issuer,
  options: VerifyOptions,
): ReturnType<typeof verifyByKnownKeys> {
  for (;;) {
    const { version } = keySet;
    try {
      return await verifyByKnownKeys(token, keySet, options);
    } catch (error) {
      if (kid !== undefined || !(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      await keySet.lookAgain();
      if (keySet.version === version) throw error;
    }
  }
}

/** Tries each key that fits when the token does not say which one it means. */
async function verifyByKnownKeys(token: string, keySet: KeySet, options: VerifyOptions) {
  try {
    return await jwtVerify(token, keySet.getKey, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options);
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** What `typ` tells before anything is verified. RFC 8725 §3.11: each kind of JWT has its own. */
function wrongKind({ accept, anyJwt }: Issuer, typ: string | undefined): string | undefined {
  const type = mediaType(typ);
  if (accept === 'id_token') {
    return type === undefined || type === 'jwt' || type === 'id+jwt'
      ? undefined
      : `its "typ" is ${String(type)}, which is no ID token's`;
  }
  if (type === 'at+jwt' || (anyJwt && (type === undefined || type === 'jwt'))) return undefined;
  return `its "typ" is ${type ?? 'missing'} instead of at+jwt (RFC 9068 §4); see the option anyJwt`;
}

function claimsProblem(issuer: Issuer, claims: JWTPayload, typ: string | undefined): string | undefined {
  const { audience, audienceClaim, accept, anyJwt } = issuer;
  if (!hasAudience(claims[audienceClaim], audience))
    return `its "${audienceClaim}" is ${shown(claims[audienceClaim])}, which does not name this agent (${audience.join(', ')})`;
  if (isSecurityEvent(claims)) return 'it is a security event token, which only tells of something';
  if (accept === 'id_token') return idTokenProblem(claims, audience);
  if (isIdToken(claims, typ)) return 'it is an ID token, which is no access token';
  if (anyJwt && mediaType(typ) !== 'at+jwt' && !looksLikeAccessToken(claims)) {
    return 'nothing in it, such as a scope or a role, shows that it is an access token';
  }
  return undefined;
}

/**
 * OIDC Core §2, and §3.1.3.7 as errata set 1 has it: with several audiences `azp` has to be there, and `azp` has to be us. Who
 * else is in `aud` is then the issuer's to trust.
 */
function idTokenProblem(claims: JWTPayload, clientIds: readonly string[]): string | undefined {
  const { aud, azp, iat } = claims;
  if (iat === undefined) return 'its "iat" is missing';
  const isScoped = 'scope' in claims || 'scp' in claims;
  if (isScoped || claims.token_use === 'access' || (claims.typ !== undefined && claims.typ !== 'ID')) {
    return 'it is an access token, which is no ID token';
  }
  if (Array.isArray(aud) && aud.length > 1 && azp === undefined) return 'it has several "aud" and no "azp"';
  if (azp !== undefined && !hasAudience(azp, clientIds)) return 'its "azp" is another client';
  return undefined;
}

/**
 * A plain JWT counts as an access token only when it says something that an ID token does not. Keycloak's tokens say in
 * `typ` what they are, refresh tokens too, and Cognito's in `token_use`.
 */
function looksLikeAccessToken(claims: JWTPayload): boolean {
  const { typ, token_use: use } = claims;
  if (typ !== undefined && typ !== 'Bearer' && typ !== 'DPoP') return false;
  if (use !== undefined) return use === 'access';
  if (['scope', 'scp', 'client_id', 'cid', 'appid'].some((claim) => claim in claims)) return true;
  const client = clientIdOf(claims);
  if (client === undefined) return false;
  if (typ !== undefined) return true;
  // ID tokens have roles too where somebody puts them there, and the client as `azp`. But it is in their `aud` (OIDC Core §2).
  return ('roles' in claims || 'permissions' in claims) && !hasAudience(claims.aud, [client]);
}

function readIssuer(
  given: string | TrustedIssuer,
  defaults: JwtFromIssuerOptions,
  keys: KeySetOptions,
): Issuer {
  // A missing environment variable gets past the types.
  const options = (
    typeof given === 'object' && (given as unknown) !== null ? given : { issuer: given }
  ) as TrustedIssuer;
  checkOptions('jwtFromIssuer(), issuer', options, {
    issuer: 'any',
    audience: 'any',
    audienceClaim: 'any',
    jwksUri: 'any',
    jwks: 'object',
    algorithms: 'strings',
    accept: 'any',
    anyJwt: 'boolean',
    scopes: 'function',
  });
  const { issuer, jwks, jwksUri, algorithms = ASYMMETRIC_ALGORITHMS, audienceClaim = 'aud' } = options;
  if (typeof issuer !== 'string' || issuer === '')
    throw invalid(
      'issuer must be a non-empty string, or a preset such as keycloak(). Is an environment variable missing?',
    );
  const audience = [options.audience ?? defaults.audience ?? []].flat() as readonly string[];
  if (audience.length === 0 || !audience.every((name) => typeof name === 'string' && name !== '')) {
    throw invalid(`no audience is given for the issuer ${issuer}: a token for anybody else must not pass.`);
  }
  const odd = algorithms.find((algorithm) => !ASYMMETRIC_ALGORITHMS.includes(algorithm));
  if (algorithms.length === 0 || odd !== undefined) {
    throw invalid(
      `the algorithms of the issuer ${issuer} must be some of ${ASYMMETRIC_ALGORITHMS.join(', ')}; keys that are published cannot be shared secrets.`,
    );
  }
  const accept = options.accept ?? defaults.accept ?? 'access_token';
  if (accept !== 'access_token' && accept !== 'id_token') {
    throw invalid(`accept must be 'access_token' or 'id_token', not ${JSON.stringify(accept)}.`);
  }
  if (audienceClaim !== 'aud' && audienceClaim !== 'client_id') {
    throw invalid(`audienceClaim must be 'aud' or 'client_id', not ${JSON.stringify(audienceClaim)}.`);
  }
  return {
    issuer,
    audience,
    audienceClaim,
    algorithms: [...algorithms],
    accept,
    anyJwt: options.anyJwt ?? defaults.anyJwt ?? false,
    scopes: options.scopes,
    keySet: keySetOf(issuer, jwks, jwksUri, keys),
  };
}

function keySetOf(
  issuer: string,
  jwks: JSONWebKeySet | undefined,
  jwksUri: string | undefined,
  keys: KeySetOptions,
): KeySet {
  const source = jwksUri ?? issuer;
  if (jwks === undefined && !URL.canParse(source)) {
    throw invalid(`${JSON.stringify(source)} is not a URL, so its keys cannot be had. Give jwksUri or jwks.`);
  }
  try {
    if (jwks !== undefined) return givenKeySet(jwks);
    assertSecure(new URL(source));
    return remoteKeySet(issuer, jwksUri, keys);
  } catch (error) {
    if (error instanceof OutboundError)
      throw invalid(`the keys of ${issuer} cannot be had: ${error.message}`);
    throw error;
  }
}

function invalid(message: string): Error {
  return configurationError('INVALID_OPTION', `jwtFromIssuer(): ${message}`);
}

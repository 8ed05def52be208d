import { decodeProtectedHeader, errors, type JWTPayload } from 'jose';

import type { Verification } from '../scheme.js';
import type { DelegationReader } from './delegation.js';

/** Finds the scopes in a token's claims. */
export type ScopesMapper = (claims: Readonly<Record<string, unknown>>) => readonly string[];

/** The asymmetric algorithms of RFC 7518, RFC 8037 and RFC 9864. */
export const ASYMMETRIC_ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/**
 * What a JWT says, once its signature, issuer, audience and times are known to be good.
 *
 * @param clockTolerance seconds by which the token may outlive its `exp`
 */
export function verificationOf(
  claims: JWTPayload,
  options: {
    clockTolerance: number;
    delegation: DelegationReader;
    scopes?: ScopesMapper | undefined;
  },
): Verification {
  const { sub, iss, exp } = claims;
  if (typeof sub !== 'string' || sub === '') return refused('"sub" is not a non-empty string');
  // JSON has numbers so large that they read as Infinity: a token that never ends.
  if (exp === undefined || !Number.isFinite(exp) || exp >= 1e11) return refused('"exp" is not a usable time');
  const delegation = options.delegation(claims);
  if ('problem' in delegation) return refused(delegation.problem);
  return {
    verified: true,
    principal: {
      subject: sub,
      issuer: iss,
      clientId: clientIdOf(claims),
      claims: deepFreeze(claims),
      actor: delegation.actor,
      expiresAt: exp + options.clockTolerance,
    },
    scopes: (options.scopes ?? scopesOf)(claims),
  };
}

/** RFC 9068 §2.2.3 has `scope`, a list in one string; some issuers have `scp`, as such or as an array. */
export function scopesOf({ scope, scp }: Readonly<Record<string, unknown>>): readonly string[] {
  const granted = scope ?? scp;
  if (typeof granted === 'string') return granted.split(' ').filter((name) => name !== '');
  return Array.isArray(granted) ? granted.filter((name): name is string => typeof name === 'string') : [];
}

/** RFC 9068 §2.2 has `client_id`; OpenID Connect has `azp`; Okta has `cid` and Entra ID v1 `appid`. */
export function clientIdOf(claims: Readonly<Record<string, unknown>>): string | undefined {
  return ['client_id', 'azp', 'cid', 'appid']
    .map((name) => claims[name])
    .find((id): id is string => typeof id === 'string' && id !== '');
}

/**
 * Whether a JWT is an ID token: by its `typ`, by the claims that tie it to a login (OIDC Core §2, §3.3.2.11), or by what
 * Keycloak (`typ`) and Cognito (`token_use`) say in the claims. A `nonce` alone makes no ID token of one that says that it is an
 * access token (RFC 8725 §3.11): Keycloak can be told to put it there.
 */
export function isIdToken(claims: Readonly<Record<string, unknown>>, typ: string | undefined): boolean {
  const saysAccessToken = mediaType(typ) === 'at+jwt' || claims.typ === 'Bearer' || claims.typ === 'DPoP';
  return (
    mediaType(typ) === 'id+jwt' ||
    ['at_hash', 'c_hash', 's_hash'].some((claim) => claim in claims) ||
    ('nonce' in claims && !saysAccessToken) ||
    claims.typ === 'ID' ||
    claims.token_use === 'id'
  );
}

/** Whether it is a token for the authorization server itself: Keycloak's are JWTs, and say so in a claim. */
export function isRefreshToken({ typ }: Readonly<Record<string, unknown>>): boolean {
  return typ === 'Refresh' || typ === 'Offline' || typ === 'Logout';
}

/**
 * Whether it is a security event token (RFC 8417), such as a logout token: it is signed by the issuer for this audience
 * as well, and grants nothing (OpenID Connect Back-Channel Logout 1.0 §4).
 */
export function isSecurityEvent(claims: Readonly<Record<string, unknown>>): boolean {
  return 'events' in claims;
}

/** Longer than any real token: Node's own limit for all headers together is 16 KiB. */
export const MAX_TOKEN_LENGTH = 16_384;

/**
 * What is wrong with a JWT before it is even read. Its signature must be in its one canonical spelling: decoders pass
 * over padding, white space and unused bits, so that one token would have many spellings, each with a digest and a place
 * in the cache of its own.
 */
export function spellingProblem(token: string): string | undefined {
  if (token.length > MAX_TOKEN_LENGTH) return 'it is too long';
  if (!token.includes('.')) return 'it is not a JWT; opaque tokens are for introspection()';
  const signature = token.slice(token.lastIndexOf('.') + 1);
  const isCanonical = Buffer.from(signature, 'base64url').toString('base64url') === signature;
  return isCanonical ? undefined : 'its signature is not in canonical base64url';
}

/** What of a JWT its signature covers: all that nobody but the issuer can vary (an ECDSA signature, anybody can). */
export function signedPart(token: string): string {
  return token.slice(0, token.lastIndexOf('.'));
}

/** The same of a token that need not be a JWT: of one that is none, all of it. */
export function identifyingPart(token: string): string {
  try {
    decodeProtectedHeader(token);
    return signedPart(token);
  } catch {
    return token;
  }
}

/** RFC 7515 §4.1.9: `application/` may be left out, and case does not matter. */
export function mediaType(typ: string | undefined): string | undefined {
  return typ?.toLowerCase().replace(/^application\//, '');
}

/** Whether a list of audiences, or a single one, names one of ours. */
export function hasAudience(aud: unknown, accepted: readonly string[]): boolean {
  return [aud].flat().some((audience) => typeof audience === 'string' && accepted.includes(audience));
}

/**
 * Reads an error of jose as a refusal.
 *
 * @throws the error, when it is not about the token
 */
export function refusalOf(error: unknown): Verification {
  if (error instanceof errors.JWTExpired) {
    const until = error.payload.exp === undefined ? '' : ` It was good until ${timeOf(error.payload.exp)}.`;
    return { verified: false, reason: 'expired', detail: `The token has ended.${until}` };
  }
  if (
    error instanceof errors.JWTClaimValidationFailed &&
    error.claim === 'nbf' &&
    error.reason === 'check_failed'
  ) {
    const { nbf } = error.payload;
    return refused(
      `it is good from ${timeOf(nbf)} on, and here it is ${timeOf(Date.now() / 1000)}; if a clock is wrong, see clockTolerance`,
    );
  }
  if (error instanceof errors.JOSEError) return refused(`${error.code}, ${error.message}`);
  // A published key that is broken: WebCrypto has DOMExceptions.
  if (error instanceof DOMException) return refused('its key is not usable');
  throw error;
}

/** Seconds since the epoch as text. */
function timeOf(seconds: number | undefined): string {
  const time = new Date((seconds ?? NaN) * 1000);
  return Number.isNaN(time.getTime()) ? 'another age' : time.toISOString();
}

export function refused(why: string): Verification {
  return { verified: false, reason: 'invalid', detail: `The token is not accepted: ${why}.` };
}

/** Claims are shared by every request that presents the token. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object') deepFreeze(inner);
  }
  return Object.freeze(value);
}

/** Longer than any access token should live; a token that ends in another century is a mistake or an attack. */
export const DEFAULT_MAX_LIFETIME = 366 * 24 * 3600;

/** Counted from its `iat`, and from now as well: an `iat` that is to come would hide how long the token is good for. */
export function livesTooLong({ exp, iat }: JWTPayload, maxLifetime: number, clockTolerance: number): boolean {
  if (exp === undefined) return true;
  const now = Date.now() / 1000;
  return !(exp - (iat ?? now) <= maxLifetime && exp - now <= maxLifetime + clockTolerance);
}

/** A claim as the audit event may show it: whoever presents a token decides what is in it. */
export function shown(claim: unknown): string {
  return claim === undefined ? 'missing' : JSON.stringify(claim).slice(0, 200);
}

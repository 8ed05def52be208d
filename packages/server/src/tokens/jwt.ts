import { createPublicKey, createSecretKey, KeyObject, type JsonWebKey } from 'node:crypto';

import { errors, jwtVerify, type JWTPayload } from 'jose';

import { configurationError } from '../errors.js';
import type { Verification } from '../scheme.js';
import { VerifiedTokenCache, type TokenCacheOptions } from './verified-token-cache.js';

export type JwtOptions = {
  /** The `iss` a token must have, exactly; several are alternatives. */
  readonly issuer: string | readonly string[];
  /** The `aud` a token must have, alone or among others; several are alternatives. */
  readonly audience: string | readonly string[];
  /**
   * The accepted `alg` values. Default: HS256 for a secret; for a public key those that fit it. `none` is never
   * accepted.
   */
  readonly algorithms?: readonly string[];
  /** Seconds by which clocks may differ. Default 5. */
  readonly clockTolerance?: number;
  /** Claims that must be present besides `iss`, `aud`, `exp` and `sub`. */
  readonly requiredClaims?: readonly string[];
  /** How long verified tokens are remembered; false to verify every one every time. */
  readonly cache?: TokenCacheOptions | false;
} & (
  | {
      /** Shared with the issuer: at least as many bytes as the hash has (RFC 7518 §3.2), so 32 for HS256. */
      readonly secret: string | Uint8Array;
      readonly publicKey?: undefined;
    }
  | {
      /** PEM (SPKI or certificate), JWK, or a KeyObject. */
      readonly publicKey: string | JsonWebKey | KeyObject;
      readonly secret?: undefined;
    }
);

/** Proves a token for `httpBearer({ verifier })`. */
export interface JwtVerifier {
  verify(token: string): Verification | Promise<Verification>;
}

const HMAC_MIN_BYTES: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 };

/** RFC 7518 §3.4: each curve has its own algorithm. */
const EC_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];

/**
 * Verifies JWTs with a key that is given: a secret shared with the issuer, or the issuer's public key.
 *
 * A token is accepted with an allowed algorithm, a good signature, an exact issuer, our audience, a subject, and an
 * expiry that is not over. Keys are never taken from the token (`jwk`, `jku`, `x5u` are ignored), unknown `crit`
 * headers are refused (RFC 7515 §4.1.11), and so are ID tokens (RFC 8725 §3.11).
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when an option is missing or too weak
 */
export function jwt(options: JwtOptions): JwtVerifier {
  const { clockTolerance = 5, requiredClaims = [], cache = {} } = options;
  const issuer = nonEmptyList('issuer', options.issuer);
  const audience = nonEmptyList('audience', options.audience);
  const { key, algorithms } = keyAndAlgorithms(options);
  if (!Number.isFinite(clockTolerance) || clockTolerance < 0) {
    throw invalid('clockTolerance must be a number of seconds, 0 or more.');
  }

  const verifyToken = async (token: string): Promise<Verification> => {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, key, {
        issuer,
        audience,
        algorithms,
        clockTolerance,
        requiredClaims: [...new Set(['iss', 'aud', 'exp', 'sub', ...requiredClaims])],
      });
      return verificationOf(payload, protectedHeader.typ, clockTolerance);
    } catch (error) {
      return refusal(error);
    }
  };

  if (cache === false) return { verify: verifyToken };
  const remembered = new VerifiedTokenCache(cache);
  return { verify: (token) => remembered.through(token, () => verifyToken(token)) };
}

function verificationOf(payload: JWTPayload, typ: string | undefined, clockTolerance: number): Verification {
  const { sub, iss, exp, client_id: clientId, azp } = payload;
  if (typeof sub !== 'string' || sub === '') return refused('"sub" is not a non-empty string');
  // JSON has numbers so large that they read as Infinity: a token that never ends.
  if (exp === undefined || !Number.isFinite(exp) || exp >= 1e11) return refused('"exp" is not a usable time');
  if (isIdToken(payload, typ)) return refused('it is an ID token, which is no access token');
  return {
    verified: true,
    principal: {
      subject: sub,
      issuer: iss,
      clientId: [clientId, azp].find((id): id is string => typeof id === 'string' && id !== ''),
      claims: deepFreeze(payload),
      expiresAt: exp + clockTolerance,
    },
    scopes: scopesOf(payload),
  };
}

/** OIDC Core §2 and §3.1.3.6: these claims tie an ID token to a login, which no access token is. */
function isIdToken(payload: JWTPayload, typ: string | undefined): boolean {
  return typ?.toLowerCase() === 'id+jwt' || ['nonce', 'at_hash', 'c_hash'].some((claim) => claim in payload);
}

/** RFC 9068 §2.2.3 has `scope`, a list in one string; some issuers have `scp`, as such or as an array. */
function scopesOf({ scope, scp }: JWTPayload): readonly string[] {
  const granted = scope ?? scp;
  if (typeof granted === 'string') return granted.split(' ').filter((name) => name !== '');
  return Array.isArray(granted) ? granted.filter((name): name is string => typeof name === 'string') : [];
}

function refusal(error: unknown): Verification {
  if (error instanceof errors.JWTExpired) {
    return { verified: false, reason: 'expired', detail: 'The token has ended.' };
  }
  if (error instanceof errors.JOSEError) return refused(`${error.code}, ${error.message}`);
  throw error;
}

function refused(why: string): Verification {
  return { verified: false, reason: 'invalid', detail: `The token is not accepted: ${why}.` };
}

function keyAndAlgorithms({ secret, publicKey, algorithms }: JwtOptions): { key: KeyObject; algorithms: string[] } {
  if ((secret === undefined) === (publicKey === undefined)) {
    throw invalid('exactly one of secret and publicKey is needed.');
  }
  if (secret !== undefined) {
    const accepted = algorithms ?? ['HS256'];
    assertAlgorithms(accepted, Object.keys(HMAC_MIN_BYTES), 'a secret');
    const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret;
    const needed = Math.max(...accepted.map((algorithm) => HMAC_MIN_BYTES[algorithm] ?? Infinity));
    if (!(bytes instanceof Uint8Array) || bytes.byteLength < needed) {
      throw invalid(
        `the secret must have at least ${String(needed)} bytes for ${accepted.join(', ')} (RFC 7518 §3.2). Make one with crypto.randomBytes(${String(needed)}).`,
      );
    }
    return { key: createSecretKey(bytes), algorithms: [...accepted] };
  }
  const key = toPublicKey(publicKey as NonNullable<typeof publicKey>);
  const fitting = algorithmsOf(key);
  const accepted = algorithms ?? fitting;
  assertAlgorithms(accepted, fitting, `this ${String(key.asymmetricKeyType)} key`);
  return { key, algorithms: [...accepted] };
}

function toPublicKey(given: string | JsonWebKey | KeyObject): KeyObject {
  const isPrivate =
    given instanceof KeyObject
      ? given.type !== 'public'
      : typeof given === 'string'
        ? given.includes('PRIVATE KEY')
        : 'd' in given || given.kty === 'oct';
  if (isPrivate) {
    throw invalid('publicKey is a private or secret key, which a verifier must not have. Give the public one.');
  }
  try {
    if (given instanceof KeyObject) return given;
    return typeof given === 'string' ? createPublicKey(given) : createPublicKey({ key: given, format: 'jwk' });
  } catch {
    throw invalid('publicKey cannot be read. Give PEM (SPKI or certificate), a JWK, or a KeyObject.');
  }
}

function algorithmsOf(key: KeyObject): string[] {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      // RFC 7518 §3.3
      if (modulusLength < 2048) throw invalid('publicKey is an RSA key of less than 2048 bits.');
      return RSA_ALGORITHMS;
    case 'ec':
      return namedCurve in EC_ALGORITHMS ? [EC_ALGORITHMS[namedCurve] as string] : unusable(key);
    case 'ed25519':
      return ['EdDSA', 'Ed25519'];
    default:
      return unusable(key);
  }
}

function unusable(key: KeyObject): never {
  throw invalid(`publicKey is a key of type ${String(key.asymmetricKeyType)}, for which no JWT algorithm is accepted here.`);
}

function assertAlgorithms(accepted: readonly string[], fitting: readonly string[], what: string): void {
  const odd = accepted.find((algorithm) => !fitting.includes(algorithm));
  if (accepted.length === 0 || odd !== undefined) {
    throw invalid(
      `algorithms must be some of ${fitting.join(', ')} for ${what}${odd === undefined ? '' : `, not ${JSON.stringify(odd)}`}.`,
    );
  }
}

function nonEmptyList(option: string, value: string | readonly string[] | undefined): string[] {
  const list = typeof value === 'string' ? [value] : [...(value ?? [])];
  if (list.length === 0 || !list.every((item) => typeof item === 'string' && item !== '')) {
    throw invalid(`${option} must be a non-empty string, or a list of such: a token for anybody else must not pass.`);
  }
  return list;
}

function invalid(message: string): Error {
  return configurationError('INVALID_OPTION', `jwt(): ${message}`);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}

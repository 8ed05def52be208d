import { createPublicKey, createSecretKey, KeyObject, subtle } from 'node:crypto';

import { importJWK, jwtVerify, type CryptoKey, type JWK } from 'jose';

import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { Verification } from '../scheme.js';
import { delegationReader, type DelegationOptions } from './delegation.js';
import {
  DEFAULT_MAX_LIFETIME,
  isIdToken,
  isRefreshToken,
  isSecurityEvent,
  livesTooLong,
  mediaType,
  refusalOf,
  refused,
  signedPart,
  spellingProblem,
  verificationOf,
} from './jwt-claims.js';
import { rememberTokens, type TokenMemoryOptions } from './token-memory.js';
import type { TokenVerifier } from './token-verifier.js';

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
  /** Seconds that a token may be valid for: from its `iat`, where it has one, and from now. Default 366 days. */
  readonly maxLifetime?: number;
  /** Claims that must be present besides `iss`, `aud`, `exp` and `sub`. */
  readonly requiredClaims?: readonly string[];
} & TokenMemoryOptions &
  DelegationOptions &
  (
    | {
        /** Shared with the issuer: at least as many bytes as the hash has (RFC 7518 §3.2), so 32 for HS256. */
        readonly secret: string | Uint8Array;
        readonly publicKey?: undefined;
      }
    | {
        /** PEM (SPKI or certificate), JWK, or a KeyObject. */
        readonly publicKey: string | JWK | KeyObject;
        readonly secret?: undefined;
      }
  );

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
 * headers are refused (RFC 7515 §4.1.11), and so are ID tokens and other kinds of JWT
 * (RFC 8725 §3.11) that show what they are. An issuer whose ID tokens do not is one for `jwtFromIssuer`.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when an option is missing or too weak
 */
export function jwt(options: JwtOptions): TokenVerifier {
  checkOptions('jwt()', options, {
    issuer: 'any',
    audience: 'any',
    secret: 'any',
    publicKey: 'any',
    algorithms: 'strings',
    clockTolerance: 'number',
    maxLifetime: 'number',
    requiredClaims: 'strings',
    cache: 'any',
    revoked: 'function',
    maxDelegationDepth: 'number',
    allowedActors: 'any',
  });
  const { clockTolerance = 5, maxLifetime = DEFAULT_MAX_LIFETIME } = options;
  const requiredClaims = [...new Set(['iss', 'aud', 'exp', 'sub', ...(options.requiredClaims ?? [])])];
  const issuer = nonEmptyList('issuer', options.issuer);
  const audience = nonEmptyList('audience', options.audience);
  const { key, algorithms } = keyAndAlgorithms(options);
  const delegation = delegationReader('jwt()', options);
  if (!Number.isFinite(clockTolerance) || clockTolerance < 0) {
    throw invalid('clockTolerance must be a number of seconds, 0 or more.');
  }
  if (!(maxLifetime > 0)) throw invalid('maxLifetime must be a positive number of seconds.');

  let imported: Promise<CryptoKey> | undefined;
  const [algorithm, ...others] = algorithms;
  const keyForJose = () =>
    algorithm === undefined || others.length > 0 ? key : (imported ??= cryptoKeyOf(key, algorithm));

  const verifyToken = async (token: string): Promise<Verification> => {
    try {
      const misspelling = spellingProblem(token);
      if (misspelling !== undefined) return refused(misspelling);
      const { payload, protectedHeader } = await jwtVerify(token, await keyForJose(), {
        issuer,
        audience,
        algorithms,
        clockTolerance,
        requiredClaims,
      });
      const { typ } = protectedHeader;
      const type = mediaType(typ);
      // RFC 8725 §3.11: each kind of JWT that has a `typ` of its own has it to be told apart.
      if (type?.endsWith('+jwt') === true && type !== 'at+jwt')
        return refused(`its "typ" is ${String(typ)}, which is no access token's`);
      if (isIdToken(payload, typ)) return refused('it is an ID token, which is no access token');
      if (isRefreshToken(payload)) return refused('it is a refresh token, which is no access token');
      if (isSecurityEvent(payload)) return refused('it is a security event token, which is no access token');
      if (livesTooLong(payload, maxLifetime, clockTolerance)) {
        return refused(`it is valid for more than ${String(maxLifetime)} seconds`);
      }
      return verificationOf(payload, { clockTolerance, delegation });
    } catch (error) {
      return refusalOf(error);
    }
  };

  return { verify: rememberTokens(verifyToken, options, 0, signedPart) };
}

function keyAndAlgorithms({ secret, publicKey, algorithms }: JwtOptions): {
  key: KeyObject;
  algorithms: string[];
} {
  if ((secret === undefined) === (publicKey === undefined)) {
    throw invalid('exactly one of secret and publicKey is needed. Is an environment variable missing?');
  }
  if (secret !== undefined) {
    const accepted = algorithms ?? ['HS256'];
    assertAlgorithms(accepted, Object.keys(HMAC_MIN_BYTES), 'a secret');
    const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret;
    // Whoever knows a public key could sign tokens with it (RFC 8725 §2.1). A file that was read is no string.
    if (bytes instanceof Uint8Array && Buffer.from(bytes).includes('-----BEGIN ')) {
      throw invalid('the secret is a key or a certificate in PEM. A public key belongs into publicKey.');
    }
    const needed = Math.max(...accepted.map((algorithm) => HMAC_MIN_BYTES[algorithm] ?? Infinity));
    if (!(bytes instanceof Uint8Array) || bytes.byteLength < needed) {
      throw invalid(
        `the secret must have at least ${String(needed)} bytes for ${accepted.join(', ')} (RFC 7518 §3.2). Make one with crypto.randomBytes(${String(needed)}).`,
      );
    }
    return { key: createSecretKey(bytes), algorithms: [...accepted] };
  }
  const key = toPublicKey(publicKey);
  const fitting = algorithmsOf(key);
  const accepted = algorithms ?? fitting;
  assertAlgorithms(accepted, fitting, `this ${String(key.asymmetricKeyType)} key`);
  return { key, algorithms: [...accepted] };
}

/**
 * The key as WebCrypto has it, which jose would look up with each token, and for a secret make anew. It is for one algorithm
 * alone.
 */
async function cryptoKeyOf(key: KeyObject, algorithm: string): Promise<CryptoKey> {
  const jwk = key.export({ format: 'jwk' });
  if (key.type !== 'secret') return (await importJWK(jwk, algorithm)) as CryptoKey;
  const hmac = { name: 'HMAC', hash: `SHA-${algorithm.slice(2)}` };
  return subtle.importKey('jwk', jwk, hmac, false, ['verify']);
}

function toPublicKey(given: string | JWK | KeyObject): KeyObject {
  const isPrivate =
    given instanceof KeyObject
      ? given.type !== 'public'
      : typeof given === 'string'
        ? given.includes('PRIVATE KEY')
        : 'd' in given || given.kty === 'oct';
  if (isPrivate) {
    throw invalid(
      'publicKey is a private or secret key, which a verifier must not have. Give the public one.',
    );
  }
  try {
    if (given instanceof KeyObject) return given;
    return typeof given === 'string'
      ? createPublicKey(given)
      : createPublicKey({ key: given, format: 'jwk' });
  } catch {
    throw invalid(
      'publicKey cannot be read. Give PEM (SPKI or certificate), a JWK, or a KeyObject. Is an environment variable missing?',
    );
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
  throw invalid(
    `publicKey is a key of type ${String(key.asymmetricKeyType)}, for which no JWT algorithm is accepted here.`,
  );
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
    throw invalid(
      `${option} must be a non-empty string, or a list of such: a token for anybody else must not pass.`,
    );
  }
  return list;
}

function invalid(message: string): Error {
  return configurationError('INVALID_OPTION', `jwt(): ${message}`);
}

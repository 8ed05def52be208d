import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  SignJWT,
  type JSONWebKeySet,
  type JWK,
} from 'jose';

import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';

export interface PushKeysOptions {
  /** What receivers know the agent by: `iss` of what it signs. Usually its URL. */
  readonly issuer: string;
  /**
   * Private keys as JWKs, each with `kid` and `alg`. The first one signs; all are published. With several instances of an
   * agent, publish a new key everywhere before any of them signs with it.
   */
  readonly keys: readonly JWK[];
  /** Seconds for which a key stays published after `rotate()` left it out. Default 3600. */
  readonly overlap?: number;
}

/** The keys that notifications are signed with. */
export interface PushKeys {
  /** The public keys, for receivers. */
  jwks(): JSONWebKeySet;
  /**
   * Takes other keys from now on: the first one signs. Those that are left out stay published for `overlap` seconds.
   *
   * @throws {ConfigurationError} `INVALID_OPTION`, and goes on with the keys it has
   */
  rotate(keys: readonly JWK[]): void;
  /** The JWT that goes with a notification. */
  sign(notification: SignedNotification): Promise<string>;
}

/** What a signature vouches for. */
export interface SignedNotification {
  readonly id: string;
  readonly taskId: string;
  readonly url: URL;
  readonly body: Uint8Array;
}

/** Seconds. Each attempt to deliver is signed anew. */
const LIFETIME = 120;

/** RFC 8725 §3.11: no other JWT by the same keys can be taken for one of these. */
const TYPE = 'a2a-notification+jwt';

const keyTypes: Readonly<Record<string, { readonly kty: string; readonly crv?: string }>> = {
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
};

interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly key: KeyObject;
  readonly published: JWK;
}

/**
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function pushKeys(options: PushKeysOptions): PushKeys {
  checkOptions('pushKeys()', options, { issuer: 'any', keys: 'any', overlap: 'number' });
  const { issuer, keys, overlap = 3600 } = options;
  if (typeof issuer !== 'string' || issuer === '') throw invalid('issuer must be a non-empty string.');
  if (!Number.isFinite(overlap) || overlap < 0) throw invalid('overlap must be a number of seconds.');

  let current = readKeys(keys);
  let retired: { readonly key: SigningKey; readonly until: number }[] = [];
  return {
    jwks() {
      retired = retired.filter(({ until }) => until > Date.now());
      return {
        keys: [...current, ...retired.map(({ key }) => key)].map(({ published }) => ({ ...published })),
      };
    },
    rotate(next) {
      const fresh = readKeys(next);
      const isFresh = ({ kid }: SigningKey) => fresh.some((key) => key.kid === kid);
      const until = Date.now() + overlap * 1000;
      retired = [...retired, ...current.map((key) => ({ key, until }))].filter(({ key }) => !isFresh(key));
      current = fresh;
    },
    async sign({ id, taskId, url, body }) {
      const [{ kid, alg, key }] = current;
      return new SignJWT({ taskId, request_body_sha256: createHash('sha256').update(body).digest('hex') })
        .setProtectedHeader({ alg, kid, typ: TYPE })
        .setIssuer(issuer)
        .setAudience(`${url.origin}${url.pathname}`)
        .setJti(id)
        .setIssuedAt()
        .setExpirationTime(`${LIFETIME}s`)
        .sign(key);
    },
  };
}

/**
 * A new private key for {@link pushKeys}.
 *
 * @param alg default `ES256`
 */
export async function generatePushKey(alg = 'ES256'): Promise<JWK> {
  if (!Object.hasOwn(keyTypes, alg)) throw invalidAlgorithm();
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg, kid: await calculateJwkThumbprint(jwk) };
}

function readKeys(keys: readonly JWK[]): readonly [SigningKey, ...SigningKey[]] {
  if (!Array.isArray(keys)) throw invalid('keys must be a list of private JWKs.');
  const [first, ...rest] = keys.map((key: JWK) => readKey(key));
  if (first === undefined) throw invalid('keys must be a list of private JWKs, at least one.');
  if (new Set([first, ...rest].map(({ kid }) => kid)).size < keys.length)
    throw invalid('Two keys have the same kid.');
  return [first, ...rest];
}

function readKey(jwk: JWK): SigningKey {
  const { kid, alg } = jwk ?? {};
  if (typeof kid !== 'string' || kid === '') throw invalid('Each key needs a kid.');
  const type = typeof alg === 'string' && Object.hasOwn(keyTypes, alg) ? keyTypes[alg] : undefined;
  if (alg === undefined || type === undefined) throw invalidAlgorithm();
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
  } catch {
    throw invalid(`The key ${JSON.stringify(kid)} is no private JWK.`);
  }
  const { kty, crv, x, y, n, e } = createPublicKey(key).export({ format: 'jwk' });
  const isRight = kty === type.kty && (type.crv === undefined || crv === type.crv);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? Infinity;
  if (!isRight || bits < 2048)
    throw invalid(`The key ${JSON.stringify(kid)} is not for ${alg}, or shorter than 2048 bits.`);
  const members = Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined);
  return { kid, alg, key, published: { ...Object.fromEntries(members), kid, alg, use: 'sig' } };
}

function invalidAlgorithm() {
  return invalid(`Each key needs an alg, one of ${Object.keys(keyTypes).join(', ')}.`);
}

function invalid(message: string) {
  return configurationError('INVALID_OPTION', `pushKeys(): ${message}`);
}

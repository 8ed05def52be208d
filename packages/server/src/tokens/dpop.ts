import { createHmac, createSecretKey, hash, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';

import { calculateJwkThumbprint, EmbeddedJWK, errors, jwtVerify, type JWTPayload } from 'jose';

import type { AuthRequest } from '../auth-request.js';
import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import { ASYMMETRIC_ALGORITHMS, mediaType } from './jwt-claims.js';
import { memoryReplayStore, type ReplayStore } from './replay-store.js';

export interface DpopOptions {
  /** Refuses plain bearer tokens. Default false: a token that is bound to a key needs a proof, another one does not. */
  readonly required?: boolean;
  /** The accepted `alg` values of proofs. Default: all asymmetric ones. */
  readonly algorithms?: readonly string[];
  /** Seconds for which a proof is good after its `iat`. Default 60. */
  readonly maxAge?: number;
  /** Seconds by which a proof may come from the future. Default 10. */
  readonly clockTolerance?: number;
  /** Where used proofs are remembered. Default: in this process. */
  readonly replayStore?: ReplayStore;
  /**
   * Asks clients to put a nonce of ours into each proof (RFC 9449 §8), so that proofs cannot be made ahead. The nonces
   * are made from the secret and the time, so that all processes with the secret accept them; `true` makes a secret for
   * this process. Default: no nonces.
   *
   * Clients that look for a nonce in HTTP 401 alone need `denials: { messages: 'http' }`.
   */
  readonly nonce?: true | { readonly secret: string | Uint8Array };
}

/** What is wrong with a proof. */
export interface DpopProblem {
  /** RFC 9449 §7.1 and §8. */
  readonly error: 'invalid_dpop_proof' | 'use_dpop_nonce';
  readonly detail: string;
}

/** Checks DPoP proofs (RFC 9449). One may be shared by several schemes. */
export interface DpopVerifier {
  readonly required: boolean;
  readonly algorithms: readonly string[];
  /** A nonce for the next proof; undefined when none are asked for. */
  freshNonce(): string | undefined;
  /**
   * Checks that the request carries a proof for this token, by the key with this thumbprint.
   *
   * @param resource the agent's own URL, whose origin then stands for the request's
   * @returns undefined when the proof is good
   */
  check(
    request: AuthRequest,
    token: string,
    thumbprint: string,
    resource: string | undefined,
  ): Promise<DpopProblem | undefined>;
}

/** Seconds for which a nonce is the current one; the one before it is accepted as well. */
const NONCE_PERIOD = 120;
const MAX_PROOF_LENGTH = 8_192;

/**
 * @throws {ConfigurationError} `INVALID_OPTION` when an option is out of range
 */
export function dpop(options: DpopOptions = {}): DpopVerifier {
  checkOptions('dpop()', options, {
    required: 'boolean',
    algorithms: 'strings',
    maxAge: 'number',
    clockTolerance: 'number',
    replayStore: 'object',
    nonce: 'any',
  });
  const { maxAge = 60, clockTolerance = 10, algorithms = ASYMMETRIC_ALGORITHMS } = options;
  const { replayStore = memoryReplayStore(), required = false } = options;
  if (!(maxAge > 0 && clockTolerance >= 0 && Number.isFinite(maxAge + clockTolerance))) {
    throw configurationError(
      'INVALID_OPTION',
      'dpop(): maxAge and clockTolerance must be numbers of seconds.',
    );
  }
  if (
    algorithms.length === 0 ||
    !algorithms.every((algorithm) => ASYMMETRIC_ALGORITHMS.includes(algorithm))
  ) {
    throw configurationError(
      'INVALID_OPTION',
      `dpop(): algorithms must be some of ${ASYMMETRIC_ALGORITHMS.join(', ')}.`,
    );
  }
  if (typeof replayStore.add !== 'function') {
    throw configurationError(
      'INVALID_OPTION',
      'dpop(): replayStore must have a function add(key, expiresAt).',
    );
  }
  const nonces = options.nonce === undefined ? undefined : nonceMaker(options.nonce);

  async function checkProof(
    request: AuthRequest,
    token: string,
    thumbprint: string,
    resource: string | undefined,
  ): Promise<DpopProblem | undefined> {
    const [proof, ...others] = request.header('dpop');
    if (proof === undefined) return problem('there is none');
    if (others.length > 0) return problem('there are several');
    if (proof.length > MAX_PROOF_LENGTH) return problem('it is too long');
    const verified = await verifySignature(proof, algorithms);
    if ('error' in verified) return verified;
    const { claims, jkt } = verified;

    const { htm, htu, ath, iat, jti, nonce } = claims;
    if (jkt !== thumbprint) return problem('it is signed by another key than the token is bound to');
    if (htm !== request.method) return problem('its "htm" is another method');
    const url = requestUrl(request, resource);
    if (!isSameUrl(htu, url))
      return problem(`its "htu" is ${withoutQuery(htu)}, and not ${withoutQuery(url)}`);
    if (ath !== hash('sha256', token, 'base64url')) return problem('its "ath" is not of this token');
    const now = Date.now() / 1000;
    if (typeof iat !== 'number' || !(now - iat <= maxAge) || !(iat - now <= clockTolerance)) {
      return problem('its "iat" is not recent');
    }
    if (nonces !== undefined && !nonces.isGood(nonce)) {
      return {
        error: 'use_dpop_nonce',
        detail: 'The DPoP proof has no nonce of ours, or one that has ended.',
      };
    }
    if (typeof jti !== 'string' || jti === '') return problem('it has no "jti"');
    // Last, so that only a proof that is good otherwise takes a place in the store.
    const isNew = await replayStore.add(
      hash('sha256', `${jkt} ${jti}`, 'base64url'),
      (iat + maxAge + clockTolerance) * 1000,
    );
    return isNew ? undefined : problem('it was used before');
  }

  // Several schemes of one request may ask about the same proof, which is no replay.
  const checked = new WeakMap<AuthRequest, Map<string, Promise<DpopProblem | undefined>>>();
  return {
    required,
    algorithms,
    freshNonce: () => nonces?.fresh(),
    check(request, token, thumbprint, resource) {
      const results = checked.get(request) ?? new Map<string, Promise<DpopProblem | undefined>>();
      checked.set(request, results);
      const key = `${thumbprint} ${token}`;
      const result = results.get(key) ?? checkProof(request, token, thumbprint, resource);
      results.set(key, result);
      return result;
    },
  };
}

async function verifySignature(
  proof: string,
  algorithms: readonly string[],
): Promise<{ claims: JWTPayload; jkt: string } | DpopProblem> {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { algorithms: [...algorithms] });
    const { typ, jwk } = protectedHeader;
    if (mediaType(typ) !== 'dpop+jwt') return problem('its "typ" is not dpop+jwt');
    // RFC 9449 §4.3: a proof that shows a private key proves nothing.
    if (jwk === undefined || 'd' in jwk || jwk.kty === 'oct') return problem('its "jwk" is not a public key');
    return { claims: payload, jkt: await calculateJwkThumbprint(jwk) };
  } catch (error) {
    if (error instanceof errors.JOSEError) return problem(`${error.code}, ${error.message}`);
    return problem('its key is not usable');
  }
}

function problem(why: string): DpopProblem {
  return { error: 'invalid_dpop_proof', detail: `The DPoP proof is not accepted: ${why}.` };
}

/** The request's URL, with the origin that the agent is known by: a Host header is the caller's word alone. */
function requestUrl(request: AuthRequest, resource: string | undefined): string {
  if (resource === undefined || !URL.canParse(request.url)) return request.url;
  const url = new URL(resource);
  // Assigned and not resolved against the resource: the path `//host/path` would resolve to another host.
  url.pathname = new URL(request.url).pathname;
  return url.href;
}

/** RFC 9449 §4.3: without query and fragment. Normalised as the URL standard says, which leaves percent-encoding as it is. */
function isSameUrl(htu: unknown, actual: string): boolean {
  if (typeof htu !== 'string' || !URL.canParse(htu) || !URL.canParse(actual)) return false;
  const [claimed, real] = [new URL(htu), new URL(actual)];
  return claimed.origin === real.origin && claimed.pathname === real.pathname;
}

/** For the audit event: a query may hold a credential. */
function withoutQuery(url: unknown): string {
  if (typeof url !== 'string' || !URL.canParse(url)) return 'no URL';
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`.slice(0, 200);
}

/** A nonce is the HMAC of the current period: nothing is stored, and every process with the secret knows it. */
function nonceMaker(option: true | { readonly secret: string | Uint8Array }): {
  fresh: () => string;
  isGood: (nonce: unknown) => boolean;
} {
  const secret = option === true ? randomBytes(32) : option.secret;
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret;
  if (!(bytes instanceof Uint8Array) || bytes.byteLength < 32) {
    throw configurationError(
      'INVALID_OPTION',
      'dpop(): the secret for nonces must be at least 32 random bytes.',
    );
  }
  const key = createSecretKey(bytes);
  const period = () => Math.floor(Date.now() / 1000 / NONCE_PERIOD);
  return {
    fresh: () => nonceOf(key, period()),
    isGood: (nonce) =>
      typeof nonce === 'string' &&
      [period(), period() - 1].some((time) => isEqual(nonce, nonceOf(key, time))),
  };
}

function nonceOf(key: KeyObject, period: number): string {
  return createHmac('sha256', key).update(String(period)).digest('base64url');
}

function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';

import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import { discoverIssuer } from './discovery.js';
import { boundedFetch, OutboundError, type OutboundOptions } from './outbound.js';
import { Refreshable } from './refreshable.js';

/** How a provider's keys are fetched and kept. All durations in seconds. */
export interface KeySetOptions extends OutboundOptions {
  /** How long fetched keys count as fresh. Default 600. */
  readonly maxAge?: number;
  /** How long keys already known go on proving tokens while the provider is down. Default 86 400, a day. */
  readonly maxStale?: number;
  /** The least time between two fetches for keys that were not found, or after one that failed. Default 30. */
  readonly cooldown?: number;
}

/** A provider with hundreds of keys is either broken or an attack on whoever looks through them. */
const MAX_KEYS = 100;
/** Metadata changes more rarely than keys do. */
const METADATA_MAX_AGE_MS = 3_600_000;

/** The keys of one issuer. */
export interface KeySet {
  readonly getKey: JWTVerifyGetKey;
  /** Another one after each load. */
  readonly version: number;
  /**
   * Looks for other keys, because none of those known fits; at most once a cool-down.
   *
   * @throws {VerifierUnavailable}
   */
  lookAgain(): Promise<void>;
  /** @throws {VerifierUnavailable} */
  warmUp(): Promise<void>;
}

/** Keys that are given and never change. */
export function givenKeySet(jwks: JSONWebKeySet): KeySet {
  return {
    getKey: createLocalJWKSet(publicKeysOf(jwks, 'jwks')),
    version: 1,
    lookAgain: () => Promise.resolve(),
    warmUp: () => Promise.resolve(),
  };
}

/**
 * The keys that an issuer publishes. They are fetched when first needed, once for concurrent callers; a token whose key
 * is not among them causes one fetch a cool-down, and while that fails, the answer is "unavailable", not "invalid".
 *
 * @param jwksUri left out: taken from the issuer's metadata
 */
export function remoteKeySet(issuer: string, jwksUri: string | undefined, options: KeySetOptions): KeySet {
  checkOptions('keys', options, {
    maxAge: 'number',
    maxStale: 'number',
    cooldown: 'number',
    timeout: 'number',
    fetch: 'function',
  });
  const { maxAge = 600, maxStale = 86_400, cooldown = 30 } = options;
  if (![maxAge, maxStale, cooldown].every((seconds) => Number.isFinite(seconds) && seconds >= 0)) {
    throw configurationError(
      'INVALID_OPTION',
      'keys: maxAge, maxStale and cooldown must be numbers of seconds.',
    );
  }
  const durations = { maxStale: maxStale * 1000, cooldown: cooldown * 1000 };
  const fetchBounded = boundedFetch(options);
  const metadata = new Refreshable({
    ...durations,
    what: `The metadata of ${issuer}`,
    maxAge: METADATA_MAX_AGE_MS,
    load: async () => (await discoverIssuer(issuer, options)).metadata.jwks_uri,
  });

  let version = 0;
  async function load(): Promise<JWTVerifyGetKey> {
    const uri = jwksUri ?? (await metadata.get());
    if (uri === undefined) throw new OutboundError(`The metadata of ${issuer} has no jwks_uri.`);
    const response = await fetchBounded(uri, {
      headers: { accept: 'application/jwk-set+json, application/json' },
    });
    if (response.status !== 200) {
      throw new OutboundError(`${uri} answered with HTTP ${String(response.status)} instead of a key set.`);
    }
    const loaded = createLocalJWKSet(publicKeysOf(await jsonOf(response, uri), uri));
    version += 1;
    return loaded;
  }

  const keys = new Refreshable({
    ...durations,
    what: `The keys of ${issuer}`,
    maxAge: maxAge * 1000,
    // A key that was withdrawn is good for no longer than that, while the provider is up.
    maxUnasked: 2 * maxAge * 1000,
    load,
  });
  return {
    async getKey(header, token) {
      try {
        return await (
          await keys.get()
        )(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      }
      try {
        return await (
          await keys.getAfterMiss()
        )(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        // The load just waited for may have begun before the key was published.
        return (await keys.getAfterMiss())(header, token);
      }
    },
    get version() {
      return version;
    },
    async lookAgain() {
      await keys.getAfterMiss();
    },
    async warmUp() {
      await keys.get();
    },
  };
}

async function jsonOf(response: Response, uri: string): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    throw new OutboundError(`${uri} answered with something that is not JSON.`);
  }
}

/** Keeps what can verify signatures: a key set may hold encryption keys as well, and must hold no secrets. */
function publicKeysOf(jwks: unknown, source: string): JSONWebKeySet {
  const keys: unknown = (jwks as Partial<JSONWebKeySet> | null)?.keys;
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'object' && key !== null)) {
    throw new OutboundError(`${source} is not a JSON Web Key Set.`);
  }
  if (keys.length > MAX_KEYS) {
    throw new OutboundError(
      `${source} has ${String(keys.length)} keys; more than ${String(MAX_KEYS)} are not accepted.`,
    );
  }
  return { keys: (keys as JSONWebKeySet['keys']).filter((key) => key.use !== 'enc' && key.kty !== 'oct') };
}

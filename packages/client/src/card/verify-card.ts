import { AgentCard, canonicalizeAgentCard } from '@a2a-js/sdk';
import { createLocalJWKSet, flattenedVerify, type FlattenedVerifyGetKey, type JWK } from 'jose';

import { ClientError } from '../errors.js';
import { fetchJson } from '../fetch-json.js';
import { guardedFetch } from '../guarded-fetch.js';
import { checkOptions } from '../options.js';
import { isSecure } from '../secure-url.js';
import { bounded, isObject, member, text } from './json.js';

/** Whose signature is good. What a card itself says of where its keys are (`jku`) is not looked at. */
export interface CardTrust {
  /** Public keys. Give these or `jwksUri`. */
  readonly keys?: readonly JWK[] | undefined;
  /** Where the public keys are, https. They are fetched once a verification. */
  readonly jwksUri?: string | undefined;
}

/** Public-key algorithms only: whoever verifies must not be able to sign. */
const algorithms = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
  'EdDSA',
  'Ed25519',
];

/**
 * Verifies a signed card (A2A 1.0 §8.4): one of its signatures, by one of the trusted keys.
 *
 * @param card JSON that was parsed, or the SDK's `AgentCard`
 * @returns the card as the signature covers it. Use this one: what A2A 1.0 does not know, the older spellings of URLs and
 *   schemes among it, is not covered, and anybody could have added it.
 * @throws {ClientError} `CARD_UNSIGNED`, `CARD_SIGNATURE_INVALID`, `CARD_UNAVAILABLE` when the keys cannot be fetched,
 *   `INVALID_OPTION`
 */
export async function verifyCard(card: unknown, trust: CardTrust): Promise<AgentCard> {
  checkOptions('The trust in signed cards', trust, { keys: true, jwksUri: true });
  const getKeys = keysOf(trust);
  const signatures = isObject(card) ? member(card, 'signatures') : undefined;
  if (!Array.isArray(signatures) || signatures.length === 0)
    throw new ClientError('CARD_UNSIGNED', 'The agent card is not signed.');
  const { covered, payload, incomplete } = canonical(card);
  const entries = bounded<unknown>(signatures, 10, 'signatures');
  const keys = await getKeys();
  if (await isSigned(payload, entries, keys)) return covered;
  throw new ClientError(
    'CARD_SIGNATURE_INVALID',
    incomplete !== payload && (await isSigned(incomplete, entries, keys))
      ? 'The signature of the agent card leaves its security schemes out, so anybody could have changed those. The agent has ' +
          'to sign the JSON of its card: AgentCard.toJSON(card).'
      : 'The agent card has no signature by a trusted key: it was changed, or signed by somebody else.',
  );
}

async function isSigned(
  payload: string,
  signatures: readonly unknown[],
  keys: readonly FlattenedVerifyGetKey[],
): Promise<boolean> {
  for (const entry of signatures) {
    if (!isObject(entry)) continue;
    const jws = {
      payload,
      protected: text(entry, 'protected') ?? '',
      signature: text(entry, 'signature') ?? '',
    };
    for (const key of keys) {
      try {
        await flattenedVerify(jws, key, { algorithms });
        return true;
      } catch {
        // Another one may be good.
      }
    }
  }
  return false;
}

/** The card, what is signed of it, and what older releases of the SDK sign of it when they are given their own object. */
function canonical(card: unknown): {
  readonly covered: AgentCard;
  readonly payload: string;
  readonly incomplete: string;
} {
  const encode = (text: string) => Buffer.from(text).toString('base64url');
  try {
    // Through JSON in any case: an object may have more in it than what is signed.
    const covered = AgentCard.fromJSON(isSdkObject(card) ? AgentCard.toJSON(card) : card);
    return {
      covered,
      payload: encode(canonicalizeAgentCard(AgentCard.toJSON(covered) as AgentCard)),
      incomplete: encode(canonicalizeAgentCard(covered)),
    };
  } catch {
    throw new ClientError('CARD_INVALID', 'The agent card cannot be brought into the form that is signed.');
  }
}

/** The SDK holds a scheme in another form than JSON does, and some agents serve that form. */
function isSdkObject(card: unknown): card is AgentCard {
  const schemes = isObject(card) ? member(card, 'securitySchemes') : undefined;
  return (
    isObject(schemes) &&
    Object.values(schemes).some(
      (scheme) => isObject(scheme) && isObject(scheme.scheme) && '$case' in scheme.scheme,
    )
  );
}

/** Checks the options; nothing is fetched before the result is called. */
function keysOf({ keys, jwksUri }: CardTrust): () => Promise<readonly FlattenedVerifyGetKey[]> {
  if ((keys === undefined) === (jwksUri === undefined))
    throw new ClientError(
      'INVALID_OPTION',
      'The trust in signed cards needs either keys or a jwksUri, and not both. Is an environment variable missing?',
    );
  if (keys !== undefined) {
    if (!Array.isArray(keys) || keys.length === 0)
      throw new ClientError('INVALID_OPTION', 'keys must be a list of public keys as JWKs, at least one.');
    return async () => eachAlone(keys);
  }
  const url = URL.canParse(jwksUri ?? '') ? new URL(jwksUri ?? '') : undefined;
  if (url === undefined || !isSecure(url))
    throw new ClientError('INVALID_OPTION', 'jwksUri must be an https URL, or an http one of the loopback.');
  return async () => {
    const fetched = await fetchJson(url, guardedFetch([url]), {
      what: 'The key set for agent cards',
      codes: { unavailable: 'PROVIDER_UNAVAILABLE', invalid: 'PROVIDER_UNAVAILABLE' },
    });
    const list = isObject(fetched) ? member(fetched, 'keys') : undefined;
    return eachAlone(Array.isArray(list) ? list : []);
  };
}

/** Each key by itself, as jose takes none of several that fit: those of one `kid`, or any without one. */
function eachAlone(keys: readonly unknown[]): readonly FlattenedVerifyGetKey[] {
  return keys.filter(isObject).map((jwk) => (header, token) => {
    const key = { ...jwk, kid: jwk.kid ?? header.kid } as JWK;
    return createLocalJWKSet({ keys: [key] })(header, token);
  });
}

import { constants, verify, type KeyObject } from 'node:crypto';

import { childrenOf, readObjectIdentifier, sequenceOf, type Element } from './der.js';

/** A signature algorithm that is strong enough. */
export interface SignatureAlgorithm {
  /** For `node:crypto`; null for algorithms that hash by themselves. */
  readonly hash: string | null;
  readonly isPss: boolean;
}

const algorithms: Readonly<Record<string, SignatureAlgorithm>> = {
  '1.2.840.113549.1.1.11': { hash: 'sha256', isPss: false },
  '1.2.840.113549.1.1.12': { hash: 'sha384', isPss: false },
  '1.2.840.113549.1.1.13': { hash: 'sha512', isPss: false },
  '1.2.840.10045.4.3.2': { hash: 'sha256', isPss: false },
  '1.2.840.10045.4.3.3': { hash: 'sha384', isPss: false },
  '1.2.840.10045.4.3.4': { hash: 'sha512', isPss: false },
  '1.3.101.112': { hash: null, isPss: false },
  '1.3.101.113': { hash: null, isPss: false },
};
const RSASSA_PSS = '1.2.840.113549.1.1.10';
const pssHashes: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const curves = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 16_384;

/** Reads an AlgorithmIdentifier; undefined when it is unknown or weak, as SHA-1 and MD5 are. */
export function readSignatureAlgorithm(element: Element | undefined): SignatureAlgorithm | undefined {
  const [id, parameters] = sequenceOf(element);
  const oid = readObjectIdentifier(id);
  if (oid !== RSASSA_PSS) return Object.hasOwn(algorithms, oid) ? algorithms[oid] : undefined;
  // RFC 4055 §3.1: [0] is the hash algorithm, SHA-1 when it is left out.
  const hashField =
    parameters === undefined ? undefined : sequenceOf(parameters).find(({ tag }) => tag === 0xa0);
  if (hashField === undefined) return undefined;
  const [hashId] = sequenceOf(childrenOf(hashField)[0]);
  const hash = pssHashes[readObjectIdentifier(hashId)];
  return hash === undefined ? undefined : { hash, isPss: true };
}

/** Whether a key made the signature. */
export function isSignedBy(
  key: KeyObject,
  { hash, isPss }: SignatureAlgorithm,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return isPss
      ? verify(
          hash,
          data,
          {
            key,
            padding: constants.RSA_PKCS1_PSS_PADDING,
            saltLength: constants.RSA_PSS_SALTLEN_AUTO,
          },
          signature,
        )
      : verify(hash, data, key, signature);
  } catch {
    // Another kind of key than the algorithm is for.
    return false;
  }
}

/** Says why a key must not be trusted, or undefined. */
export function keyProblem({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | undefined {
  switch (asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss': {
      const bits = asymmetricKeyDetails?.modulusLength ?? 0;
      return bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS ? undefined : `Its RSA key has ${bits} bits.`;
    }
    case 'ec':
      return curves.has(asymmetricKeyDetails?.namedCurve ?? '')
        ? undefined
        : 'Its key is on an unusual curve.';
    case 'ed25519':
    case 'ed448':
      return undefined;
    default:
      return 'Its key is of a kind that is not accepted.';
  }
}

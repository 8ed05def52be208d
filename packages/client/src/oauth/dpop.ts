import { randomUUID } from 'node:crypto';

import { calculateJwkThumbprint, decodeJwt, exportJWK, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';
import { Configuration, getDPoPHandle, randomDPoPKeyPair, type CryptoKey } from 'openid-client';

import type { CredentialSource } from '../credential-source.js';
import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import { digest } from './digest.js';
import { bound, type OAuthSource } from './oauth-source.js';
import type { Sender } from './sender.js';

export interface DpopOptions {
  /**
   * The key that tokens are bound to. Default: a new one for this source. With a token store, give the same one again after a
   * restart: what was stored is of no use with another.
   */
  readonly keyPair?: { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey };
  /** The `alg` of a new key. Default `ES256`. */
  readonly algorithm?: 'ES256' | 'ES384' | 'PS256' | 'RS256' | 'Ed25519';
}

const ALGORITHMS = ['ES256', 'ES384', 'PS256', 'RS256', 'Ed25519'];

/** Agents whose nonces are remembered. */
const MAX_NONCES = 100;

/**
 * Binds the tokens of an OAuth source to a key (RFC 9449): each request carries a proof that it is there, so that a stolen token
 * is of no use. The nonces of authorization servers and agents are learned as they come.
 *
 * @throws {ClientError} `INVALID_OPTION` when the source gives no OAuth tokens, or the key pair is none
 */
export function dpop(source: CredentialSource, options: DpopOptions = {}): OAuthSource {
  checkOptions('dpop()', options, { keyPair: true, algorithm: true });
  const { keyPair, algorithm = 'ES256' } = options;
  if (!ALGORITHMS.includes(algorithm)) {
    throw new ClientError('INVALID_OPTION', `dpop(): algorithm must be one of ${ALGORITHMS.join(', ')}.`);
  }
  if (
    keyPair !== undefined &&
    !(
      keyPair.privateKey?.type === 'private' &&
      keyPair.publicKey?.type === 'public' &&
      keyPair.publicKey.extractable
    )
  ) {
    throw new ClientError(
      'INVALID_OPTION',
      'dpop(): keyPair must have a private key, and the public one with it that can be extracted.',
    );
  }
  const made = bound(source, senderWith(keyPair, algorithm));
  if (made === undefined) {
    throw new ClientError(
      'INVALID_OPTION',
      'dpop() goes around a source of OAuth tokens: dpop(clientCredentials({ ... })).',
    );
  }
  return made;
}

function senderWith(given: DpopOptions['keyPair'], algorithm: string): Sender {
  const prepare = async () => {
    const keyPair = given ?? (await randomDPoPKeyPair(algorithm));
    const jwk = await exportJWK(keyPair.publicKey);
    return {
      privateKey: keyPair.privateKey,
      header: { alg: algorithmOf(keyPair.privateKey), typ: 'dpop+jwt', jwk },
      thumbprint: await calculateJwkThumbprint(jwk),
      // The configuration is read for a difference of clocks alone, and there is none.
      handle: getDPoPHandle(new Configuration({ issuer: 'https://none.invalid' }, 'none'), keyPair),
    };
  };
  let prepared: ReturnType<typeof prepare> | undefined;
  const key = () => (prepared ??= prepare());
  const nonces = new LRUCache<string, string>({ max: MAX_NONCES });

  return {
    thumbprint: async () => (await key()).thumbprint,
    handle: async () => (await key()).handle,
    async proof({ method, url }, accessToken) {
      const { privateKey, header } = await key();
      const { origin, pathname } = new URL(url);
      const nonce = nonces.get(origin);
      return new SignJWT({
        jti: randomUUID(),
        htm: method,
        // RFC 9449 §4.2: without query and fragment.
        htu: `${origin}${pathname}`,
        ath: digest(accessToken),
        ...(nonce === undefined ? {} : { nonce }),
      })
        .setProtectedHeader(header)
        .setIssuedAt()
        .sign(privateKey);
    },
    observe({ url, headers }) {
      const nonce = headers.get('dpop-nonce');
      // RFC 9449 §8.1.
      if (nonce !== null && /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/.test(nonce)) {
        nonces.set(new URL(url).origin, nonce);
      }
    },
    hasNewerNonce({ url }, proof) {
      const nonce = nonces.get(new URL(url).origin);
      return nonce !== undefined && proof !== undefined && decodeJwt(proof).nonce !== nonce;
    },
  };
}

/** The `alg` of a Web Crypto key. */
function algorithmOf({ algorithm }: CryptoKey): string {
  const { name, namedCurve, hash } = algorithm as {
    name: string;
    namedCurve?: string;
    hash?: { name: string };
  };
  const bits = hash?.name.slice(-3) ?? '256';
  switch (name) {
    case 'ECDSA':
      return namedCurve === 'P-521' ? 'ES512' : `ES${namedCurve?.slice(-3) ?? '256'}`;
    case 'RSA-PSS':
      return `PS${bits}`;
    case 'RSASSA-PKCS1-v1_5':
      return `RS${bits}`;
    case 'Ed25519':
      return 'Ed25519';
    default:
      throw new ClientError('INVALID_OPTION', `dpop(): there is no signature algorithm for ${name} keys.`);
  }
}

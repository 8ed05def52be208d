import { generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto';

import { network, type Network } from './network.js';
import { compact, goodClaims, ISSUER, rsa } from './token.js';

type Json = Readonly<Record<string, unknown>>;

/** A key that an issuer signs with. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  /** As the issuer publishes it. */
  readonly jwk: JsonWebKey & { kty: string };
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly signer: (input: string) => Buffer;
  /** An access token for AUDIENCE, good but for what is given. */
  token(claims?: Json, header?: Json): string;
}

const makers: Readonly<Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }>> = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

export function signingKey(kid: string, alg: 'RS256' | 'ES256' | 'EdDSA' = 'ES256'): SigningKey {
  const { publicKey, privateKey } = makers[alg]?.() ?? generateKeyPairSync('ed25519');
  const signers: Readonly<Record<string, (input: string) => Buffer>> = {
    RS256: rsa(privateKey),
    ES256: (input) => sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }),
    EdDSA: (input) => sign(null, Buffer.from(input), privateKey),
  };
  const signer = signers[alg] as (input: string) => Buffer;
  const exported = publicKey.export({ format: 'jwk' });
  return {
    kid,
    alg,
    jwk: { ...exported, kty: exported.kty as string, kid, alg, use: 'sig' },
    publicKey,
    privateKey,
    signer,
    token: (claims = {}, header = {}) =>
      compact(
        { alg, typ: 'at+jwt', kid, ...header },
        { ...goodClaims(), client_id: 'service', ...claims },
        signer,
      ),
  };
}

/** The least that an issuer says about itself. */
export function metadataOf(issuer: string, more: Json = {}): Record<string, unknown> {
  return {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    response_types_supported: ['code'],
    ...more,
  };
}

/** Where the metadata of ISSUER is. */
export const METADATA_URL = `${ISSUER}/.well-known/openid-configuration`;
export const JWKS_URL = `${ISSUER}/jwks`;

/** A network with ISSUER in it, who publishes these keys. */
export function issuerNetwork(...keys: readonly SigningKey[]): Network {
  return network({ [METADATA_URL]: metadataOf(ISSUER), [JWKS_URL]: jwksOf(...keys) });
}

export function jwksOf(...keys: readonly { readonly jwk: JsonWebKey }[]): { keys: JsonWebKey[] } {
  return { keys: keys.map(({ jwk }) => jwk) };
}

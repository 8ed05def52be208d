import { generateKeyPairSync, sign, type KeyPairKeyObjectResult, type KeyObject } from 'node:crypto';

import type { JWK } from 'jose';

import { ALGORITHM, AUDIENCE, ISSUER, type Algorithm } from './settings.js';

/** An issuer of access tokens (RFC 9068), each of which is another one. */
export interface TokenIssuer {
  /** As PEM (SPKI). */
  readonly publicKey: string;
  /** As it is published. */
  readonly jwk: JWK;
  issue(count: number): string[];
}

const generate: Record<Algorithm, () => KeyPairKeyObjectResult> = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

/** Without waiting, which for tens of thousands of tokens is several times faster than through WebCrypto. */
const signWith: Record<Algorithm, (signed: Buffer, key: KeyObject) => Buffer> = {
  RS256: (signed, key) => sign('sha256', signed, key),
  ES256: (signed, key) => sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }),
  EdDSA: (signed, key) => sign(null, signed, key),
};

export function createTokenIssuer(algorithm: Algorithm = ALGORITHM, kid = 'bench'): TokenIssuer {
  const { privateKey, publicKey } = generate[algorithm]();
  const issue = (number: number): string => {
    const signed = [{ alg: algorithm, typ: 'at+jwt', kid }, claimsOf(number)].map(encode).join('.');
    return `${signed}.${signWith[algorithm](Buffer.from(signed), privateKey).toString('base64url')}`;
  };
  let issued = 0;
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' },
    issue: (count) => Array.from({ length: count }, () => issue(issued++)),
  };
}

/** The headers of callers who present these tokens in turn. */
export function bearers(tokens: readonly string[]): () => { authorization: string } {
  let next = 0;
  return () => ({ authorization: `Bearer ${tokens[next++ % tokens.length] ?? ''}` });
}

function claimsOf(number: number): object {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: `user-${String(number)}`,
    client_id: 'bench',
    scope: 'messages:read messages:write',
    jti: `token-${String(number)}`,
    iat: now,
    exp: now + 3600,
  };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

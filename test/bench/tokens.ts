import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

import { ALGORITHM, AUDIENCE, ISSUER } from './settings.js';

/** An issuer of access tokens (RFC 9068), each of which is another one. */
export interface TokenIssuer {
  /** As PEM (SPKI). */
  readonly publicKey: string;
  issue(count: number): string[];
}

export function createTokenIssuer(): TokenIssuer {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let issued = 0;
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    issue: (count) => Array.from({ length: count }, () => signToken(privateKey, issued++)),
  };
}

/** Signed without waiting, which for tens of thousands of tokens is several times faster than through WebCrypto. */
function signToken(privateKey: KeyObject, number: number): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: `user-${String(number)}`,
    client_id: 'bench',
    scope: 'messages:read messages:write',
    jti: `token-${String(number)}`,
    iat: now,
    exp: now + 3600,
  };
  const signed = [{ alg: ALGORITHM, typ: 'at+jwt', kid: 'bench' }, claims].map(encode).join('.');
  return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

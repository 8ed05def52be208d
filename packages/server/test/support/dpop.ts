import { createHash, randomUUID } from 'node:crypto';

import { signingKey, type SigningKey } from './issuer.js';
import { compact } from './token.js';

type Json = Readonly<Record<string, unknown>>;

/** A key that a client binds its tokens to. */
export interface DpopKey extends SigningKey {
  /** The `jkt` (RFC 9449 §6.1). */
  readonly thumbprint: string;
  /** A proof for a POST of this token to https://agent.example/a2a, good but for what is given. */
  proof(token: string, claims?: Json, header?: Json): string;
}

export function dpopKey(): DpopKey {
  const key = signingKey('dpop');
  const { crv, kty, x, y } = key.jwk;
  const jwk = { crv, kty, x, y };
  return {
    ...key,
    thumbprint: sha256(JSON.stringify(jwk)),
    proof: (token, claims = {}, header = {}) =>
      compact(
        { alg: key.alg, typ: 'dpop+jwt', jwk, ...header },
        { ...goodProof(token), ...claims },
        key.signer,
      ),
  };
}

/** The claims of a proof that is good now. */
export function goodProof(token: string): Record<string, unknown> {
  return {
    htm: 'POST',
    htu: 'https://agent.example/a2a',
    iat: Math.floor(Date.now() / 1000),
    jti: randomUUID(),
    ath: sha256(token),
  };
}

export function sha256(input: string | Uint8Array): string {
  return createHash('sha256').update(input).digest('base64url');
}

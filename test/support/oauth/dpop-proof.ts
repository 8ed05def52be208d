import { createHash, randomUUID } from 'node:crypto';

import { exportJWK, SignJWT } from 'jose';
import { getDPoPHandle, randomDPoPKeyPair, type Configuration } from 'openid-client';

export type DpopKeys = Awaited<ReturnType<typeof randomDPoPKeyPair>>;

/** A key pair, and openid-client's own maker of proofs for it. */
export async function dpopKeys(client: Configuration) {
  const keys = await randomDPoPKeyPair('ES256', { extractable: true });
  return { keys, handle: getDPoPHandle(client, keys) };
}

/** The headers of a request with a proof made by hand (RFC 9449 §4.2), for those who send it more than once. */
export async function dpopHeaders(
  { privateKey, publicKey }: DpopKeys,
  token: string,
  proof: { readonly htm: string; readonly htu: string; readonly nonce?: string },
) {
  const signed = await new SignJWT({
    ...proof,
    jti: randomUUID(),
    ath: createHash('sha256').update(token).digest('base64url'),
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(publicKey) })
    .setIssuedAt()
    .sign(privateKey);
  return { Authorization: `DPoP ${token}`, DPoP: signed };
}

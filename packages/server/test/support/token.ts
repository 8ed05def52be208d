import { createHmac, sign, type KeyObject } from 'node:crypto';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'https://agent.example';
export const SECRET = 'a shared secret of more than sixty-four bytes, which every hash accepts';

const encode = (text: string) => Buffer.from(text).toString('base64url');

/** Claims of a token that is good for a minute, counted from the (fake) clock. */
export function goodClaims(): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  return { iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 60 };
}

/** A compact JWS of whatever is given: nothing is checked, as an attacker checks nothing. */
export function compact(
  header: Readonly<Record<string, unknown>>,
  payload: string | Readonly<Record<string, unknown>>,
  signer: (input: string) => Buffer,
): string {
  const input = `${encode(JSON.stringify(header))}.${encode(typeof payload === 'string' ? payload : JSON.stringify(payload))}`;
  return `${input}.${signer(input).toString('base64url')}`;
}

export const hmac =
  (secret: string | Buffer, hash = 'sha256') =>
  (input: string) =>
    createHmac(hash, secret).update(input).digest();

export const rsa =
  (key: KeyObject, hash = 'sha256') =>
  (input: string) =>
    sign(hash, Buffer.from(input), key);

/** A token under the shared secret, good but for what is given. */
export function token(
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): string {
  return compact({ alg: 'HS256', typ: 'JWT', ...header }, { ...goodClaims(), ...claims }, hmac(SECRET));
}

import { createHash } from 'node:crypto';

import { jwt, type JwtOptions, type Verification } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { signingKey } from '../support/issuer.js';
import { AUDIENCE, compact, goodClaims, hmac, ISSUER, SECRET, token } from '../support/token.js';

const rsaKey = signingKey('k', 'RS256');
const ecKey = signingKey('k', 'ES256');
const edKey = signingKey('k', 'EdDSA');
const context = { schemeId: 'it', request: authRequest(), resource: undefined };

const verifierOf = (options: Partial<JwtOptions>) => jwt({ issuer: ISSUER, audience: AUDIENCE, ...options });
const accepted = expect.objectContaining({ verified: true }) as Verification;
const refusedAs = (reason: string) => expect.objectContaining({ verified: false, reason }) as Verification;
const invalid = refusedAs('invalid');
const partsOf = (given: string) => given.split('.') as [string, string, string];

/** Each kind of key, with a token under it. */
const kinds: readonly [string, Partial<JwtOptions>, (claims?: Record<string, unknown>) => string][] = [
  ['HS256', { secret: SECRET }, token],
  ['RS256', { publicKey: rsaKey.publicKey }, (claims) => rsaKey.token(claims)],
  ['ES256', { publicKey: ecKey.publicKey }, (claims) => ecKey.token(claims)],
  ['EdDSA', { publicKey: edKey.publicKey }, (claims) => edKey.token(claims)],
];

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe.each(kinds)('a signature by %s', (_alg, options, make) => {
  const verify = async (given: string) => verifierOf(options).verify(given, context);

  it('is good as it is', async () => {
    expect(await verify(make())).toEqual(accepted);
  });

  it('with any one bit flipped is refused', async () => {
    const verifier = verifierOf({ ...options, cache: false });
    const [header, payload, signature] = partsOf(make());
    const bytes = Buffer.from(signature, 'base64url');
    const passed: number[] = [];
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const forged = `${header}.${payload}.${flipped.toString('base64url')}`;
      if ((await verifier.verify(forged, context)).verified) passed.push(bit);
    }
    expect(passed).toEqual([]);
  });

  it('of another length is refused', async () => {
    const [header, payload, signature] = partsOf(make());
    const bytes = Buffer.from(signature, 'base64url');
    for (const changed of [
      bytes.subarray(1),
      bytes.subarray(0, -1),
      Buffer.concat([bytes, bytes]),
      Buffer.alloc(0),
    ]) {
      expect(await verify(`${header}.${payload}.${changed.toString('base64url')}`)).toEqual(invalid);
    }
  });

  it('of another token is refused', async () => {
    const [header, payload, signature] = partsOf(make());
    const [, rootPayload, rootSignature] = partsOf(make({ sub: 'root' }));
    expect(await verify(`${header}.${rootPayload}.${signature}`)).toEqual(invalid);
    expect(await verify(`${header}.${payload}.${rootSignature}`)).toEqual(invalid);
  });

  it('has one spelling: padding and white space make no second token', async () => {
    for (const suffix of ['=', '==', '\n', ' ']) expect(await verify(`${make()}${suffix}`)).toEqual(invalid);
  });

  it('has one spelling: unused bits make no second token', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const good = make();
    const last = alphabet.indexOf(good.slice(-1));
    const signature = partsOf(good)[2];
    const bytes = Buffer.from(signature, 'base64url');
    const spellings = Array.from(alphabet)
      .filter((_, index) => index !== last)
      .map((letter) => good.slice(0, -1) + letter)
      .filter((spelling) => Buffer.from(partsOf(spelling)[2], 'base64url').equals(bytes));
    expect(spellings.length).toBeGreaterThan(0);
    for (const spelling of spellings) expect(await verify(spelling)).toEqual(invalid);
  });

  it('makes no token of 1 MiB good', async () => {
    expect(await verify(make({ padding: 'x'.repeat(1024 * 1024) }))).toEqual(invalid);
  });
});

describe('a signature by ECDSA', () => {
  const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
  const zero = Buffer.alloc(32);
  const one = Buffer.concat([Buffer.alloc(31), Buffer.from([1])]);

  it.each<[string, Buffer, Buffer]>([
    ['r is zero', zero, one],
    ['s is zero', one, zero],
    ['r and s are zero', zero, zero],
    ['r and s are the order of the curve', order, order],
  ])('whose %s is refused', async (_what, r, s) => {
    const forged = compact({ alg: 'ES256' }, goodClaims(), () => Buffer.concat([r, s]));
    expect(await verifierOf({ publicKey: ecKey.publicKey }).verify(forged, context)).toEqual(invalid);
  });

  it('that is varied does not bring a revoked token back', async () => {
    const given = ecKey.token();
    const [header, payload, signature] = partsOf(given);
    const pair = Buffer.from(signature, 'base64url');
    const negated = BigInt(`0x${order.toString('hex')}`) - BigInt(`0x${pair.subarray(32).toString('hex')}`);
    const s = Buffer.from(negated.toString(16).padStart(64, '0'), 'hex');
    const variant = `${header}.${payload}.${Buffer.concat([pair.subarray(0, 32), s]).toString('base64url')}`;
    const publicKey = ecKey.publicKey;
    expect(await verifierOf({ publicKey }).verify(variant, context)).toEqual(accepted);
    const revokedId = createHash('sha256').update(`${header}.${payload}`).digest('base64url');
    const verifier = verifierOf({ publicKey, revoked: (id) => id === revokedId });
    for (const each of [given, variant])
      expect(await verifier.verify(each, context)).toEqual(refusedAs('revoked'));
  });
});

describe('a public key', () => {
  it('is no secret: whoever knows it could sign with it', () => {
    const pem = rsaKey.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const secret of [pem, Buffer.from(pem), new TextEncoder().encode(pem)]) {
      expect(() => verifierOf({ secret })).toThrow(/belongs into publicKey/);
    }
  });

  it.each<[string, string | Buffer]>([
    ['in PEM of PKCS #1', rsaKey.publicKey.export({ type: 'pkcs1', format: 'pem' })],
    ['as a JWK', JSON.stringify(rsaKey.publicKey.export({ format: 'jwk' }))],
    ['by its modulus', Buffer.from(String(rsaKey.jwk.n), 'base64url')],
    ['that is empty', ''],
  ])('%s is no shared secret', async (_what, secret) => {
    const forged = compact({ alg: 'HS256' }, goodClaims(), hmac(secret));
    expect(await verifierOf({ publicKey: rsaKey.publicKey }).verify(forged, context)).toEqual(invalid);
  });
});

describe('a token of another kind', () => {
  it.each<[string, Record<string, unknown>]>([
    ['a logout token', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }],
    ['a security event token', { events: {} }],
    ['an ID token by its s_hash', { s_hash: 'h' }],
    ['an ID token of Keycloak', { typ: 'ID' }],
    ['an ID token of Cognito', { token_use: 'id' }],
  ])('is refused: %s', async (_what, claims) => {
    expect(await verifierOf({ secret: SECRET }).verify(token(claims), context)).toEqual(invalid);
  });
});

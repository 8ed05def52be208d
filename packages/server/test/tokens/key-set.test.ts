import { generateKeyPairSync, randomBytes } from 'node:crypto';

import { jwtFromIssuer, VerifierUnavailable, type Verification } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { issuerNetwork, JWKS_URL, jwksOf, METADATA_URL, signingKey } from '../support/issuer.js';
import { down, held, type Network } from '../support/network.js';
import { AUDIENCE, compact, goodClaims, ISSUER, rsa } from '../support/token.js';

const ecKey = signingKey('ec');
const otherEcKey = signingKey('ec');
const rsaKey = signingKey('rsa', 'RS256');
const edKey = signingKey('ed', 'EdDSA');
const context = { schemeId: 'it', request: authRequest(), resource: undefined };
const accepted = expect.objectContaining({ verified: true }) as Verification;
const invalid = expect.objectContaining({ verified: false, reason: 'invalid' }) as Verification;

let net: Network;
const verifierOf = (keys = {}) =>
  jwtFromIssuer({ issuer: ISSUER, audience: AUDIENCE, cache: false, keys: { fetch: net.fetch, ...keys } });
const verify = async (token: string) => verifierOf().verify(token, context);
const publish = (...keys: readonly unknown[]) => {
  net.answer(JWKS_URL, { keys });
};

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
  net = issuerNetwork();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a key set', () => {
  const oct = { kty: 'oct', kid: 'ec', k: randomBytes(32).toString('base64url') };

  it.each<[string, readonly unknown[]]>([
    ['secrets', [oct]],
    ['keys for encryption', [{ ...rsaKey.jwk, kid: 'ec', use: 'enc' }]],
    [
      'keys of unknown kind',
      [{ kty: 'AKP2', kid: 'ec', pub: 'AAAA' }, { kty: '', kid: 'ec' }, { kid: 'ec' }],
    ],
    ['keys of unknown curves', [{ ...ecKey.jwk, crv: 'P-999' }]],
    ['keys of another kind', [{ ...rsaKey.jwk, kid: 'ec' }]],
    ['keys for another algorithm', [{ ...otherEcKey.jwk, alg: 'ES512' }]],
    ['keys for signing alone', [{ ...otherEcKey.jwk, key_ops: ['sign'] }]],
    ['keys whose parameters are no strings', [{ ...otherEcKey.jwk, crv: 5, kid: 5 }]],
    ['fields that nobody knows', [{ ...rsaKey.jwk, hello: { world: [1] } }]],
  ])('with %s among good keys proves with the good ones', async (_what, odd) => {
    publish(...odd, ecKey.jwk);
    expect(await verify(ecKey.token())).toEqual(accepted);
    publish(ecKey.jwk, ...odd);
    expect(await verify(ecKey.token())).toEqual(accepted);
  });

  it.each<[string, Record<string, unknown>]>([
    ['off the curve', { y: ecKey.jwk.x }],
    ['without a coordinate', { y: undefined }],
    ['with coordinates that are too short', { x: 'AAAA', y: 'AAAA' }],
    ['with coordinates that are no base64', { x: '!!!' }],
    ['that is private', { d: ecKey.privateKey.export({ format: 'jwk' }).d }],
  ])('with one key of two under one name %s proves with the other', async (_what, broken) => {
    publish({ ...otherEcKey.jwk, ...broken }, ecKey.jwk);
    expect(await verify(ecKey.token())).toEqual(accepted);
  });

  it.each<[string, Record<string, unknown>]>([
    ['off the curve', { y: ecKey.jwk.x }],
    ['without a coordinate', { y: undefined }],
    ['with coordinates that are no base64', { x: '!!!' }],
    ['with coordinates that are numbers', { x: 1 }],
  ])('whose key is %s refuses the tokens of that key, and throws nothing', async (_what, broken) => {
    publish({ ...ecKey.jwk, ...broken }, rsaKey.jwk);
    expect(await verify(ecKey.token())).toEqual(invalid);
    expect(await verify(rsaKey.token())).toEqual(accepted);
  });

  it('whose key is private refuses the tokens of that key: everybody can sign with it', async () => {
    publish({ ...ecKey.privateKey.export({ format: 'jwk' }), kid: 'ec' });
    expect(await verify(ecKey.token())).toEqual(invalid);
  });

  it('whose RSA key is too short refuses the tokens of that key', async () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
    publish({ ...short.publicKey.export({ format: 'jwk' }), kid: 'rsa' });
    const token = compact({ alg: 'RS256', typ: 'at+jwt', kid: 'rsa' }, goodClaims(), rsa(short.privateKey));
    expect(await verify(token)).toEqual(invalid);
  });

  it('with several keys under one name tries each', async () => {
    publish(otherEcKey.jwk, ecKey.jwk, rsaKey.jwk);
    expect(await verify(ecKey.token())).toEqual(accepted);
    expect(await verify(otherEcKey.token())).toEqual(accepted);
    expect(await verify(signingKey('ec').token())).toEqual(invalid);
  });

  it('with keys without a name proves tokens without one', async () => {
    publish(...[edKey, ecKey, rsaKey].map(({ jwk }) => ({ ...jwk, kid: undefined })));
    for (const key of [edKey, ecKey, rsaKey]) {
      expect(await verify(key.token({}, { kid: undefined }))).toEqual(accepted);
      expect(await verify(key.token())).toEqual(invalid);
    }
  });

  it('without an alg proves by the kind of the key', async () => {
    publish(...[edKey, ecKey, rsaKey].map(({ jwk }) => ({ ...jwk, alg: undefined, use: undefined })));
    for (const key of [edKey, ecKey, rsaKey]) expect(await verify(key.token())).toEqual(accepted);
  });

  it('of a hundred keys is accepted, of one more it is not', async () => {
    const filler = Array.from({ length: 99 }, () => ({ kty: 'x' }));
    publish(...filler, ecKey.jwk);
    expect(await verify(ecKey.token())).toEqual(accepted);
    publish({ kty: 'x' }, ...filler, ecKey.jwk);
    await expect(verify(ecKey.token())).rejects.toThrow(VerifierUnavailable);
  });

  it('without keys refuses every token', async () => {
    publish();
    expect(await verify(ecKey.token())).toEqual(invalid);
  });

  it.each<[string, object]>([
    ['a list', [ecKey.jwk]],
    ['an object without keys', {}],
    ['a single key', ecKey.jwk],
    ['an object of keys', { keys: { ec: ecKey.jwk } }],
    ['a list with null', { keys: [null, ecKey.jwk] }],
    ['a list with a string', { keys: ['ec', ecKey.jwk] }],
    ['a list in a list', { keys: 'ec' }],
  ])('that is %s is none: the verifier is unavailable', async (_what, answer) => {
    net.answer(JWKS_URL, () => Response.json(answer));
    await expect(verify(ecKey.token())).rejects.toThrow(VerifierUnavailable);
  });

  it('that was good is not displaced by a broken one', async () => {
    publish(ecKey.jwk);
    const verifier = verifierOf();
    await verifier.warmUp();
    net.answer(JWKS_URL, { keys: [null] });
    vi.advanceTimersByTime(600_000);
    expect(await verifier.verify(ecKey.token(), context)).toEqual(accepted);
    vi.advanceTimersByTime(31_000);
    expect(await verifier.verify(ecKey.token(), context)).toEqual(accepted);
    expect(net.count(JWKS_URL)).toBe(3);
  });
});

describe('a key that was withdrawn', () => {
  it('proves no token after a quiet time', async () => {
    publish(ecKey.jwk, rsaKey.jwk);
    const verifier = verifierOf();
    expect(await verifier.verify(ecKey.token(), context)).toEqual(accepted);
    publish(rsaKey.jwk);
    vi.advanceTimersByTime(20 * 60_000);
    expect(await verifier.verify(ecKey.token(), context)).toEqual(invalid);
  });
});

describe('keys without a name', () => {
  const nameless = ({ jwk }: typeof ecKey) => ({ ...jwk, kid: undefined });
  const tokenOf = (key: typeof ecKey) => key.token({}, { kid: undefined });

  it('rotate without losing a request', async () => {
    publish(nameless(ecKey));
    const verifier = verifierOf();
    expect(await verifier.verify(tokenOf(ecKey), context)).toEqual(accepted);
    publish(nameless(otherEcKey), nameless(ecKey));
    expect(await verifier.verify(tokenOf(otherEcKey), context)).toEqual(accepted);
    expect(await verifier.verify(tokenOf(ecKey), context)).toEqual(accepted);
    expect(net.count(JWKS_URL)).toBe(2);
  });

  it('are fetched again once a cool-down, however many forged tokens come', async () => {
    publish(nameless(ecKey));
    const verifier = verifierOf();
    await verifier.warmUp();
    const forged = Array.from({ length: 50 }, () => signingKey('ec').token({}, { kid: undefined }));
    expect(await Promise.all(forged.map(async (token) => verifier.verify(token, context)))).toEqual(
      forged.map(() => invalid),
    );
    expect(net.count(JWKS_URL)).toBe(2);
    vi.advanceTimersByTime(30_000);
    expect(await verifier.verify(forged[0] ?? '', context)).toEqual(invalid);
    expect(net.count(JWKS_URL)).toBe(3);
  });

  it('leave it open what a signature is that none of them made, while the provider is down', async () => {
    publish(nameless(ecKey));
    const verifier = verifierOf();
    await verifier.warmUp();
    net.answer(JWKS_URL, down);
    await expect(verifier.verify(tokenOf(otherEcKey), context)).rejects.toThrow(VerifierUnavailable);
    expect(await verifier.verify(tokenOf(ecKey), context)).toEqual(accepted);
  });

  it('that are given are not looked for', async () => {
    const verifier = jwtFromIssuer({
      issuer: { issuer: ISSUER, jwks: jwksOf({ jwk: nameless(ecKey) }) },
      audience: AUDIENCE,
    });
    expect(await verifier.verify(tokenOf(otherEcKey), context)).toEqual(invalid);
  });
});

describe('fetching keys', () => {
  it('fetches once more where a fetch under way began before a key was published', async () => {
    publish(ecKey.jwk);
    const verifier = verifierOf();
    await verifier.warmUp();
    vi.advanceTimersByTime(600_000);
    const before = held(() => Response.json(jwksOf(ecKey)));
    net.answer(JWKS_URL, before.answer);
    expect(await verifier.verify(ecKey.token(), context)).toEqual(accepted);
    await vi.waitFor(() => {
      expect(net.count(JWKS_URL)).toBe(2);
    });
    publish(ecKey.jwk, rsaKey.jwk);
    const verified = verifier.verify(rsaKey.token(), context);
    before.release();
    expect(await verified).toEqual(accepted);
    expect(net.count(JWKS_URL)).toBe(3);
  });

  it('asks for a key set, by GET, without a credential', async () => {
    publish(ecKey.jwk);
    await verifierOf().warmUp();
    const call = net.calls.find(({ url }) => url === JWKS_URL);
    expect(call).toMatchObject({ method: 'GET', body: '' });
    expect(call?.headers.get('accept')).toContain('application/jwk-set+json');
    expect(call?.headers.has('authorization')).toBe(false);
  });

  it('does not fetch the metadata anew with the keys', async () => {
    publish(ecKey.jwk);
    const verifier = verifierOf({ maxAge: 1 });
    for (let count = 0; count < 5; count++) {
      await verifier.verify(ecKey.token(), context);
      await vi.waitFor(() => {
        expect(net.count(JWKS_URL)).toBe(count + 1);
      });
      await verifier.warmUp();
      vi.advanceTimersByTime(1000);
    }
    expect(net.count(METADATA_URL)).toBe(1);
  });

  it('follows an issuer that moves its keys', async () => {
    publish(ecKey.jwk);
    const verifier = verifierOf({ cooldown: 0 });
    await verifier.warmUp();
    net.answer(JWKS_URL, down);
    net.answer(METADATA_URL, { issuer: ISSUER, jwks_uri: 'https://keys.example/jwks' });
    net.answer('https://keys.example/jwks', jwksOf(rsaKey));
    vi.advanceTimersByTime(3_600_000);
    await expect(verifier.verify(rsaKey.token(), context)).rejects.toThrow(VerifierUnavailable);
    await vi.waitFor(async () => {
      expect(await verifier.verify(rsaKey.token(), context)).toEqual(accepted);
    });
  });
});

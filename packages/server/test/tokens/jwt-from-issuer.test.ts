import { createHash } from 'node:crypto';

import {
  jwtFromIssuer,
  VerifierUnavailable,
  type JwtFromIssuerOptions,
  type Verification,
} from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { issuerNetwork, JWKS_URL, jwksOf, METADATA_URL, metadataOf, signingKey } from '../support/issuer.js';
import { down, held, type Network } from '../support/network.js';
import { AUDIENCE, ISSUER } from '../support/token.js';

const key = signingKey('first');
const nextKey = signingKey('second');
const context = { schemeId: 'it', request: authRequest(), resource: undefined };

let net: Network;
const verifierOf = (options: Partial<JwtFromIssuerOptions> = {}) =>
  jwtFromIssuer({ issuer: ISSUER, audience: AUDIENCE, keys: { fetch: net.fetch }, ...options });
const verify = async (token: string, options?: Partial<JwtFromIssuerOptions>) =>
  verifierOf(options).verify(token, context);

const accepted = expect.objectContaining({ verified: true }) as Verification;
const refusedAs = (reason: string) => expect.objectContaining({ verified: false, reason }) as Verification;

const NOW = new Date('2030-01-01T00:00:00Z');
const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1000);
beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  net = issuerNetwork(key);
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a good token', () => {
  it('says who its bearer is, and for which client', async () => {
    expect(await verify(key.token({ client_id: 'cli', role: 'admin' }))).toMatchObject({
      verified: true,
      principal: {
        subject: 'alice',
        issuer: ISSUER,
        clientId: 'cli',
        claims: { role: 'admin' },
        expiresAt: NOW.getTime() / 1000 + 65,
      },
    });
  });

  it('has claims that nobody can change', async () => {
    const verification = await verify(key.token({ realm_access: { roles: ['user'] } }));
    const claims = verification.verified ? verification.principal.claims : undefined;
    const access = claims?.realm_access as { roles: string[] };
    expect([claims, access, access.roles].map((part) => Object.isFrozen(part))).toEqual([true, true, true]);
  });

  it.each<[string, Record<string, unknown>, readonly string[]]>([
    ['scope, a list in a string', { scope: 'read  write' }, ['read', 'write']],
    ['scp, as such', { scp: 'read write' }, ['read', 'write']],
    ['scp, an array', { scp: ['read', 5, 'write'] }, ['read', 'write']],
    ['scope rather than scp', { scope: 'read', scp: ['admin'] }, ['read']],
    ['scope, an object', { scope: { admin: true } }, []],
    ['neither', {}, []],
  ])('has the scopes of %s', async (_what, claims, scopes) => {
    expect(await verify(key.token(claims))).toMatchObject({ verified: true, scopes });
  });

  it('has the scopes that the issuer’s mapper finds, and no others', async () => {
    const scopes = ({ realm_access: access }: Readonly<Record<string, unknown>>) =>
      (access as { roles: string[] }).roles;
    const token = key.token({ scope: 'admin', realm_access: { roles: ['ask'] } });
    expect(await verify(token, { issuer: { issuer: ISSUER, scopes } })).toMatchObject({ scopes: ['ask'] });
  });

  it('is not good when the mapper fails', async () => {
    const scopes = ({ realm_access: access }: Readonly<Record<string, unknown>>) =>
      (access as { roles: string[] }).roles;
    expect(await verify(key.token(), { issuer: { issuer: ISSUER, scopes } })).toEqual(refusedAs('invalid'));
  });

  it('has all required claims', async () => {
    const options = { requiredClaims: ['tenant'] };
    expect(await verify(key.token(), options)).toEqual(refusedAs('invalid'));
    expect(await verify(key.token({ tenant: 'acme' }), options)).toEqual(accepted);
    expect(await verify(key.token({ tenant: 'acme', exp: undefined }), options)).toEqual(
      refusedAs('invalid'),
    );
  });

  it.each([undefined, '', 5, { $ne: '' }])('has a subject, which %j is not', async (sub) => {
    expect(await verify(key.token({ sub }))).toEqual(refusedAs('invalid'));
  });

  it('may be for the client instead of the audience, where the issuer is configured so', async () => {
    const issuer = { issuer: ISSUER, audienceClaim: 'client_id', audience: ['cli', 'app'] } as const;
    expect(await verify(key.token({ aud: undefined, client_id: 'app' }), { issuer })).toEqual(accepted);
    expect(await verify(key.token({ aud: 'app', client_id: 'other' }), { issuer })).toEqual(
      refusedAs('invalid'),
    );
  });

  it('never shows in what is said of its refusal', async () => {
    const token = key.token({ aud: 'https://other.example' });
    const verification = await verify(token);
    expect(verification).toMatchObject({ detail: expect.stringContaining('"aud"') as string });
    expect(JSON.stringify(verification)).not.toContain(token.split('.')[2]);
  });
});

describe('the keys of an issuer', () => {
  it('are fetched once for concurrent first requests', async () => {
    const gate = held(() => Response.json(jwksOf(key)));
    net.answer(JWKS_URL, gate.answer);
    const verifier = verifierOf();
    const pending = Array.from({ length: 100 }, (_, index) =>
      Promise.resolve(verifier.verify(key.token({ jti: String(index) }), context)),
    );
    gate.release();
    expect((await Promise.all(pending)).every(({ verified }) => verified)).toBe(true);
    expect(net.count()).toBe(2);
  });

  it('may be given, and are then never fetched', async () => {
    const issuer = { issuer: 'not a url', jwks: { keys: [key.jwk] } };
    expect(await verify(key.token({ iss: 'not a url' }), { issuer })).toEqual(accepted);
    await verifierOf({ issuer }).warmUp();
    expect(await verify(nextKey.token({ iss: 'not a url' }), { issuer })).toEqual(refusedAs('invalid'));
    expect(net.count()).toBe(0);
  });

  it('may be at a given address, and are then not looked for', async () => {
    net.answer('https://keys.example/jwks', jwksOf(key));
    const issuer = { issuer: ISSUER, jwksUri: 'https://keys.example/jwks' };
    expect(await verify(key.token(), { issuer })).toEqual(accepted);
    expect(net.calls.map(({ url }) => url)).toEqual(['https://keys.example/jwks']);
  });

  it('are fetched ahead of traffic by warmUp', async () => {
    const verifier = verifierOf();
    await verifier.warmUp();
    expect(net.count()).toBe(2);
    expect(await verifier.verify(key.token(), context)).toEqual(accepted);
    await verifier.warmUp();
    expect(net.count()).toBe(2);
  });

  it('that cannot be had make warmUp fail, and a later token good', async () => {
    net.answer(JWKS_URL, down);
    const verifier = verifierOf();
    await expect(verifier.warmUp()).rejects.toThrow(VerifierUnavailable);
    net.answer(JWKS_URL, jwksOf(key));
    pass(30);
    expect(await verifier.verify(key.token(), context)).toEqual(accepted);
  });

  it('are found without a kid: each that fits is tried', async () => {
    net.answer(JWKS_URL, jwksOf(nextKey, signingKey('rsa', 'RS256'), key));
    expect(await verify(key.token({}, { kid: undefined }))).toEqual(accepted);
    expect(await verify(signingKey('none-of-them').token({}, { kid: undefined }))).toEqual(
      refusedAs('invalid'),
    );
    expect(await verify(key.token({ exp: 0 }, { kid: undefined }))).toEqual(refusedAs('expired'));
  });
});

describe('a rotation of keys', () => {
  it('with overlap loses no token', async () => {
    const verifier = verifierOf({ cache: false });
    expect(await verifier.verify(key.token(), context)).toEqual(accepted);
    net.answer(JWKS_URL, jwksOf(key, nextKey));
    const verdicts = await Promise.all(
      [key, nextKey, key, nextKey].map((signer) => Promise.resolve(verifier.verify(signer.token(), context))),
    );
    expect(verdicts.every(({ verified }) => verified)).toBe(true);
    expect(net.count(JWKS_URL)).toBe(2);
    net.answer(JWKS_URL, jwksOf(nextKey));
    pass(600);
    expect(await verifier.verify(nextKey.token(), context)).toEqual(accepted);
  });

  it('to a kid that stays unknown fetches once a cool-down', async () => {
    const verifier = verifierOf();
    await verifier.verify(key.token(), context);
    for (let second = 0; second < 90; second++) {
      expect(await verifier.verify(nextKey.token(), context)).toEqual(refusedAs('invalid'));
      pass(1);
    }
    expect(net.count(JWKS_URL)).toBe(1 + 3);
  });

  it('withdraws a key, at the latest with maxAge', async () => {
    const verifier = verifierOf({ cache: false });
    expect(await verifier.verify(key.token(), context)).toEqual(accepted);
    net.answer(JWKS_URL, jwksOf(nextKey));
    pass(600);
    // The old keys are used while the new ones are on their way.
    await verifier.verify(key.token(), context);
    await vi.waitFor(() => {
      expect(net.count(JWKS_URL)).toBe(2);
    });
    await verifier.warmUp();
    expect(await verifier.verify(key.token(), context)).toEqual(refusedAs('invalid'));
  });
});

describe('while the provider is down', () => {
  it('known keys go on proving tokens, as long as maxStale says and no longer', async () => {
    const verifier = verifierOf({ cache: false, keys: { fetch: net.fetch, maxStale: 3600 } });
    await verifier.warmUp();
    net.answer(JWKS_URL, down);
    for (const seconds of [599, 1, 1000, 1999]) {
      pass(seconds);
      expect(await verifier.verify(key.token(), context)).toEqual(accepted);
    }
    pass(1);
    await expect(verifier.verify(key.token(), context)).rejects.toThrow(VerifierUnavailable);
  });

  it('an unknown kid is unavailable, not invalid, and asks once a cool-down', async () => {
    const verifier = verifierOf();
    await verifier.warmUp();
    net.answer(JWKS_URL, down);
    for (let count = 0; count < 100; count++) {
      await expect(verifier.verify(nextKey.token({ jti: String(count) }), context)).rejects.toMatchObject({
        code: 'VERIFIER_UNAVAILABLE',
        retryAfter: 30,
      });
    }
    expect(net.count(JWKS_URL)).toBe(2);
    net.answer(JWKS_URL, jwksOf(key, nextKey));
    pass(30);
    expect(await verifier.verify(nextKey.token(), context)).toEqual(accepted);
  });

  it('a bad signature by a known key stays bad', async () => {
    const verifier = verifierOf();
    await verifier.warmUp();
    net.answer(JWKS_URL, down);
    const forged = nextKey.token({}, { kid: 'first' });
    expect(await verifier.verify(forged, context)).toEqual(refusedAs('invalid'));
  });

  it('a token that was verified is remembered', async () => {
    const verifier = verifierOf({ keys: { fetch: net.fetch, maxAge: 1, maxStale: 1 } });
    const token = key.token();
    const first = await verifier.verify(token, context);
    net.answer(JWKS_URL, down);
    pass(10);
    expect(await verifier.verify(token, context)).toBe(first);
  });
});

describe('several issuers', () => {
  const OTHER = 'https://other-issuer.example';
  beforeEach(() => {
    net.answer(`${OTHER}/.well-known/openid-configuration`, metadataOf(OTHER));
    net.answer(`${OTHER}/jwks`, jwksOf(nextKey));
  });
  const options = { issuer: [ISSUER, { issuer: OTHER, audience: 'other-audience', anyJwt: true }] };

  it('are told apart before a key is fetched: the other one is not called', async () => {
    const verifier = verifierOf(options);
    expect(await verifier.verify(key.token(), context)).toEqual(accepted);
    expect(net.calls.map(({ url }) => url)).toEqual([METADATA_URL, JWKS_URL]);
  });

  it('go on one without the other', async () => {
    net.answer(METADATA_URL, down);
    const verifier = verifierOf(options);
    const token = nextKey.token({ iss: OTHER, aud: 'other-audience' }, { typ: 'JWT' });
    expect(await verifier.verify(token, context)).toEqual(accepted);
    await expect(verifier.verify(key.token(), context)).rejects.toThrow(VerifierUnavailable);
  });

  it('have options of their own', async () => {
    const verifier = verifierOf(options);
    expect(await verifier.verify(key.token({}, { typ: 'JWT' }), context)).toEqual(refusedAs('invalid'));
  });

  it('are all published, and warmed up', async () => {
    const verifier = verifierOf(options);
    expect(verifier.authorizationServers).toEqual([ISSUER, OTHER]);
    await verifier.warmUp();
    expect(net.count()).toBe(4);
  });

  it('make two principals of one subject', async () => {
    const verifier = verifierOf(options);
    const token = nextKey.token({ iss: OTHER, aud: 'other-audience' });
    expect(await verifier.verify(token, context)).toMatchObject({
      principal: { issuer: OTHER, subject: 'alice' },
    });
  });
});

describe('the memory of verified tokens', () => {
  it('answers for a token without any I/O, until it ends', async () => {
    const verifier = verifierOf({ cache: { maxAge: 3600 }, clockTolerance: 0 });
    const token = key.token();
    const first = await verifier.verify(token, context);
    pass(59);
    expect(await verifier.verify(token, context)).toBe(first);
    pass(1);
    expect(await verifier.verify(token, context)).toEqual(refusedAs('expired'));
  });

  it('is left out by cache: false', async () => {
    const verifier = verifierOf({ cache: false });
    const token = key.token();
    expect(await verifier.verify(token, context)).not.toBe(await verifier.verify(token, context));
  });

  it('is one verifier’s own: a token that one accepts is not accepted by another', async () => {
    const token = key.token();
    expect(await verify(token)).toEqual(accepted);
    expect(await verify(token, { audience: 'https://other.example' })).toEqual(refusedAs('invalid'));
  });
});

describe('a revocation check', () => {
  it('is asked by jti, wins over the memory, and at once', async () => {
    const revoked = vi.fn((_id: string) => false);
    const verifier = verifierOf({ revoked });
    const token = key.token({ jti: 'id-1' });
    expect(await verifier.verify(token, context)).toEqual(accepted);
    revoked.mockReturnValue(true);
    expect(await verifier.verify(token, context)).toEqual(refusedAs('revoked'));
    expect(revoked.mock.calls).toEqual([['id-1'], ['id-1']]);
  });

  it.each([undefined, '', 5, null])(
    'is asked by the digest of header and payload where the jti is %j',
    async (jti) => {
      const revoked = vi.fn((_id: string) => false);
      const token = key.token({ jti });
      expect(await verify(token, { revoked })).toEqual(accepted);
      const signed = token.slice(0, token.lastIndexOf('.'));
      expect(revoked).toHaveBeenCalledExactlyOnceWith(
        createHash('sha256').update(signed).digest('base64url'),
      );
    },
  );

  it.each([true, undefined, null, 0, 'false', {}])('that answers %j refuses the token', async (answer) => {
    expect(await verify(key.token(), { revoked: () => answer as boolean })).toEqual(refusedAs('revoked'));
  });

  it('that fails does not let the token pass', async () => {
    await expect(verify(key.token(), { revoked: () => Promise.reject(new Error('down')) })).rejects.toThrow(
      'down',
    );
  });

  it('is not asked of bad tokens', async () => {
    const revoked = vi.fn(() => false);
    await verify(key.token({ aud: 'other' }), { revoked });
    expect(revoked).not.toHaveBeenCalled();
  });
});

describe('jwtFromIssuer() is refused at start-up with', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no issuer', { issuer: [] }, /at least one issuer/],
    ['an empty issuer', { issuer: '' }, /non-empty string/],
    ['an issuer that is no URL', { issuer: 'issuer.example' }, /not a URL/],
    ['an issuer over plain http', { issuer: 'http://issuer.example' }, /not https/],
    [
      'keys over plain http',
      { issuer: { issuer: ISSUER, jwksUri: 'http://issuer.example/jwks' } },
      /not https/,
    ],
    ['keys at no URL', { issuer: { issuer: ISSUER, jwksUri: '/jwks' } }, /not a URL/],
    [
      'keys that are no key set',
      { issuer: { issuer: ISSUER, jwks: { keys: 'none' } } },
      /not a JSON Web Key Set/,
    ],
    ['one issuer twice', { issuer: [ISSUER, { issuer: ISSUER }] }, /twice/],
    ['no audience', { audience: undefined }, /no audience/],
    ['an empty list of audiences', { audience: [] }, /no audience/],
    ['an empty audience', { audience: [AUDIENCE, ''] }, /no audience/],
    [
      'no audience for one of the issuers',
      { audience: undefined, issuer: [{ issuer: ISSUER, audience: 'a' }, 'https://b.example'] },
      /no audience is given for the issuer https:\/\/b/,
    ],
    ['alg none', { issuer: { issuer: ISSUER, algorithms: ['RS256', 'none'] } }, /algorithms/],
    ['a symmetric alg', { issuer: { issuer: ISSUER, algorithms: ['HS256'] } }, /algorithms/],
    ['no algorithm', { issuer: { issuer: ISSUER, algorithms: [] } }, /algorithms/],
    ['another kind of token', { accept: 'refresh_token' }, /accept/],
    ['a clock tolerance without end', { clockTolerance: Infinity }, /clockTolerance/],
    ['a negative clock tolerance', { clockTolerance: -1 }, /clockTolerance/],
    ['a clock tolerance in words', { clockTolerance: '5s' }, /clockTolerance/],
    ['a clock tolerance that is no number', { clockTolerance: Number.NaN }, /clockTolerance/],
    ['a maxLifetime of nothing', { maxLifetime: 0 }, /maxLifetime/],
    ['a maxLifetime that is no number', { maxLifetime: Number.NaN }, /maxLifetime/],
    ['a cool-down that is no number', { keys: { cooldown: Number.NaN } }, /cooldown/],
    ['keys that are fresh for ever', { keys: { maxAge: Infinity } }, /maxAge/],
    ['keys that are used for ever', { keys: { maxStale: Infinity } }, /maxStale/],
    ['no time for calls', { keys: { timeout: 0 } }, /timeout/],
    ['more time than timers hold', { keys: { timeout: 2 ** 31 } }, /timeout/],
    ['a cache of no size', { cache: { maxTokens: 0 } }, /cache/],
  ])('%s', (_what, options, message) => {
    expect(() => verifierOf(options as Partial<JwtFromIssuerOptions>)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) as string }),
    );
  });

  it.each(['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000', 'https://issuer.example/'])(
    'but not with the issuer %s',
    (issuer) => {
      expect(verifierOf({ issuer }).authorizationServers).toEqual([issuer]);
    },
  );
});

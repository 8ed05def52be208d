import { generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto';
import { inspect } from 'node:util';

import { jwt, type JwtOptions, type Verification } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { AUDIENCE, compact, goodClaims, hmac, ISSUER, rsa, SECRET, token } from '../support/token.js';

const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const otherRsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ecPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const edPair = generateKeyPairSync('ed25519');
const rsaPem = rsaPair.publicKey.export({ type: 'spki', format: 'pem' }).toString();

const common = { issuer: ISSUER, audience: AUDIENCE };
const context = { schemeId: 'it', request: authRequest(), resource: undefined };

const verifierOf = (options: Partial<JwtOptions> = {}) =>
  jwt({ ...common, secret: SECRET, ...options } as JwtOptions);
const verify = async (given: string, options: Partial<JwtOptions> = {}) =>
  verifierOf(options).verify(given, context);
const byRsa = async (given: string, options: Partial<JwtOptions> = {}) =>
  jwt({ ...common, publicKey: rsaPem, ...options } as JwtOptions).verify(given, context);

const accepted = expect.objectContaining({ verified: true }) as Verification;
const refusedAs = (reason: string) => expect.objectContaining({ verified: false, reason }) as Verification;

/** The payload as text, for numbers that JSON.stringify does not write. */
const payloadWith = (claims: string) => `${JSON.stringify(goodClaims()).slice(0, -1)},${claims}}`;

const NOW = new Date('2030-01-01T00:00:00Z');
beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a good token', () => {
  it('says who its bearer is', async () => {
    const verification = await verify(token({ client_id: 'cli', role: 'admin' }));
    expect(verification).toMatchObject({
      verified: true,
      principal: { subject: 'alice', issuer: ISSUER, clientId: 'cli', claims: { role: 'admin' } },
    });
  });

  it.each([
    ['RS256', () => rsa(rsaPair.privateKey)],
    ['RS512', () => rsa(rsaPair.privateKey, 'sha512')],
  ])('may be signed by %s', async (alg, signer) => {
    expect(await byRsa(compact({ alg }, goodClaims(), signer()))).toEqual(accepted);
  });

  it.each([
    [
      'ES256',
      ecPair,
      (input: string) =>
        sign('sha256', Buffer.from(input), { key: ecPair.privateKey, dsaEncoding: 'ieee-p1363' }),
    ],
    ['EdDSA', edPair, (input: string) => sign(null, Buffer.from(input), edPair.privateKey)],
  ])('may be signed by %s', async (alg, { publicKey }, signer) => {
    const given = compact({ alg }, goodClaims(), signer);
    expect(await jwt({ ...common, publicKey }).verify(given, context)).toEqual(accepted);
    const jwk = publicKey.export({ format: 'jwk' });
    expect(await jwt({ ...common, publicKey: jwk }).verify(given, context)).toEqual(accepted);
  });

  it.each([
    ['scope, a list in a string', { scope: 'read  write' }, ['read', 'write']],
    ['scp, as such', { scp: 'read write' }, ['read', 'write']],
    ['scp, an array', { scp: ['read', 5, 'write'] }, ['read', 'write']],
    ['scope rather than scp', { scope: 'read', scp: ['admin'] }, ['read']],
    ['neither', {}, []],
    ['scope, an object', { scope: { admin: true } }, []],
  ])('has the scopes of %s', async (_what, claims, scopes) => {
    expect(await verify(token(claims))).toMatchObject({ verified: true, scopes });
  });

  it('has claims that nobody can change, down to the last', async () => {
    const verification = await verify(token({ roles: { nested: ['admin'] } }));
    const claims = verification.verified ? verification.principal.claims : undefined;
    const roles = claims?.roles as { nested: string[] };
    expect([claims, roles, roles.nested].map((part) => Object.isFrozen(part))).toEqual([true, true, true]);
  });
});

describe('an attack by the signature', () => {
  it('that has none: alg none', async () => {
    const unsigned = compact({ alg: 'none' }, goodClaims(), () => Buffer.alloc(0));
    expect(await verify(unsigned)).toEqual(refusedAs('invalid'));
    expect(await byRsa(unsigned)).toEqual(refusedAs('invalid'));
  });

  it.each(['None', 'NONE', 'nOnE', '', null, ['none'], undefined])('that says alg %j', async (alg) => {
    expect(await verify(compact({ alg }, goodClaims(), hmac(SECRET)))).toEqual(refusedAs('invalid'));
  });

  it('that makes the public key a shared secret: algorithm confusion', async () => {
    for (const secret of [rsaPem, rsaPem.trim(), rsaPair.publicKey.export({ type: 'spki', format: 'der' })]) {
      const forged = compact({ alg: 'HS256' }, goodClaims(), hmac(secret));
      expect(await byRsa(forged)).toEqual(refusedAs('invalid'));
    }
  });

  it.each([
    ['HS384 where HS256 is accepted', 'HS384', 'sha384'],
    ['HS512 where HS256 is accepted', 'HS512', 'sha512'],
  ])('with another algorithm of the family: %s', async (_what, alg, hash) => {
    expect(await verify(compact({ alg }, goodClaims(), hmac(SECRET, hash)))).toEqual(refusedAs('invalid'));
  });

  it('with another RSA algorithm than the accepted one', async () => {
    const given = compact({ alg: 'RS512' }, goodClaims(), rsa(rsaPair.privateKey, 'sha512'));
    expect(await byRsa(given, { algorithms: ['RS256'] })).toEqual(refusedAs('invalid'));
  });

  it('by another key', async () => {
    expect(await verify(compact({ alg: 'HS256' }, goodClaims(), hmac(`${SECRET}!`)))).toEqual(
      refusedAs('invalid'),
    );
    expect(await byRsa(compact({ alg: 'RS256' }, goodClaims(), rsa(otherRsaPair.privateKey)))).toEqual(
      refusedAs('invalid'),
    );
  });

  it('that brings its own key: jwk, jku, x5u, x5c and kid are ignored', async () => {
    const header = {
      alg: 'RS256',
      jwk: otherRsaPair.publicKey.export({ format: 'jwk' }),
      jku: 'https://evil.example/jwks',
      x5u: 'https://evil.example/cert',
      x5c: ['AAAA'],
      kid: '../../dev/null',
    };
    expect(await byRsa(compact(header, goodClaims(), rsa(otherRsaPair.privateKey)))).toEqual(
      refusedAs('invalid'),
    );
    expect(await byRsa(compact(header, goodClaims(), rsa(rsaPair.privateKey)))).toEqual(accepted);
  });

  it('that changes the payload', async () => {
    const [header, , signature] = token().split('.');
    const payload = Buffer.from(JSON.stringify({ ...goodClaims(), sub: 'root' })).toString('base64url');
    expect(await verify([header, payload, signature].join('.'))).toEqual(refusedAs('invalid'));
  });

  it.each([
    ['an unknown extension', { crit: ['exp-mode'], 'exp-mode': 'never' }],
    ['an extension that is not there', { crit: ['exp-mode'] }],
    ['none', { crit: [] }],
    ['an unencoded payload', { crit: ['b64'], b64: false }],
  ])('with a critical header that names %s', async (_what, header) => {
    expect(await verify(token({}, header))).toEqual(refusedAs('invalid'));
  });

  it.each([
    '',
    'abc',
    '.',
    '..',
    '...',
    'a.b.c',
    'a.b.c.d.e',
    '\u0000',
    '__proto__',
    'e30.e30.',
    'bnVsbA.bnVsbA.bnVsbA',
    'a'.repeat(65_536),
  ])('that is no token at all: %j', async (garbage) => {
    expect(await verify(garbage)).toEqual(refusedAs('invalid'));
  });

  it.each(['null', '[]', '"alice"', '5', 'true', '{', ''])('whose payload is %j', async (payload) => {
    expect(await verify(compact({ alg: 'HS256' }, payload, hmac(SECRET)))).toEqual(refusedAs('invalid'));
  });
});

describe('a token for somebody else', () => {
  it.each([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['of an issuer that begins like ours', { iss: `${ISSUER}.evil.example` }],
    ['of our issuer with a slash', { iss: `${ISSUER}/` }],
    ['of a list of issuers', { iss: [ISSUER] }],
    ['without issuer', { iss: undefined }],
    ['for another audience', { aud: 'https://other.example' }],
    ['for other audiences', { aud: ['https://other.example', 'https://third.example'] }],
    ['for no audience', { aud: [] }],
    ['without audience', { aud: undefined }],
    ['for an audience in an object', { aud: { [AUDIENCE]: true } }],
    ['without subject', { sub: undefined }],
    ['with an empty subject', { sub: '' }],
    ['whose subject is no string', { sub: { $ne: '' } }],
  ])('%s is refused', async (_what, claims) => {
    expect(await verify(token(claims))).toEqual(refusedAs('invalid'));
  });

  it('among others for us is accepted', async () => {
    expect(await verify(token({ aud: ['https://other.example', AUDIENCE] }))).toEqual(accepted);
  });

  it('may be one of several issuers and audiences', async () => {
    const options = { issuer: ['https://a.example', ISSUER], audience: ['b', 'c'] };
    expect(await verify(token({ aud: 'c' }), options)).toEqual(accepted);
  });

  it.each([
    ['by its type', {}, { typ: 'id+jwt' }],
    ['by its type in upper case', {}, { typ: 'ID+JWT' }],
    ['by its nonce', { nonce: 'n' }, {}],
    ['by its at_hash', { at_hash: 'h' }, {}],
    ['by its c_hash', { c_hash: 'h' }, {}],
  ])('told %s to be an ID token is refused', async (_what, claims, header) => {
    expect(await verify(token(claims, header))).toEqual(refusedAs('invalid'));
  });
});

describe('the kind of a token', () => {
  it.each(['logout+jwt', 'dpop+jwt', 'token-introspection+jwt', 'secevent+jwt', 'application/logout+jwt'])(
    'that is %s is refused',
    async (typ) => {
      expect(await verify(token({}, { typ }))).toEqual(refusedAs('invalid'));
    },
  );

  it.each(['Refresh', 'Offline', 'Logout', 'ID'])(
    'that says in a claim that it is %s is refused',
    async (typ) => {
      expect(await verify(token({ typ }))).toEqual(refusedAs('invalid'));
    },
  );

  it.each(['JWT', 'at+jwt', 'application/at+jwt', 'custom'])('that is %s is accepted', async (typ) => {
    expect(await verify(token({}, { typ }))).toEqual(accepted);
  });
});

describe('the time of a token', () => {
  const seconds = NOW.getTime() / 1000;

  it.each([
    ['just not over', 0.001, 0, true],
    ['just over', 0, 0, false],
    ['just within the tolerance', -4.999, 5, true],
    ['just beyond the tolerance', -5, 5, false],
    ['within a tolerance of a minute', -59, 60, true],
  ])('that is %s', async (_what, offset, clockTolerance, good) => {
    const verification = await verify(token({ exp: seconds + offset }), { clockTolerance });
    expect(verification).toEqual(good ? accepted : refusedAs('expired'));
  });

  it.each([
    ['a year', 365 * 86_400, {}, true],
    ['a hundred years', 3_155_760_000, {}, false],
    ['a hundred years, where that is wanted', 3_155_760_000, { maxLifetime: 4e9 }, true],
    ['an hour, where that is the most', 3600, { maxLifetime: 3600 }, true],
    ['longer than the most', 3700, { maxLifetime: 3600 }, false],
  ])('may be %s from now', async (_what, lifetime, options, good) => {
    const verification = await verify(token({ exp: seconds + lifetime }), options);
    expect(verification).toEqual(good ? accepted : refusedAs('invalid'));
  });

  it('ends with the tolerance, and so does the principal', async () => {
    const verification = await verify(token({ exp: seconds + 60 }), { clockTolerance: 5 });
    expect(verification).toMatchObject({ principal: { expiresAt: seconds + 65 } });
  });

  it.each([
    ['missing', token({ exp: undefined })],
    ['a string', token({ exp: '4102444800' })],
    ['null', token({ exp: null })],
    ['true', token({ exp: true })],
    ['in milliseconds', token({ exp: NOW.getTime() + 60_000 })],
    ['too large for a number', compact({ alg: 'HS256' }, payloadWith('"exp":1e999'), hmac(SECRET))],
  ])('that is %s is refused', async (_what, given) => {
    expect(await verify(given)).toEqual(refusedAs('invalid'));
  });

  it('that is over, or to come, is told in words that show a wrong clock', async () => {
    expect(await verify(token({ exp: seconds - 60 }))).toMatchObject({
      detail: 'The token has ended. It was good until 2029-12-31T23:59:00.000Z.',
    });
    expect(await verify(token({ nbf: seconds + 60 }))).toMatchObject({
      detail: expect.stringContaining(
        'it is good from 2030-01-01T00:01:00.000Z on, and here it is 2030-01-01T00:00:00.000Z; if a clock is wrong',
      ) as unknown,
    });
  });

  it('that is beyond all calendars is no reason to fail', async () => {
    for (const claims of [payloadWith('"nbf":1e300'), payloadWith('"exp":-1e300')]) {
      expect(await verify(compact({ alg: 'HS256' }, claims, hmac(SECRET)))).toMatchObject({
        verified: false,
      });
    }
  });

  it('that has not come is refused: nbf', async () => {
    expect(await verify(token({ nbf: seconds + 6 }))).toEqual(refusedAs('invalid'));
    expect(await verify(token({ nbf: seconds + 5 }))).toEqual(accepted);
  });
});

describe('claims with prototype names', () => {
  it('lend the token nothing it does not have', async () => {
    const { sub: _sub, ...others } = goodClaims();
    const payload = `${JSON.stringify(others).slice(0, -1)},"__proto__":{"sub":"root","scope":"admin"}}`;
    expect(await verify(compact({ alg: 'HS256' }, payload, hmac(SECRET)))).toEqual(refusedAs('invalid'));
  });

  it('reach no other object', async () => {
    const payload = payloadWith('"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}');
    expect(await verify(compact({ alg: 'HS256' }, payload, hmac(SECRET)))).toMatchObject({
      verified: true,
      scopes: [],
    });
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });
});

describe('required claims', () => {
  it('must be there', async () => {
    expect(await verify(token(), { requiredClaims: ['tenant'] })).toEqual(refusedAs('invalid'));
    expect(await verify(token({ tenant: 'acme' }), { requiredClaims: ['tenant'] })).toEqual(accepted);
  });

  it('are needed besides those that always are', async () => {
    const given = token({ tenant: 'acme', exp: undefined });
    expect(await verify(given, { requiredClaims: ['tenant'] })).toEqual(refusedAs('invalid'));
  });
});

describe('the detail of a refusal', () => {
  it('names the claim, and never holds the token', async () => {
    const given = token({ aud: 'https://other.example' });
    const verification = await verify(given);
    expect(verification).toMatchObject({ detail: expect.stringContaining('"aud"') as string });
    expect(inspect(verification)).not.toContain(given.split('.')[2]);
  });
});

describe('jwt() is refused at start-up with', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
  const x25519 = generateKeyPairSync('x25519').publicKey;
  const privatePem = rsaPair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const withKey = (publicKey: unknown) => ({ secret: undefined, publicKey });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a secret of 31 bytes for HS256', { secret: 's'.repeat(31) }, /at least 32 bytes for HS256/],
    [
      'a secret of 47 bytes for HS384',
      { secret: 's'.repeat(47), algorithms: ['HS384'] },
      /at least 48 bytes/,
    ],
    [
      'a secret of 63 bytes for HS512',
      { secret: 's'.repeat(63), algorithms: ['HS256', 'HS512'] },
      /at least 64 bytes/,
    ],
    ['an empty secret', { secret: '' }, /at least 32 bytes/],
    ['neither secret nor publicKey', { secret: undefined }, /exactly one of secret and publicKey/],
    ['both secret and publicKey', { publicKey: rsaPem }, /exactly one of secret and publicKey/],
    ['alg none', { algorithms: ['none'] }, /not "none"/],
    ['no algorithm', { algorithms: [] }, /HS256, HS384, HS512/],
    ['an asymmetric algorithm for a secret', { algorithms: ['RS256'] }, /not "RS256"/],
    ['a symmetric algorithm for a public key', { ...withKey(rsaPem), algorithms: ['HS256'] }, /not "HS256"/],
    [
      'the algorithm of another curve',
      { ...withKey(ecPair.publicKey), algorithms: ['ES384'] },
      /must be some of ES256/,
    ],
    ['a private key in PEM', withKey(privatePem), /private or secret key/],
    ['a private KeyObject', withKey(rsaPair.privateKey), /private or secret key/],
    ['a private JWK', withKey(rsaPair.privateKey.export({ format: 'jwk' })), /private or secret key/],
    ['a secret JWK', withKey({ kty: 'oct', k: 'c2VjcmV0' }), /private or secret key/],
    ['an RSA key of 1024 bits', withKey(small), /less than 2048 bits/],
    ['a key of a curve that JWTs have no use for', withKey(secp256k1), /type ec/],
    ['a key that signs nothing', withKey(x25519), /type x25519/],
    [
      'a key that is no key',
      withKey('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'),
      /cannot be read/,
    ],
    ['a JWK that is no key', withKey({ kty: 'RSA' } satisfies JsonWebKey), /cannot be read/],
    ['no issuer', { issuer: undefined }, /issuer must be/],
    ['an empty issuer', { issuer: '' }, /issuer must be/],
    ['an empty list of issuers', { issuer: [] }, /issuer must be/],
    ['no audience', { audience: undefined }, /audience must be/],
    ['an empty audience among others', { audience: [AUDIENCE, ''] }, /audience must be/],
    ['a negative clock tolerance', { clockTolerance: -1 }, /clockTolerance/],
    ['a clock tolerance without end', { clockTolerance: Infinity }, /clockTolerance/],
    ['a clock tolerance in words', { clockTolerance: '5s' }, /clockTolerance/],
    ['a cache without room', { cache: { maxTokens: 0 } }, /cache/],
    ['a cache of no size', { cache: { maxTokens: Infinity } }, /cache/],
    ['a cache of no age', { cache: { maxAge: Number.NaN } }, /cache/],
  ])('%s', (_what, options, message) => {
    expect(() => jwt({ ...common, secret: SECRET, ...options })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) as string }),
    );
  });
});

describe('the memory of verified tokens', () => {
  /** Whether the same answer came again, object for object, which only a memory does. */
  const isRemembered = async (verifier: ReturnType<typeof jwt>, given: string) => {
    const first = await verifier.verify(given, context);
    return first === (await verifier.verify(given, context)) && first.verified;
  };

  it('verifies a token once for two presentations', async () => {
    expect(await isRemembered(verifierOf(), token())).toBe(true);
  });

  it('is left out by cache: false', async () => {
    expect(await isRemembered(verifierOf({ cache: false }), token())).toBe(false);
  });

  it('ends with the token, however long it may last', async () => {
    const verifier = verifierOf({ clockTolerance: 0, cache: { maxAge: 3600 } });
    const given = token();
    expect(await verifier.verify(given, context)).toEqual(accepted);
    vi.advanceTimersByTime(59_999);
    expect(await verifier.verify(given, context)).toEqual(accepted);
    vi.advanceTimersByTime(1);
    expect(await verifier.verify(given, context)).toEqual(refusedAs('expired'));
  });

  it('ends with maxAge', async () => {
    const verifier = verifierOf({ cache: { maxAge: 10 } });
    const given = token();
    const first = await verifier.verify(given, context);
    vi.advanceTimersByTime(9_999);
    expect(await verifier.verify(given, context)).toBe(first);
    vi.advanceTimersByTime(1);
    expect(await verifier.verify(given, context)).not.toBe(first);
  });

  it('takes no token for another', async () => {
    const verifier = verifierOf();
    await verifier.verify(token(), context);
    const [header, payload, signature = ''] = token().split('.');
    const forged = [header, payload, signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))].join(
      '.',
    );
    expect(await verifier.verify(forged, context)).toEqual(refusedAs('invalid'));
  });

  it('holds no bad tokens: they do not displace good ones', async () => {
    const verifier = verifierOf({ cache: { maxTokens: 2 } });
    const given = token();
    const first = await verifier.verify(given, context);
    for (let count = 0; count < 10; count++) await verifier.verify(token({ aud: `other-${count}` }), context);
    expect(await verifier.verify(given, context)).toBe(first);
  });

  it('is bounded: the least recently used goes first', async () => {
    const verifier = verifierOf({ cache: { maxTokens: 2 } });
    const given = token();
    const first = await verifier.verify(given, context);
    for (let count = 0; count < 2; count++) await verifier.verify(token({ sub: `user-${count}` }), context);
    expect(await verifier.verify(given, context)).not.toBe(first);
  });

  it('shows no token and no secret', async () => {
    const verifier = verifierOf();
    const given = token();
    await verifier.verify(given, context);
    const shown = inspect(verifier, { depth: null, showHidden: true, getters: true });
    expect(shown).not.toContain(given);
    expect(shown).not.toContain(SECRET);
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import {
  jwtFromIssuer,
  VerifierUnavailable,
  type JwtFromIssuerOptions,
  type Verification,
} from '@a2a-auth/server';
import forge from 'node-forge';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { issuerNetwork, JWKS_URL, jwksOf, METADATA_URL, metadataOf, signingKey } from '../support/issuer.js';
import { down, hang, network, type Answer, type Network } from '../support/network.js';
import { AUDIENCE, compact, goodClaims, hmac, ISSUER } from '../support/token.js';

const rsaKey = signingKey('rsa-1', 'RS256');
const ecKey = signingKey('ec-1', 'ES256');
const edKey = signingKey('ed-1', 'EdDSA');
/** Keys of the attacker, under the names of the issuer's. */
const evilRsa = signingKey('rsa-1', 'RS256');
const evilEc = signingKey('ec-1', 'ES256');

const EVIL = 'https://evil.example';
const context = { schemeId: 'it', request: authRequest(), resource: undefined };

let net: Network;

const verifierOf = (options: Partial<JwtFromIssuerOptions> = {}) =>
  jwtFromIssuer({ issuer: ISSUER, audience: AUDIENCE, keys: { fetch: net.fetch }, ...options });
const verify = async (token: string, options?: Partial<JwtFromIssuerOptions>) =>
  verifierOf(options).verify(token, context);

const accepted = expect.objectContaining({ verified: true }) as Verification;
const refusedAs = (reason: string) => expect.objectContaining({ verified: false, reason }) as Verification;
const invalid = refusedAs('invalid');

const encode = (value: string | object) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
/** The payload as text, for what JSON.stringify does not write. */
const payloadWith = (members: string) => `${JSON.stringify(goodClaims()).slice(0, -1)},${members}}`;
const headerOf = (key: { alg: string; kid: string }) => ({ alg: key.alg, typ: 'at+jwt', kid: key.kid });
const rootClaims = () => ({ ...goodClaims(), sub: 'root', scope: 'admin' });

const NOW = new Date('2030-01-01T00:00:00Z');
const seconds = NOW.getTime() / 1000;
beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  net = issuerNetwork(rsaKey, ecKey, edKey);
});
afterEach(() => {
  vi.useRealTimers();
});

describe('control: the tokens that attacks are made from are good', () => {
  it.each([rsaKey, ecKey, edKey])('$alg', async (key) => {
    expect(await verify(key.token())).toEqual(accepted);
  });
});

describe('an attack by the algorithm', () => {
  it.each(['none', 'None', 'NONE', 'nOnE', 'none ', '', null, ['none'], 0, undefined])(
    'that says there is no signature: alg %j',
    async (alg) => {
      for (const signature of ['', encode('x')]) {
        const token = `${encode({ alg, typ: 'at+jwt', kid: 'rsa-1' })}.${encode(rootClaims())}.${signature}`;
        expect(await verify(token)).toEqual(invalid);
      }
      expect(net.count()).toBe(0);
    },
  );

  it.each<[string, () => string | Buffer]>([
    ['PEM', () => rsaKey.publicKey.export({ type: 'spki', format: 'pem' })],
    [
      'PEM without the last newline',
      () => String(rsaKey.publicKey.export({ type: 'spki', format: 'pem' })).trim(),
    ],
    ['PEM of PKCS #1', () => rsaKey.publicKey.export({ type: 'pkcs1', format: 'pem' })],
    ['DER', () => rsaKey.publicKey.export({ type: 'spki', format: 'der' })],
    ['the JWK as published', () => JSON.stringify(rsaKey.jwk)],
    ['the modulus of the JWK', () => Buffer.from(String(rsaKey.jwk.n), 'base64url')],
  ])('that makes the public key a shared secret: HS256 with %s', async (_what, secret) => {
    const token = compact({ alg: 'HS256', typ: 'at+jwt', kid: 'rsa-1' }, rootClaims(), hmac(secret()));
    expect(await verify(token)).toEqual(invalid);
    expect(net.count()).toBe(0);
  });

  it('that takes a secret from the key set: oct keys do not count', async () => {
    const secret = randomBytes(32);
    net.answer(JWKS_URL, {
      keys: [{ kty: 'oct', kid: 'o', k: secret.toString('base64url'), alg: 'HS256' }, rsaKey.jwk],
    });
    expect(
      await verify(compact({ alg: 'HS256', typ: 'at+jwt', kid: 'o' }, rootClaims(), hmac(secret))),
    ).toEqual(invalid);
  });

  it('that is good elsewhere, but not accepted from this issuer', async () => {
    const issuer = { issuer: ISSUER, algorithms: ['ES256'] };
    expect(await verify(rsaKey.token(), { issuer })).toEqual(invalid);
    expect(await verify(ecKey.token(), { issuer })).toEqual(accepted);
  });

  it('that is another than the one the key is published for', async () => {
    const { alg: _alg, ...jwk } = rsaKey.jwk;
    net.answer(JWKS_URL, { keys: [{ ...jwk, alg: 'RS512' }] });
    expect(await verify(rsaKey.token())).toEqual(invalid);
  });
});

describe('a token that brings its own key', () => {
  const certificate = () => {
    const keys = forge.pki.rsa.generateKeyPair(2048);
    const made = forge.pki.createCertificate();
    made.publicKey = keys.publicKey;
    made.validity.notAfter = new Date(Date.now() + 86_400_000);
    made.sign(keys.privateKey, forge.md.sha256.create());
    const der = Buffer.from(forge.asn1.toDer(forge.pki.certificateToAsn1(made)).getBytes(), 'binary');
    const signer = (input: string) =>
      Buffer.from(keys.privateKey.sign(forge.md.sha256.create().update(input)), 'binary');
    return { der, signer };
  };

  it.each<[string, Record<string, unknown>]>([
    ['jwk', { jwk: evilRsa.jwk }],
    ['jwk, without kid', { jwk: evilRsa.jwk, kid: undefined }],
    ['jku', { jku: `${EVIL}/jwks` }],
    ['jku at a host that begins like the issuer', { jku: `${ISSUER}.evil.example/jwks` }],
    ['x5u', { x5u: `${EVIL}/certificate` }],
    ['a kid that is a URL', { kid: `${EVIL}/jwks` }],
  ])('%s is ignored, and nothing is fetched from there', async (_what, header) => {
    net.answer(`${EVIL}/jwks`, jwksOf(evilRsa, { jwk: { ...evilRsa.jwk, kid: `${EVIL}/jwks` } }));
    net.answer(`${ISSUER}.evil.example/jwks`, jwksOf(evilRsa));
    expect(await verify(evilRsa.token({ sub: 'root' }, header))).toEqual(invalid);
    expect(net.calls.filter(({ url }) => new URL(url).origin !== ISSUER)).toEqual([]);
  });

  it('x5c is ignored', async () => {
    const { der, signer } = certificate();
    const header = { ...headerOf(rsaKey), x5c: [der.toString('base64')] };
    expect(await verify(compact(header, rootClaims(), signer))).toEqual(invalid);
  });

  it('is accepted by its signature all the same, when that is the issuer’s', async () => {
    expect(await verify(rsaKey.token({}, { jwk: evilRsa.jwk, jku: `${EVIL}/jwks` }))).toEqual(accepted);
    expect(net.calls.filter(({ url }) => new URL(url).origin !== ISSUER)).toEqual([]);
  });
});

describe('a kid', () => {
  it.each([
    ['a path', '../../../../dev/null'],
    ['an absolute path', '/proc/sys/kernel/randomize_va_space'],
    ['SQL', "' UNION SELECT 'a' -- "],
    ['a shell command', '|id'],
    ['the name of a prototype', '__proto__'],
    ['another name of a prototype', 'constructor'],
    ['huge', 'k'.repeat(100_000)],
    ['control characters', 'a\u0000\r\nb'],
    ['a number', 1],
    ['null', null],
    ['an object', { $ne: '' }],
    ['a list with a good one', ['rsa-1']],
  ])('that is %s finds no key', async (_what, kid) => {
    // HMAC with the empty secret is what a key read from /dev/null would accept.
    const tokens = [
      compact({ alg: 'HS256', typ: 'at+jwt', kid }, rootClaims(), hmac('')),
      compact({ ...headerOf(rsaKey), kid }, rootClaims(), evilRsa.signer),
    ];
    for (const token of tokens) expect(await verify(token)).toEqual(invalid);
    expect(net.count()).toBeLessThanOrEqual(6);
    expect(new Set(net.calls.map(({ url }) => url)).size).toBeLessThanOrEqual(2);
  });
});

describe('a header that must be understood', () => {
  it.each<[string, Record<string, unknown>]>([
    ['an unknown extension', { crit: ['https://evil.example/ext'], 'https://evil.example/ext': true }],
    ['an extension that is not there', { crit: ['exp'] }],
    ['a standard parameter', { crit: ['alg'] }],
    ['none', { crit: [] }],
    ['something that is no list', { crit: 'b64', b64: true }],
    ['the unencoded payload (RFC 7797)', { crit: ['b64'], b64: false }],
  ])('is refused when it names %s', async (_what, header) => {
    expect(await verify(ecKey.token({}, header))).toEqual(invalid);
  });

  it.each([[['b64']], [undefined]])(
    'b64:false with crit %j does not make an unencoded payload good',
    async (crit) => {
      const header = encode({ ...headerOf(ecKey), b64: false, crit });
      const payload = JSON.stringify(rootClaims());
      const signature = ecKey.signer(`${header}.${payload}`).toString('base64url');
      expect(await verify(`${header}.${payload}.${signature}`)).toEqual(invalid);
      expect(await verify(`${header}.${encode(payload)}.${signature}`)).toEqual(invalid);
    },
  );
});

describe('a signature', () => {
  const partsOf = (token: string) => token.split('.') as [string, string, string];

  it('of another token is refused, and so are its header and payload', async () => {
    const [header, payload, signature] = partsOf(ecKey.token());
    const [otherHeader, , otherSignature] = partsOf(rsaKey.token({ sub: 'root' }));
    const [, rootPayload, rootSignature] = partsOf(ecKey.token({ sub: 'root' }));
    for (const token of [
      [header, payload, rootSignature],
      [header, rootPayload, signature],
      [header, payload, otherSignature],
      [otherHeader, payload, signature],
      [signature, payload, header],
      [header, signature, payload],
    ]) {
      expect(await verify(token.join('.'))).toEqual(invalid);
    }
  });

  it.each([rsaKey, ecKey, edKey])('with any one bit flipped is refused: $alg', async (key) => {
    const verifier = verifierOf({ cache: false });
    const [header, payload, signature] = partsOf(key.token());
    const bytes = Buffer.from(signature, 'base64url');
    const passed: number[] = [];
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const token = `${header}.${payload}.${flipped.toString('base64url')}`;
      if ((await verifier.verify(token, context)).verified) passed.push(bit);
    }
    expect(passed).toEqual([]);
  });

  it.each([rsaKey, ecKey, edKey])(
    'that is truncated, prolonged or not there is refused: $alg',
    async (key) => {
      const [header, payload, signature] = partsOf(key.token());
      const bytes = Buffer.from(signature, 'base64url');
      for (const changed of [
        bytes.subarray(1),
        bytes.subarray(0, -1),
        bytes.subarray(0, bytes.length / 2),
        Buffer.concat([bytes, Buffer.alloc(1)]),
        Buffer.concat([Buffer.alloc(1), bytes]),
        Buffer.concat([bytes, bytes]),
        Buffer.alloc(bytes.length),
        Buffer.alloc(0),
      ]) {
        expect(await verify(`${header}.${payload}.${changed.toString('base64url')}`)).toEqual(invalid);
      }
      expect(await verify(`${header}.${payload}`)).toEqual(invalid);
    },
  );

  const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
  const zero = Buffer.alloc(32);
  const one = Buffer.concat([Buffer.alloc(31), Buffer.from([1])]);
  it.each<[string, Buffer, Buffer]>([
    ['r is zero', zero, one],
    ['s is zero', one, zero],
    ['r and s are zero', zero, zero],
    ['r is the order of the curve', order, one],
    ['r and s are the order of the curve', order, order],
  ])('by ECDSA whose %s is refused', async (_what, r, s) => {
    expect(await verify(compact(headerOf(ecKey), rootClaims(), () => Buffer.concat([r, s])))).toEqual(
      invalid,
    );
  });

  it('by ECDSA in DER, of all zeros, is refused', async () => {
    const der = Buffer.from('3006020100020100', 'hex');
    expect(await verify(compact(headerOf(ecKey), rootClaims(), () => der))).toEqual(invalid);
  });

  it('by the attacker, under the name of a good key, is refused', async () => {
    expect(await verify(evilEc.token())).toEqual(invalid);
    expect(await verify(evilRsa.token())).toEqual(invalid);
    expect(await verify(evilRsa.token({}, { kid: undefined }))).toEqual(invalid);
  });

  it.each<[string, (token: string) => string]>([
    ['padding', (token) => `${token}==`],
    ['white space', (token) => `${token}\n`],
    [
      'bits that no byte has',
      (token) => token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1),
    ],
  ])('has one spelling: %s makes no second token of a good one', async (_what, change) => {
    // 256 bytes leave four bits of the last character unused.
    let token = rsaKey.token();
    for (let count = 0; !/[AQgw]$/.test(token); count++) token = rsaKey.token({ jti: String(count) });
    expect(await verify(token)).toEqual(accepted);
    expect(await verify(change(token))).toEqual(invalid);
  });

  it('that is varied does not bring a revoked token back', async () => {
    const token = ecKey.token();
    const [header, payload, signature] = partsOf(token);
    const revokedIds = new Set([createHash('sha256').update(`${header}.${payload}`).digest('base64url')]);
    const verifier = verifierOf({ revoked: (id) => revokedIds.has(id) });
    // Whoever has a good ECDSA signature (r, s) can make another: (r, n - s).
    const pair = Buffer.from(signature, 'base64url');
    const n = BigInt(`0x${order.toString('hex')}`);
    const negated = (n - BigInt(`0x${pair.subarray(32).toString('hex')}`)).toString(16).padStart(64, '0');
    const other = Buffer.concat([pair.subarray(0, 32), Buffer.from(negated, 'hex')]).toString('base64url');
    expect(await verify(`${header}.${payload}.${other}`)).toEqual(accepted);
    for (const variant of [token, `${header}.${payload}.${other}`]) {
      expect(await verifier.verify(variant, context)).toEqual(refusedAs('revoked'));
    }
  });

  it('that was good for one token is not remembered for another', async () => {
    const verifier = verifierOf();
    const [header, payload, signature] = partsOf(ecKey.token());
    expect(await verifier.verify(`${header}.${payload}.${signature}`, context)).toEqual(accepted);
    const [, root] = partsOf(ecKey.token({ sub: 'root' }));
    expect(await verifier.verify(`${header}.${root}.${signature}`, context)).toEqual(invalid);
    expect(await verifier.verify(`${header}.${payload}.${encode('x')}`, context)).toEqual(invalid);
  });
});

describe('garbage', () => {
  it.each([
    '',
    '.',
    '..',
    '...',
    'a',
    'a.b.c',
    'a.b.c.d.e',
    'e30.e30.',
    'bnVsbA.bnVsbA.bnVsbA',
    'W10.W10.W10',
    '\u0000',
    '__proto__',
    '💥.💥.💥',
  ])('%j is refused, and nothing is fetched for it', async (token) => {
    expect(await verify(token)).toEqual(invalid);
    expect(net.count()).toBe(0);
  });

  it.each(['null', '[]', '"x"', '5', 'true', '{', '', '{"iss":', '[[['.repeat(2000)])(
    'the payload %j is refused',
    async (payload) => {
      expect(await verify(compact(headerOf(ecKey), payload, ecKey.signer))).toEqual(invalid);
      expect(net.count()).toBe(0);
    },
  );

  it.each([5, {}, ['at+jwt'], true])('the typ %j is refused', async (typ) => {
    expect(await verify(ecKey.token({}, { typ }))).toEqual(invalid);
    expect(await verify(ecKey.token({}, { typ }), { anyJwt: true })).toEqual(invalid);
    expect(net.count()).toBe(0);
  });

  it('an encrypted token (JWE) is refused', async () => {
    const header = encode({ alg: 'dir', enc: 'A128GCM', typ: 'at+jwt' });
    expect(await verify(`${header}..AAAAAAAAAAAAAAAA.AAAA.AAAA`)).toEqual(invalid);
  });

  it('a JWS in JSON is refused', async () => {
    const [protectedHeader, payload, signature] = ecKey.token().split('.');
    expect(await verify(JSON.stringify({ protected: protectedHeader, payload, signature }))).toEqual(invalid);
  });

  it('a token of 1 MiB is refused, and nothing is fetched for it', async () => {
    const token = ecKey.token({ padding: 'x'.repeat(1024 * 1024) });
    expect(token.length).toBeGreaterThan(1024 * 1024);
    expect(await verify(token)).toEqual(invalid);
    expect(await verify(`${'a'.repeat(1024 * 1024)}.b.c`)).toEqual(invalid);
    expect(await verify('.'.repeat(1024 * 1024))).toEqual(invalid);
    expect(net.count()).toBe(0);
  });
});

describe('the time of a token', () => {
  it.each([
    ['is just over', seconds - 5, 'expired'],
    ['is long over', seconds - 86_400, 'expired'],
    ['is zero', 0, 'expired'],
    ['is negative', -1, 'expired'],
    ['is missing', undefined, 'invalid'],
    ['is null', null, 'invalid'],
    ['is a string', '4102444800', 'invalid'],
    ['is a date', '2099-01-01T00:00:00Z', 'invalid'],
    ['is a list', [4_102_444_800], 'invalid'],
    ['is true', true, 'invalid'],
    ['is in milliseconds', NOW.getTime() + 60_000, 'invalid'],
  ])('that %s', async (_what, exp, reason) => {
    expect(await verify(ecKey.token({ exp }))).toEqual(refusedAs(reason));
  });

  it.each(['1e999', '1e15', '-1e999'])('that is %s, as text, is refused', async (exp) => {
    const claims = payloadWith(`"exp":${exp}`);
    expect(await verify(compact(headerOf(ecKey), claims, ecKey.signer))).toMatchObject({ verified: false });
  });

  it.each([
    ['has not come', seconds + 6],
    ['is never', 1e15],
    ['is a string', '0'],
    ['is null', null],
  ])('whose nbf %s is refused', async (_what, nbf) => {
    expect(await verify(ecKey.token({ nbf }))).toEqual(invalid);
  });

  it('may differ by the tolerance, and by no more', async () => {
    expect(await verify(ecKey.token({ exp: seconds - 4 }))).toEqual(accepted);
    expect(await verify(ecKey.token({ nbf: seconds + 5 }))).toEqual(accepted);
    expect(await verify(ecKey.token({ exp: seconds }), { clockTolerance: 0 })).toEqual(refusedAs('expired'));
  });

  describe('with maxLifetime', () => {
    const options = { maxLifetime: 3600 };
    it.each<[string, Record<string, unknown>, Verification]>([
      ['as long as allowed', { iat: seconds, exp: seconds + 3600 }, accepted],
      ['as long as allowed, by a clock that is ahead', { iat: seconds + 5, exp: seconds + 3605 }, accepted],
      ['longer than allowed', { iat: seconds, exp: seconds + 3601 }, invalid],
      ['a hundred years', { iat: seconds, exp: seconds + 3_155_760_000 }, invalid],
      ['from now, when it has no iat', { iat: undefined, exp: seconds + 3600 }, accepted],
      ['longer from now, when it has no iat', { iat: undefined, exp: seconds + 3606 }, invalid],
      ['hidden by an iat that is to come', { iat: seconds + 86_400, exp: seconds + 86_460 }, invalid],
    ])('%s', async (_what, claims, expected) => {
      expect(await verify(ecKey.token(claims), options)).toEqual(expected);
    });

    it('of a hundred years is refused also when no maxLifetime is given', async () => {
      const token = ecKey.token({ iat: undefined, exp: seconds + 3_155_760_000 });
      expect(await verify(token)).toEqual(invalid);
    });

    it('hidden by an iat without end is refused', async () => {
      const { iat: _iat, ...others } = goodClaims();
      const claims = `${JSON.stringify({ ...others, exp: seconds + 9_000_000 }).slice(0, -1)},"iat":1e999}`;
      expect(await verify(compact(headerOf(ecKey), claims, ecKey.signer), options)).toEqual(invalid);
    });

    it('holds for ID tokens as well', async () => {
      const idToken = ecKey.token({ exp: seconds + 86_400 }, { typ: 'JWT' });
      expect(await verify(idToken, { ...options, accept: 'id_token' })).toEqual(invalid);
      expect(await verify(idToken, { accept: 'id_token' })).toEqual(accepted);
    });
  });
});

describe('a token of another issuer', () => {
  it.each([
    ['is another', EVIL],
    ['has a trailing slash', `${ISSUER}/`],
    ['is a prefix', ISSUER.slice(0, -1)],
    ['begins like ours', `${ISSUER}.evil.example`],
    ['continues ours', `${ISSUER}/realms/other`],
    ['ends like ours', `https://evil.example/?${ISSUER}`],
    ['has credentials in it', ISSUER.replace('https://', 'https://issuer.example@')],
    ['is in upper case', ISSUER.toUpperCase()],
    ['has the default port', `${ISSUER}:443`],
    ['is http', ISSUER.replace('https:', 'http:')],
    ['has white space', ` ${ISSUER}`],
    ['is a list of ours', [ISSUER]],
    ['is an object', { [ISSUER]: true }],
    ['is null', null],
    ['is empty', ''],
    ['is missing', undefined],
    ['is the name of a prototype', '__proto__'],
  ])('whose iss %s is refused before a key is fetched', async (_what, iss) => {
    expect(await verify(ecKey.token({ iss }))).toEqual(invalid);
    expect(net.count()).toBe(0);
  });

  const OTHER = 'https://other-issuer.example';
  const otherKey = signingKey('ec-1');
  const both = () => {
    net.answer(`${OTHER}/.well-known/openid-configuration`, metadataOf(OTHER));
    net.answer(`${OTHER}/jwks`, jwksOf(otherKey));
    return { issuer: [ISSUER, { issuer: OTHER, audience: 'https://other-agent.example' }] };
  };

  it('that names one trusted issuer and is signed by the other’s key is refused', async () => {
    const options = both();
    expect(await verify(otherKey.token({ iss: ISSUER }), options)).toEqual(invalid);
    expect(net.calls.filter(({ url }) => url.startsWith(OTHER))).toEqual([]);
    expect(await verify(ecKey.token({ iss: OTHER, aud: 'https://other-agent.example' }), options)).toEqual(
      invalid,
    );
  });

  it('is checked against the audience of its own issuer', async () => {
    const options = both();
    expect(await verify(otherKey.token({ iss: OTHER, aud: 'https://other-agent.example' }), options)).toEqual(
      accepted,
    );
    expect(await verify(otherKey.token({ iss: OTHER, aud: AUDIENCE }), options)).toEqual(invalid);
  });

  it('that names two issuers, by a repeated claim, is held to the one whose key signed', async () => {
    const options = both();
    const twice = (first: string, second: string) =>
      JSON.stringify({ ...goodClaims(), iss: '%' }).replace(
        '"iss":"%"',
        `"iss":"${first}","iss":"${second}"`,
      );
    expect(await verify(compact(headerOf(ecKey), twice(ISSUER, OTHER), ecKey.signer), options)).toEqual(
      invalid,
    );
    expect(await verify(compact(headerOf(otherKey), twice(OTHER, ISSUER), otherKey.signer), options)).toEqual(
      invalid,
    );
  });
});

describe('a token for another audience', () => {
  it.each<[string, unknown]>([
    ['another resource of the same issuer', 'https://other-agent.example'],
    ['a resource whose name begins like ours', `${AUDIENCE}.evil.example`],
    ['a resource below ours', `${AUDIENCE}/admin`],
    ['a prefix of ours', AUDIENCE.slice(0, -1)],
    ['ours with a slash', `${AUDIENCE}/`],
    ['ours in upper case', AUDIENCE.toUpperCase()],
    ['two in one string', `https://other.example ${AUDIENCE}`],
    ['others', ['https://other.example', 'https://third.example']],
    ['ours in a list in a list', [[AUDIENCE]]],
    ['an object that has ours', { [AUDIENCE]: true }],
    ['an object that looks like a list', { 0: AUDIENCE, length: 1 }],
    ['nobody', []],
    ['an empty one', ''],
    ['null', null],
    ['true', true],
    ['missing', undefined],
  ])('%s is refused', async (_what, aud) => {
    expect(await verify(ecKey.token({ aud }))).toEqual(invalid);
  });

  it('is accepted when ours is among others', async () => {
    expect(await verify(ecKey.token({ aud: ['https://other.example', AUDIENCE] }))).toEqual(accepted);
  });
});

describe('a token of another kind', () => {
  const strict = {};
  const anyJwt = { anyJwt: true };

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['an ID token, by its typ', { typ: 'id+jwt' }, {}],
    ['an ID token, by its typ in full', { typ: 'application/ID+JWT' }, {}],
    ['an ID token, by its nonce', { typ: 'JWT' }, { nonce: 'n' }],
    ['an ID token, by its at_hash', { typ: 'JWT' }, { at_hash: 'h' }],
    ['an ID token, by its c_hash', { typ: 'JWT' }, { c_hash: 'h' }],
    ['an ID token, by its s_hash', { typ: 'JWT' }, { s_hash: 'h' }],
    ['an ID token of Keycloak', { typ: 'JWT' }, { typ: 'ID', azp: 'app' }],
    ['an ID token of Cognito', { typ: undefined }, { token_use: 'id' }],
    ['an ID token that has only what it must', { typ: 'JWT' }, { client_id: undefined }],
    ['an ID token with an authorized party', { typ: 'JWT' }, { client_id: undefined, azp: 'app' }],
    [
      'an ID token with roles, as Entra ID makes them',
      { typ: 'JWT' },
      { client_id: undefined, roles: ['admin'] },
    ],
    [
      'an ID token with roles and an authorized party, as Spring Authorization Server makes them',
      { typ: 'JWT' },
      { client_id: undefined, roles: ['admin'], azp: AUDIENCE },
    ],
    [
      'an ID token with permissions, for several and an authorized party',
      { typ: undefined },
      { client_id: undefined, permissions: ['admin'], aud: [AUDIENCE, 'app'], azp: 'app' },
    ],
    ['a refresh token of Keycloak', { typ: 'JWT' }, { typ: 'Refresh', azp: 'app', scope: 'openid' }],
    ['an offline token of Keycloak', { typ: 'JWT' }, { typ: 'Offline', azp: 'app', scope: 'openid' }],
    ['an action token of Keycloak', { typ: 'JWT' }, { typ: 'execute-actions', azp: 'app', scope: 'openid' }],
    ['a refresh token of Cognito', { typ: 'JWT' }, { token_use: 'refresh' }],
    ['a logout token, by its typ', { typ: 'logout+jwt' }, {}],
    [
      'a logout token, by its events',
      { typ: 'JWT' },
      { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
    ],
    ['a security event token', { typ: 'secevent+jwt' }, { events: {} }],
    ['a DPoP proof', { typ: 'dpop+jwt' }, { htm: 'POST', htu: 'https://agent.example/a2a' }],
    [
      'an introspection response',
      { typ: 'token-introspection+jwt' },
      { token_introspection: { active: true } },
    ],
    ['an authorization request', { typ: 'oauth-authz-req+jwt' }, { client_id: 'app' }],
    ['a client attestation', { typ: 'oauth-client-attestation+jwt' }, {}],
    ['a kind whose name contains the right one', { typ: 'xat+jwt' }, {}],
  ])('%s is no access token', async (_what, header, claims) => {
    const token = ecKey.token(claims, header);
    expect(await verify(token, strict)).toEqual(invalid);
    expect(await verify(token, anyJwt)).toEqual(invalid);
  });

  it.each<[string, Record<string, unknown>]>([
    ['at_hash', { at_hash: 'h' }],
    ['Keycloak’s typ', { typ: 'ID' }],
    ['Cognito’s token_use', { token_use: 'id' }],
    ['events', { events: {} }],
  ])('with the typ of an access token is known by its claims: %s', async (_what, claims) => {
    expect(await verify(ecKey.token(claims), strict)).toEqual(invalid);
    expect(await verify(ecKey.token(claims), anyJwt)).toEqual(invalid);
  });

  it('is not one that says to be an access token and has a nonce', async () => {
    const nonce = 'n';
    expect(await verify(ecKey.token({ nonce }), strict)).toEqual(accepted);
    expect(await verify(ecKey.token({ nonce, typ: 'Bearer', azp: 'app' }, { typ: 'JWT' }), anyJwt)).toEqual(
      accepted,
    );
    expect(await verify(ecKey.token({ nonce, scope: 'ask' }, { typ: 'JWT' }), anyJwt)).toEqual(invalid);
  });

  it.each(['JWT', 'jwt', undefined])(
    'with the typ %j is no access token, unless anyJwt says so',
    async (typ) => {
      const token = ecKey.token({ scope: 'ask' }, { typ });
      expect(await verify(token, strict)).toEqual(invalid);
      expect(net.count()).toBe(0);
      expect(await verify(token, anyJwt)).toEqual(accepted);
    },
  );

  it.each(['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+jwt'])('but %j is', async (typ) => {
    expect(await verify(ecKey.token({}, { typ }))).toEqual(accepted);
  });

  describe('where ID tokens are asked for', () => {
    const idToken = (claims: Record<string, unknown> = {}, typ: string | undefined = 'JWT') =>
      ecKey.token({ client_id: undefined, aud: 'app', ...claims }, { typ });
    const options = { accept: 'id_token', audience: 'app' } as const;

    it.each<[string, Record<string, unknown>]>([
      ['for this client', {}],
      ['with its nonce', { nonce: 'n' }],
      ['for several, given to this client', { aud: ['app', 'api'], azp: 'app' }],
    ])('one %s is accepted', async (_what, claims) => {
      expect(await verify(idToken(claims), options)).toEqual(accepted);
    });

    it.each<[string, Record<string, unknown>]>([
      ['for another client', { aud: 'other-app' }],
      ['for several, without azp', { aud: ['app', 'api'] }],
      ['given to another client', { azp: 'other-app' }],
      ['for several, given to another client', { aud: ['app', 'api'], azp: 'api' }],
      ['without iat', { iat: undefined }],
      ['that is an access token of Keycloak', { typ: 'Bearer' }],
      ['that is an access token of Cognito', { token_use: 'access' }],
      ['that is an access token of Entra ID', { scp: 'ask' }],
      ['that is an access token of Spring Authorization Server', { scope: ['ask'] }],
      ['that is a logout token', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }],
    ])('one %s is refused', async (_what, claims) => {
      expect(await verify(idToken(claims), options)).toEqual(invalid);
    });

    it.each(['at+jwt', 'logout+jwt', 'dpop+jwt', 'token-introspection+jwt'])('%s is refused', async (typ) => {
      expect(await verify(idToken({}, typ), options)).toEqual(invalid);
      expect(net.count()).toBe(0);
    });
  });
});

describe('claims with prototype names', () => {
  it('lend the token nothing it does not have', async () => {
    const { sub: _sub, ...others } = goodClaims();
    const claims = `${JSON.stringify(others).slice(0, -1)},"__proto__":{"sub":"root","scope":"admin","cnf":{}}}`;
    expect(await verify(compact(headerOf(ecKey), claims, ecKey.signer))).toEqual(invalid);
  });

  it('reach no other object, and no scope comes of them', async () => {
    const claims = payloadWith('"__proto__":{"scope":"admin"},"constructor":{"prototype":{"admin":true}}');
    expect(await verify(compact(headerOf(ecKey), claims, ecKey.signer))).toMatchObject({
      verified: true,
      scopes: [],
    });
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
    expect(({} as Record<string, unknown>).scope).toBeUndefined();
  });

  it('in the header change nothing', async () => {
    const header = `{"alg":"ES256","typ":"at+jwt","__proto__":{"kid":"ec-1","jwk":${JSON.stringify(evilEc.jwk)}}}`;
    const input = `${encode(header)}.${encode(rootClaims())}`;
    expect(await verify(`${input}.${evilEc.signer(input).toString('base64url')}`)).toEqual(invalid);
  });
});

describe('a repeated claim', () => {
  it('counts as what every check and the agent see: its last value', async () => {
    const claims = payloadWith('"sub":"bob","aud":"https://other.example"');
    expect(await verify(compact(headerOf(ecKey), claims, ecKey.signer))).toEqual(invalid);
    const renamed = payloadWith('"sub":"bob"');
    expect(await verify(compact(headerOf(ecKey), renamed, ecKey.signer))).toMatchObject({
      principal: { subject: 'bob', claims: { sub: 'bob' } },
    });
  });

  it('of the header does not split what is checked from what is used', async () => {
    const header = `{"alg":"ES256","typ":"at+jwt","kid":"ec-1","alg":"none"}`;
    const input = `${encode(header)}.${encode(rootClaims())}`;
    expect(await verify(`${input}.`)).toEqual(invalid);
    expect(await verify(`${input}.${ecKey.signer(input).toString('base64url')}`)).toEqual(invalid);
  });
});

describe('ten thousand bad tokens', () => {
  const COUNT = 10_000;
  const filler = 'x'.repeat(6000);
  const bad = (index: number, kid: string) => {
    const claims = { ...rootClaims(), jti: String(index), filler };
    return `${encode({ ...headerOf(ecKey), kid })}.${encode(claims)}.${encode(`${String(index)}${'s'.repeat(64)}`.slice(0, 64))}`;
  };
  const heapAfterCollection = () => {
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    return process.memoryUsage().heapUsed;
  };

  it('with as many kids cause one fetch more than a good token does, one after another', async () => {
    const verifier = verifierOf();
    expect(await verifier.verify(ecKey.token(), context)).toEqual(accepted);
    for (let index = 0; index < COUNT; index++) {
      expect((await verifier.verify(bad(index, `kid-${String(index)}`), context)).verified).toBe(false);
    }
    expect(net.count(METADATA_URL)).toBe(1);
    expect(net.count(JWKS_URL)).toBe(2);
  });

  it('with as many kids cause two fetches, all at once and before any good one', async () => {
    const verifier = verifierOf();
    const verdicts = await Promise.all(
      Array.from({ length: COUNT }, (_, index) =>
        Promise.resolve(verifier.verify(bad(index, `kid-${String(index)}`), context)),
      ),
    );
    expect(verdicts.filter(({ verified }) => verified)).toEqual([]);
    expect(net.count(METADATA_URL)).toBe(1);
    expect(net.count(JWKS_URL)).toBe(2);
  });

  it('leave nothing behind', async () => {
    const verifier = verifierOf();
    await verifier.verify(ecKey.token(), context);
    const presentFrom = async (first: number, count: number) => {
      for (let index = first; index < first + count; index++) {
        await verifier.verify(bad(index, index % 2 === 0 ? 'ec-1' : `kid-${String(index)}`), context);
      }
    };
    // What the verifier, and V8, allocate once.
    await presentFrom(COUNT, 1_000);
    const before = heapAfterCollection();
    await presentFrom(0, COUNT);
    // A digest of each would be 1 MB and more, the tokens themselves 80 MB.
    expect(heapAfterCollection() - before).toBeLessThan(1_000_000);
    expect(await verifier.verify(ecKey.token(), context)).toEqual(accepted);
  });

  it('do not displace a good one, nor a key', async () => {
    const verifier = verifierOf({ cache: { maxTokens: 1 } });
    const token = ecKey.token();
    const first = await verifier.verify(token, context);
    for (let index = 0; index < 100; index++) await verifier.verify(bad(index, 'ec-1'), context);
    expect(await verifier.verify(token, context)).toBe(first);
  });
});

describe('a provider that', () => {
  const html = () => new Response('<!doctype html><p>Log in', { headers: { 'content-type': 'text/html' } });
  const endless = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          controller.enqueue(new Uint8Array(65_536).fill(0x20));
        },
      }),
      { headers: { 'content-type': 'application/json' } },
    );
  const misbehaviours: readonly [string, Answer][] = [
    ['hangs', hang],
    ['hangs, and does not notice that we gave up', () => new Promise<Response>(() => undefined)],
    ['is down', down],
    ['answers HTML', html],
    ['answers 500', () => new Response('oops', { status: 500 })],
    [
      'answers 500 with what would be good',
      () => Response.json({ ...metadataOf(ISSUER), ...jwksOf(evilEc) }, { status: 500 }),
    ],
    ['answers 204', () => new Response(null, { status: 204 })],
    ['answers nothing', () => new Response('', { headers: { 'content-type': 'application/json' } })],
    ['answers null', () => Response.json(null)],
    ['answers a list', () => Response.json([])],
    ['answers without end', endless],
    [
      'redirects to another host',
      () => new Response(null, { status: 302, headers: { location: `${EVIL}/anything` } }),
    ],
    ['breaks off', () => new Response('{"issuer":"https://issuer.example","jwks_uri":')],
  ];

  it.each(misbehaviours)(
    '%s at its metadata makes the verifier unavailable, not the token good or bad',
    async (_what, answer) => {
      net.answer(METADATA_URL, answer);
      const verifying = verify(ecKey.token(), { keys: { fetch: net.fetch, timeout: 50 } });
      await expect(verifying).rejects.toThrow(VerifierUnavailable);
      expect(net.calls.filter(({ url }) => new URL(url).origin !== ISSUER)).toEqual([]);
    },
  );

  it.each(misbehaviours)(
    '%s at its keys makes the verifier unavailable, not the token good or bad',
    async (_what, answer) => {
      net.answer(JWKS_URL, answer);
      const verifying = verify(ecKey.token(), { keys: { fetch: net.fetch, timeout: 50 } });
      await expect(verifying).rejects.toThrow(VerifierUnavailable);
      expect(net.calls.filter(({ url }) => new URL(url).origin !== ISSUER)).toEqual([]);
    },
  );

  it.each([
    ['another', EVIL],
    ['its own with a slash', `${ISSUER}/`],
    ['its own in upper case', 'https://ISSUER.example'],
    ['its own with the default port', `${ISSUER}:443`],
    ['none', undefined],
    ['a list', [ISSUER]],
  ])('says in its metadata that its issuer is %s is not believed', async (_what, issuer) => {
    net.answer(METADATA_URL, { ...metadataOf(ISSUER), issuer, jwks_uri: `${EVIL}/jwks` });
    net.answer(`${EVIL}/jwks`, jwksOf(evilEc));
    await expect(verify(evilEc.token())).rejects.toThrow(VerifierUnavailable);
    expect(net.count(`${EVIL}/jwks`)).toBe(0);
  });

  it.each([
    'http://issuer.example/jwks',
    'http://127.0.0.1.evil.example/jwks',
    'http://localhost.evil.example/jwks',
    'file:///etc/jwks',
    'data:application/json,{"keys":[]}',
  ])('has its keys at %s is not asked for them', async (jwksUri) => {
    net.answer(METADATA_URL, { ...metadataOf(ISSUER), jwks_uri: jwksUri });
    net.answer(jwksUri, jwksOf(evilEc));
    await expect(verify(evilEc.token())).rejects.toThrow(VerifierUnavailable);
    expect(net.count(jwksUri)).toBe(0);
  });

  it.each([
    ['no keys at all', metadataOf(ISSUER, { jwks_uri: undefined })],
    ['keys at no URL', metadataOf(ISSUER, { jwks_uri: 'not a url' })],
    ['keys at a number', metadataOf(ISSUER, { jwks_uri: 5 })],
  ])('has %s makes the verifier unavailable', async (_what, metadata) => {
    net.answer(METADATA_URL, metadata);
    await expect(verify(ecKey.token())).rejects.toThrow(VerifierUnavailable);
  });

  it('publishes ten thousand keys is not looked through', async () => {
    net.answer(JWKS_URL, jwksOf(...Array.from({ length: 10_000 }, () => ({ jwk: { kty: 'x' } })), ecKey));
    await expect(verify(ecKey.token())).rejects.toThrow(/10001 keys/);
  });

  it('publishes ten thousand whole keys is not even read', async () => {
    net.answer(JWKS_URL, jwksOf(...Array.from({ length: 10_000 }, () => ecKey)));
    await expect(verify(ecKey.token())).rejects.toThrow(/more than \d+ bytes/);
  });

  it('is not found does not make http of https', async () => {
    net = network();
    await expect(verify(ecKey.token())).rejects.toThrow(VerifierUnavailable);
    expect(net.calls.filter(({ url }) => !url.startsWith('https:'))).toEqual([]);
  });
});

import { generateKeyPairSync, randomBytes } from 'node:crypto';

import {
  AgentSecurity,
  dpop,
  httpBearer,
  jwtFromIssuer,
  type AgentSecurityOptions,
  type AuthRequest,
  type Decision,
  type DpopOptions,
} from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { dpopKey, goodProof, sha256 } from '../support/dpop.js';
import { signingKey } from '../support/issuer.js';
import { AUDIENCE, compact, hmac, ISSUER } from '../support/token.js';

const issuerKey = signingKey('issuer');
const client = dpopKey();
const thief = dpopKey();
const RESOURCE = 'https://agent.example/a2a';

/** An agent that takes DPoP, and its memory of proofs. */
function agent(options: DpopOptions = {}, security: AgentSecurityOptions = { resource: RESOURCE }) {
  const verifier = jwtFromIssuer({
    issuer: { issuer: ISSUER, jwks: { keys: [issuerKey.jwk] } },
    audience: AUDIENCE,
  });
  return new AgentSecurity(security)
    .addSecurityScheme('it', httpBearer({ verifier, dpop: dpop(options) }))
    .addSecurityRequirement({ it: [] });
}

interface Presented {
  readonly scheme?: string;
  readonly token?: string;
  readonly proof?: string | readonly string[] | undefined;
  readonly url?: string;
  readonly method?: string;
}

let bound: string;

function presented(given: Presented): AuthRequest {
  const { scheme = 'DPoP', token = bound, url, method } = given;
  const proof = 'proof' in given ? given.proof : client.proof(token);
  return authRequest({
    header: {
      authorization: `${scheme} ${token}`,
      host: 'agent.example',
      ...(proof === undefined ? {} : { dpop: proof }),
    },
    ...(url === undefined ? {} : { url }),
    ...(method === undefined ? {} : { method }),
  });
}

const present = (given: Presented = {}, security = agent()) => security.authenticate(presented(given));

/** The error code in the challenge of an auth-scheme; the reason of the denial when there is no such challenge. */
function errorOf(decision: Decision, scheme = 'DPoP'): string | undefined {
  if (decision.granted) return 'granted';
  const challenge = decision.challenges.find((candidate) => candidate.scheme === scheme);
  return challenge === undefined ? decision.reason : challenge.params?.error;
}

const NOW = new Date('2030-01-01T00:00:00Z');
const seconds = NOW.getTime() / 1000;
beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  bound = issuerKey.token({ cnf: { jkt: client.thumbprint } });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('control: what attacks are made from is good', () => {
  it('a token with a proof', async () => {
    expect(errorOf(await present())).toBe('granted');
    expect(errorOf(await present({}, agent({}, {})))).toBe('granted');
  });
});

describe('a stolen token', () => {
  it('without a proof is refused', async () => {
    expect(errorOf(await present({ proof: undefined }))).toBe('invalid_dpop_proof');
  });

  it('with a proof by the thief’s key is refused', async () => {
    expect(errorOf(await present({ proof: thief.proof(bound) }))).toBe('invalid_dpop_proof');
  });

  it('with a proof by the thief’s key that shows the client’s key is refused', async () => {
    const { crv, kty, x, y } = client.jwk;
    expect(errorOf(await present({ proof: thief.proof(bound, {}, { jwk: { crv, kty, x, y } }) }))).toBe(
      'invalid_dpop_proof',
    );
  });

  it.each(['Bearer', 'bearer', 'BEARER'])('as a plain bearer token is refused: %s', async (scheme) => {
    for (const proof of [undefined, client.proof(bound), thief.proof(bound)]) {
      const decision = await present({ scheme, proof });
      expect(errorOf(decision, 'Bearer')).toBe('invalid_token');
    }
  });

  it('is refused by a scheme that accepts no DPoP, however it comes', async () => {
    const verifier = jwtFromIssuer({
      issuer: { issuer: ISSUER, jwks: { keys: [issuerKey.jwk] } },
      audience: AUDIENCE,
    });
    const security = new AgentSecurity()
      .addSecurityScheme('it', httpBearer({ verifier }))
      .addSecurityRequirement({ it: [] });
    expect(errorOf(await present({ scheme: 'Bearer', proof: undefined }, security), 'Bearer')).toBe(
      'invalid_token',
    );
    expect(errorOf(await present({ scheme: 'Bearer' }, security), 'Bearer')).toBe('invalid_token');
    const asDpop = await present({ scheme: 'DPoP' }, security);
    expect(asDpop).toMatchObject({ granted: false, reason: 'missing_credential' });
  });

  it('stays refused after the client itself was let in with it', async () => {
    const security = agent();
    expect(errorOf(await present({}, security))).toBe('granted');
    expect(errorOf(await present({ proof: undefined }, security))).toBe('invalid_dpop_proof');
    expect(errorOf(await present({ proof: thief.proof(bound) }, security))).toBe('invalid_dpop_proof');
    expect(errorOf(await present({ scheme: 'Bearer' }, security), 'Bearer')).toBe('invalid_token');
  });
});

describe('a token that is not bound', () => {
  it('presented with DPoP is refused', async () => {
    const token = issuerKey.token();
    const decision = await present({ token, proof: client.proof(token) });
    expect(errorOf(decision)).toBe('invalid_token');
  });

  it('as a plain bearer token is accepted, unless DPoP is required', async () => {
    const token = issuerKey.token();
    const given = { scheme: 'Bearer', token, proof: undefined };
    expect(errorOf(await present(given))).toBe('granted');
    expect(errorOf(await present(given, agent({ required: true })))).toBe('invalid_token');
    expect(errorOf(await present({ ...given, proof: client.proof(token) }, agent({ required: true })))).toBe(
      'invalid_token',
    );
  });
});

describe('a proof that is used again', () => {
  it('is a replay', async () => {
    const security = agent();
    const proof = client.proof(bound);
    expect(errorOf(await present({ proof }, security))).toBe('granted');
    expect(errorOf(await present({ proof }, security))).toBe('invalid_dpop_proof');
  });

  it('is a replay at the same time as well: one of many passes', async () => {
    const security = agent();
    const proof = client.proof(bound);
    const decisions = await Promise.all(Array.from({ length: 20 }, () => present({ proof }, security)));
    expect(decisions.filter(({ granted }) => granted)).toHaveLength(1);
  });

  it('is a replay as long as it is recent, and then is old', async () => {
    const security = agent();
    bound = issuerKey.token({ exp: seconds + 3600, cnf: { jkt: client.thumbprint } });
    const proof = client.proof(bound, { iat: seconds + 10 });
    expect(errorOf(await present({ proof }, security))).toBe('granted');
    for (let second = 0; second < 120; second++) {
      vi.advanceTimersByTime(1000);
      expect(errorOf(await present({ proof }, security))).toBe('invalid_dpop_proof');
    }
  });

  it('is a replay with another signature: the jti is what counts', async () => {
    const security = agent();
    const claims = goodProof(bound);
    expect(errorOf(await present({ proof: client.proof(bound, claims) }, security))).toBe('granted');
    expect(errorOf(await present({ proof: client.proof(bound, claims) }, security))).toBe(
      'invalid_dpop_proof',
    );
  });

  it('is none within one request, which two schemes look at', async () => {
    const shared = dpop();
    const verifier = (audience: string) =>
      jwtFromIssuer({ issuer: { issuer: ISSUER, jwks: { keys: [issuerKey.jwk] } }, audience });
    const security = new AgentSecurity({ resource: RESOURCE })
      .addSecurityScheme(
        'first',
        httpBearer({ verifier: verifier(AUDIENCE), dpop: shared, scopes: ['admin'] }),
      )
      .addSecurityScheme('second', httpBearer({ verifier: verifier(AUDIENCE), dpop: shared }))
      .addSecurityRequirement({ first: ['admin'] })
      .addSecurityRequirement({ second: [] });
    const request = presented({});
    expect(errorOf(await security.authenticate(request))).toBe('granted');
    expect(errorOf(await security.authenticate(presented({ proof: request.header('dpop') })))).toBe(
      'invalid_dpop_proof',
    );
  });

  it('by another client is its own: the same jti of two keys', async () => {
    const security = agent();
    const token = issuerKey.token({ cnf: { jkt: thief.thumbprint } });
    expect(errorOf(await present({ proof: client.proof(bound, { jti: 'one' }) }, security))).toBe('granted');
    expect(errorOf(await present({ token, proof: thief.proof(token, { jti: 'one' }) }, security))).toBe(
      'granted',
    );
  });

  it('takes no place in the store when it is bad otherwise', async () => {
    const add = vi.fn(() => true);
    const security = agent({ replayStore: { add } });
    for (const claims of [{ htm: 'GET' }, { htu: 'https://evil.example/a2a' }, { ath: 'x' }, { iat: 0 }]) {
      await present({ proof: client.proof(bound, claims) }, security);
    }
    await present({ proof: thief.proof(bound) }, security);
    expect(add).not.toHaveBeenCalled();
    await present({}, security);
    expect(add).toHaveBeenCalledOnce();
  });

  it.each<[string, () => boolean | Promise<boolean>]>([
    [
      'throws',
      () => {
        throw new Error('down');
      },
    ],
    ['fails', () => Promise.reject(new Error('down'))],
    ['says no', () => false],
    ['says nothing', () => undefined as unknown as boolean],
  ])('is not let in when the store %s', async (_what, add) => {
    expect((await present({}, agent({ replayStore: { add } }))).granted).toBe(false);
  });

  it('fills the store up to its bound, and then nobody is let in', async () => {
    const { memoryReplayStore } = await import('@a2a-auth/server');
    const security = agent({ replayStore: memoryReplayStore(3) });
    for (let count = 0; count < 3; count++) expect(errorOf(await present({}, security))).toBe('granted');
    expect(await present({}, security)).toMatchObject({ granted: false, reason: 'unavailable' });
    vi.advanceTimersByTime(70_000);
    bound = issuerKey.token({ cnf: { jkt: client.thumbprint } });
    expect(errorOf(await present({}, security))).toBe('granted');
  });
});

describe('a proof for something else', () => {
  it.each(['GET', 'post', 'POST ', '', 'PUT', undefined, null, ['POST'], 5])(
    'method %j is refused',
    async (htm) => {
      expect(errorOf(await present({ proof: client.proof(bound, { htm }) }))).toBe('invalid_dpop_proof');
    },
  );

  it('than the method of the request is refused', async () => {
    expect(errorOf(await present({ method: 'DELETE' }))).toBe('invalid_dpop_proof');
    const proof = client.proof(bound, { htm: 'DELETE' });
    expect(errorOf(await present({ method: 'DELETE', proof }))).toBe('granted');
  });

  it.each([
    'https://evil.example/a2a',
    'https://agent.example.evil.example/a2a',
    'https://agent.example@evil.example/a2a',
    'https://agent.example:8443/a2a',
    'http://agent.example/a2a',
    'https://agent.example/',
    'https://agent.example/a2a/',
    'https://agent.example/A2A',
    'https://agent.example/a2a/../other',
    'https://agent.example//a2a',
    'https://agent.example/a2a/extended',
    'https://www.agent.example/a2a',
    'wss://agent.example/a2a',
    '/a2a',
    'agent.example/a2a',
    '',
    undefined,
    null,
    5,
    ['https://agent.example/a2a'],
  ])('URL %j is refused', async (htu) => {
    const proof = client.proof(bound, { htu });
    expect(errorOf(await present({ proof }))).toBe('invalid_dpop_proof');
    expect(errorOf(await present({ proof: client.proof(bound, { htu }) }, agent({}, {})))).toBe(
      'invalid_dpop_proof',
    );
  });

  it.each([
    'https://agent.example/a2a?x=1',
    'https://agent.example/a2a#fragment',
    'https://AGENT.example/a2a',
    'HTTPS://agent.example/a2a',
    'https://agent.example:443/a2a',
    'https://agent.example/other/../a2a',
  ])('but %s is the same URL', async (htu) => {
    expect(errorOf(await present({ proof: client.proof(bound, { htu }) }))).toBe('granted');
  });

  it('but a query of the request does not count', async () => {
    expect(errorOf(await present({ url: 'https://agent.example/a2a?tenant=1' }))).toBe('granted');
  });

  it('than this token is refused: ath', async () => {
    const other = issuerKey.token({ jti: 'other', cnf: { jkt: client.thumbprint } });
    expect(errorOf(await present({ proof: client.proof(other) }))).toBe('invalid_dpop_proof');
    for (const ath of [undefined, null, '', sha256(other), `${sha256(bound)}=`, bound, [sha256(bound)]]) {
      expect(errorOf(await present({ proof: client.proof(bound, { ath }) }))).toBe('invalid_dpop_proof');
    }
  });
});

describe('a request that pretends to have gone elsewhere', () => {
  // A server that the client trusts with the same token has a good proof for itself, and passes both on to us.
  const proofForEvil = () => client.proof(bound, { htu: 'https://evil.example/a2a' });

  it.each([
    ['by its Host header', 'https://evil.example/a2a'],
    ['by its Host header, with a port', 'https://evil.example:443/a2a'],
    ['by a path that looks like a host', 'https://agent.example//evil.example/a2a'],
    ['by a path that looks like a host, backwards', 'https://agent.example/\\evil.example/a2a'],
    ['by a target in absolute form', 'https://agent.examplehttps://evil.example/a2a'],
    ['by a target in absolute form, over http', 'https://agent.examplehttp://evil.example/a2a'],
    ['by credentials', 'https://agent.example@evil.example/a2a'],
    ['by no URL at all', 'https:///'],
    ['by nonsense', ''],
  ])('%s is held to the agent’s own URL', async (_what, url) => {
    expect(errorOf(await present({ url, proof: proofForEvil() }))).toBe('invalid_dpop_proof');
  });

  it('is let in under the agent’s own URL, whatever the Host header is', async () => {
    expect(errorOf(await present({ url: 'http://10.0.0.7:8080/a2a' }))).toBe('granted');
  });

  it('has the origin of the resource and the path of the request', async () => {
    const security = agent({}, { resource: 'https://agent.example/some/name?of=it' });
    expect(errorOf(await present({ url: 'http://internal/a2a' }, security))).toBe('granted');
    expect(errorOf(await present({ url: 'http://internal/other' }, security))).toBe('invalid_dpop_proof');
  });
});

describe('the time of a proof', () => {
  it.each([
    ['now', 0, 'granted'],
    ['a minute ago', -60, 'granted'],
    ['more than a minute ago', -61, 'invalid_dpop_proof'],
    ['a day ago', -86_400, 'invalid_dpop_proof'],
    ['in ten seconds', 10, 'granted'],
    ['in eleven seconds', 11, 'invalid_dpop_proof'],
    ['in a year', 31_536_000, 'invalid_dpop_proof'],
  ])('%s', async (_what, offset, expected) => {
    expect(errorOf(await present({ proof: client.proof(bound, { iat: seconds + offset }) }))).toBe(expected);
  });

  it.each([undefined, null, '1893456000', true, {}, [seconds], NOW.getTime(), 0, -1])(
    '%j is refused',
    async (iat) => {
      expect(errorOf(await present({ proof: client.proof(bound, { iat }) }))).toBe('invalid_dpop_proof');
    },
  );

  it.each(['1e999', '-1e999'])('%s, as text, is refused', async (iat) => {
    const { iat: _iat, ...others } = goodProof(bound);
    const { crv, kty, x, y } = client.jwk;
    const claims = `${JSON.stringify(others).slice(0, -1)},"iat":${iat}}`;
    const proof = compact({ alg: 'ES256', typ: 'dpop+jwt', jwk: { crv, kty, x, y } }, claims, client.signer);
    expect(errorOf(await present({ proof }))).toBe('invalid_dpop_proof');
  });

  it('may be limited by its own exp and nbf as well', async () => {
    expect(errorOf(await present({ proof: client.proof(bound, { exp: seconds - 1 }) }))).toBe(
      'invalid_dpop_proof',
    );
    expect(errorOf(await present({ proof: client.proof(bound, { nbf: seconds + 1 }) }))).toBe(
      'invalid_dpop_proof',
    );
  });
});

describe('the id of a proof', () => {
  it.each([undefined, null, '', 5, {}, ['a']])('%j is refused', async (jti) => {
    expect(errorOf(await present({ proof: client.proof(bound, { jti }) }))).toBe('invalid_dpop_proof');
  });

  it('may be long, and is not stored', async () => {
    const keys: string[] = [];
    const replayStore = { add: (key: string) => keys.push(key) > 0 };
    const security = agent({ replayStore });
    expect(errorOf(await present({ proof: client.proof(bound, { jti: 'j'.repeat(4000) }) }, security))).toBe(
      'granted',
    );
    expect(keys.map((key) => key.length)).toEqual([43]);
  });
});

describe('the key of a proof', () => {
  const rsa = signingKey('rsa', 'RS256');
  const claims = () => goodProof(bound);
  const { crv, kty, x, y } = client.jwk;

  it.each<[string, () => string]>([
    ['is missing', () => client.proof(bound, {}, { jwk: undefined })],
    ['is null', () => client.proof(bound, {}, { jwk: null })],
    ['is a string', () => client.proof(bound, {}, { jwk: JSON.stringify(client.jwk) })],
    ['is empty', () => client.proof(bound, {}, { jwk: {} })],
    ['is private', () => client.proof(bound, {}, { jwk: client.privateKey.export({ format: 'jwk' }) })],
    ['is off the curve', () => client.proof(bound, {}, { jwk: { crv, kty, x, y: x } })],
    ['is for encryption', () => client.proof(bound, {}, { jwk: { crv, kty, x, y, use: 'enc' } })],
    [
      'is a secret',
      () => {
        const secret = randomBytes(32);
        const jwk = { kty: 'oct', k: secret.toString('base64url') };
        return compact({ alg: 'HS256', typ: 'dpop+jwt', jwk }, claims(), hmac(secret));
      },
    ],
    [
      'is the public key as a secret',
      () => {
        const pem = client.publicKey.export({ type: 'spki', format: 'pem' });
        return compact({ alg: 'HS256', typ: 'dpop+jwt', jwk: { crv, kty, x, y } }, claims(), hmac(pem));
      },
    ],
    [
      'is an RSA key that is too short',
      () => {
        const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
        const jwk = short.publicKey.export({ format: 'jwk' });
        return compact({ alg: 'RS256', typ: 'dpop+jwt', jwk }, claims(), () => Buffer.alloc(128));
      },
    ],
    [
      'is elsewhere: jku',
      () => client.proof(bound, {}, { jwk: undefined, jku: 'https://evil.example/jwks' }),
    ],
    [
      'is elsewhere: x5u',
      () => client.proof(bound, {}, { jwk: undefined, x5u: 'https://evil.example/cert' }),
    ],
    ['is elsewhere: kid', () => client.proof(bound, {}, { jwk: undefined, kid: client.thumbprint })],
  ])('that %s is refused', async (_what, proof) => {
    expect(errorOf(await present({ proof: proof() }))).toBe('invalid_dpop_proof');
  });

  it('that is private does not become good by being the one the token is bound to', async () => {
    // The thumbprint is of the public members alone, so it fits.
    const proof = client.proof(
      bound,
      {},
      { jwk: { crv, kty, x, y, d: client.privateKey.export({ format: 'jwk' }).d } },
    );
    expect(errorOf(await present({ proof }))).toBe('invalid_dpop_proof');
  });

  it('may be of any asymmetric kind, unless algorithms says otherwise', async () => {
    const { e, n } = rsa.jwk;
    const token = issuerKey.token({ cnf: { jkt: sha256(JSON.stringify({ e, kty: 'RSA', n })) } });
    const proof = () =>
      compact({ alg: 'RS256', typ: 'dpop+jwt', jwk: { e, kty: 'RSA', n } }, goodProof(token), rsa.signer);
    expect(errorOf(await present({ token, proof: proof() }))).toBe('granted');
    const limited = await present({ token, proof: proof() }, agent({ algorithms: ['ES256'] }));
    expect(errorOf(limited)).toBe('invalid_dpop_proof');
    expect(limited).toMatchObject({
      challenges: expect.arrayContaining([
        expect.objectContaining({
          scheme: 'DPoP',
          params: expect.objectContaining({ algs: 'ES256' }) as object,
        }),
      ]) as object,
    });
  });
});

describe('the form of a proof', () => {
  it.each(['none', 'None', 'NONE', '', undefined])('without a signature is refused: alg %j', async (alg) => {
    const { crv, kty, x, y } = client.jwk;
    const proof = compact({ alg, typ: 'dpop+jwt', jwk: { crv, kty, x, y } }, goodProof(bound), () =>
      Buffer.alloc(0),
    );
    expect(errorOf(await present({ proof }))).toBe('invalid_dpop_proof');
  });

  it.each(['JWT', 'at+jwt', 'dpop', 'dpop+jwt+x', undefined, null, 5])(
    'with the typ %j is refused',
    async (typ) => {
      expect(errorOf(await present({ proof: client.proof(bound, {}, { typ }) }))).toBe('invalid_dpop_proof');
    },
  );

  it('with a changed signature, payload or header is refused', async () => {
    const [header, payload, signature] = client.proof(bound).split('.') as [string, string, string];
    const [otherHeader, otherPayload, otherSignature] = thief.proof(bound).split('.') as [
      string,
      string,
      string,
    ];
    for (const parts of [
      [header, payload, otherSignature],
      [header, otherPayload, signature],
      [otherHeader, payload, signature],
      [header, payload, ''],
      [header, payload],
      [header, payload, signature.slice(0, -4)],
    ]) {
      expect(errorOf(await present({ proof: parts.join('.') }))).toBe('invalid_dpop_proof');
    }
  });

  it.each(['', 'a', 'a.b.c', '..', 'null', '{}', '💥'])('%j is refused', async (proof) => {
    expect(errorOf(await present({ proof }))).toBe('invalid_dpop_proof');
  });

  it('with a header that must be understood is refused', async () => {
    expect(errorOf(await present({ proof: client.proof(bound, {}, { crit: ['x'], x: 1 }) }))).toBe(
      'invalid_dpop_proof',
    );
    expect(errorOf(await present({ proof: client.proof(bound, {}, { crit: ['b64'], b64: false }) }))).toBe(
      'invalid_dpop_proof',
    );
  });

  it('that is too long is refused before it is looked at', async () => {
    const fitting = client.proof(bound, { filler: 'x'.repeat(5000) });
    expect(fitting.length).toBeLessThan(8192);
    expect(errorOf(await present({ proof: fitting }))).toBe('granted');
    for (const length of [8_192, 1024 * 1024]) {
      const proof = client.proof(bound, { filler: 'x'.repeat(length) });
      expect(errorOf(await present({ proof }))).toBe('invalid_dpop_proof');
    }
  });

  it('twice is refused, whichever is good', async () => {
    for (const proof of [
      [client.proof(bound), client.proof(bound)],
      [client.proof(bound), 'x'],
      ['x', client.proof(bound)],
    ]) {
      expect(errorOf(await present({ proof }), 'Bearer')).toBe('invalid_request');
      const once = proof.join(', ');
      expect(errorOf(await present({ proof: once }))).toBe('invalid_dpop_proof');
    }
  });

  it('twice is refused by the verifier itself as well', async () => {
    const proof = [client.proof(bound), client.proof(bound)];
    const request = authRequest({ header: { dpop: proof } });
    expect(await dpop().check(request, bound, client.thumbprint, undefined)).toMatchObject({
      error: 'invalid_dpop_proof',
    });
  });

  it('that is an access token is refused, and a proof is no access token', async () => {
    expect(errorOf(await present({ proof: bound }))).toBe('invalid_dpop_proof');
    expect(
      errorOf(await present({ token: client.proof(bound), proof: client.proof(client.proof(bound)) })),
    ).toBe('invalid_token');
  });
});

describe('a nonce', () => {
  const secret = 'a secret of at least thirty-two bytes';
  const withNonce = () => agent({ nonce: { secret } });
  const nonceOf = (decision: Decision) =>
    decision.granted ? undefined : decision.challenges.at(-1)?.headers?.['dpop-nonce'];

  it('is asked for, and then accepted', async () => {
    const security = withNonce();
    const decision = await present({}, security);
    expect(errorOf(decision)).toBe('use_dpop_nonce');
    const nonce = nonceOf(decision);
    expect(nonce).toMatch(/^[\w-]{43}$/);
    expect(errorOf(await present({ proof: client.proof(bound, { nonce }) }, security))).toBe('granted');
  });

  it('is accepted by every process with the secret, and by none without', async () => {
    const nonce = nonceOf(await present({}, withNonce()));
    expect(errorOf(await present({ proof: client.proof(bound, { nonce }) }, withNonce()))).toBe('granted');
    for (const other of [agent({ nonce: true }), agent({ nonce: { secret: `${secret}!` } })]) {
      expect(errorOf(await present({ proof: client.proof(bound, { nonce }) }, other))).toBe('use_dpop_nonce');
    }
  });

  it('that is old is refused, and a fresh one given', async () => {
    const security = withNonce();
    const nonce = nonceOf(await present({}, security));
    vi.advanceTimersByTime(120_000);
    bound = issuerKey.token({ cnf: { jkt: client.thumbprint } });
    expect(errorOf(await present({ proof: client.proof(bound, { nonce }) }, security))).toBe('granted');
    vi.advanceTimersByTime(120_000);
    bound = issuerKey.token({ cnf: { jkt: client.thumbprint } });
    const decision = await present({ proof: client.proof(bound, { nonce }) }, security);
    expect(errorOf(decision)).toBe('use_dpop_nonce');
    expect(nonceOf(decision)).not.toBe(nonce);
  });

  it.each([undefined, null, '', 'forged', 5, {}, ['x'], 'A'.repeat(43)])(
    'that is %j is refused',
    async (nonce) => {
      expect(errorOf(await present({ proof: client.proof(bound, { nonce }) }, withNonce()))).toBe(
        'use_dpop_nonce',
      );
    },
  );

  it('makes no replayed proof good', async () => {
    const security = withNonce();
    const nonce = nonceOf(await present({}, security));
    const proof = client.proof(bound, { nonce });
    expect(errorOf(await present({ proof }, security))).toBe('granted');
    expect(errorOf(await present({ proof }, security))).toBe('invalid_dpop_proof');
  });
});

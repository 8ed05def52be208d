import { createHash, generateKeyPairSync } from 'node:crypto';

import {
  introspection,
  VerifierUnavailable,
  type ClientAuthentication,
  type IntrospectionOptions,
  type Verification,
} from '@a2a-auth/server';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { JWKS_URL, jwksOf, METADATA_URL, metadataOf, signingKey } from '../support/issuer.js';
import { down, hang, held, network, type Call, type Network } from '../support/network.js';
import { AUDIENCE, compact, ISSUER } from '../support/token.js';

const ENDPOINT = `${ISSUER}/introspect`;
const context = { schemeId: 'it', request: authRequest(), resource: undefined };
const accepted = expect.objectContaining({ verified: true }) as Verification;
const refusedAs = (reason: string) => expect.objectContaining({ verified: false, reason }) as Verification;
const invalid = refusedAs('invalid');

const NOW = new Date('2030-01-01T00:00:00Z');
const seconds = NOW.getTime() / 1000;
const pass = (time: number) => vi.advanceTimersByTime(time * 1000);

let net: Network;

const verifierOf = (options: Partial<IntrospectionOptions> = {}) =>
  introspection({
    issuer: ISSUER,
    endpoint: ENDPOINT,
    audience: AUDIENCE,
    clientId: 'agent',
    clientAuthentication: { method: 'client_secret_basic', clientSecret: 'agent-secret' },
    fetch: net.fetch,
    ...options,
  });
const verify = async (token = 'opaque', options?: Partial<IntrospectionOptions>) =>
  verifierOf(options).verify(token, context);

/** What the server says of a good token. */
const active = (more: Record<string, unknown> = {}) => ({
  active: true,
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'alice',
  client_id: 'cli',
  token_type: 'Bearer',
  scope: 'ask',
  exp: seconds + 3600,
  ...more,
});
const answer = (response: object) => {
  net.answer(ENDPOINT, response);
};

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  net = network({
    [METADATA_URL]: metadataOf(ISSUER, { introspection_endpoint: ENDPOINT }),
    [ENDPOINT]: active(),
  });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('an active token', () => {
  it('says who its bearer is', async () => {
    answer(active({ acr: 'high', cnf: { jkt: 'x' } }));
    expect(await verify()).toMatchObject({
      verified: true,
      principal: {
        subject: 'alice',
        issuer: ISSUER,
        clientId: 'cli',
        claims: { acr: 'high', cnf: { jkt: 'x' } },
        expiresAt: seconds + 3600,
      },
      scopes: ['ask'],
    });
  });

  it('that stands for a client has that for its subject', async () => {
    answer(active({ sub: undefined }));
    expect(await verify()).toMatchObject({ principal: { subject: 'cli' } });
  });

  it('has the issuer that was asked, where the answer names none', async () => {
    answer(active({ iss: undefined }));
    expect(await verify()).toMatchObject({ principal: { issuer: ISSUER, claims: { iss: ISSUER } } });
  });

  it('has the scopes that the mapper finds', async () => {
    answer(active({ roles: ['admin'] }));
    const scopes = ({ roles }: Readonly<Record<string, unknown>>) => roles as string[];
    expect(await verify('opaque', { scopes })).toMatchObject({ scopes: ['admin'] });
  });

  it.each(['access_token', 'access'])('may say that its use is %s', async (use) => {
    answer(active({ token_use: use }));
    expect(await verify()).toEqual(accepted);
  });

  it('may begin a few seconds from now, by the clock of who issued it', async () => {
    answer(active({ nbf: seconds + 5 }));
    expect(await verify()).toEqual(accepted);
  });

  it('may be for several', async () => {
    answer(active({ aud: ['https://other.example', AUDIENCE] }));
    expect(await verify()).toEqual(accepted);
  });
});

describe('an answer', () => {
  it.each<[string, Record<string, unknown>]>([
    ['that it is not active', { active: false }],
    ['of another issuer', { iss: 'https://evil.example' }],
    ['of our issuer with a slash', { iss: `${ISSUER}/` }],
    ['of an issuer in a list', { iss: [ISSUER] }],
    ['for another audience', { aud: 'https://other.example' }],
    ['for an audience that begins like ours', { aud: `${AUDIENCE}.evil.example` }],
    ['for others', { aud: ['https://other.example'] }],
    ['for nobody', { aud: undefined }],
    ['of a refresh token', { token_type: undefined }],
    ['of a refresh token, by name', { token_type: 'refresh_token' }],
    ['of a refresh token that is called a bearer token', { token_use: 'refresh_token' }],
    ['of an ID token that is called a bearer token', { token_use: 'id' }],
    ['of a token whose use is no text', { token_use: ['access_token'] }],
    ['of a token of another type', { token_type: 'N_A' }],
    ['of a bound token that does not say to which key', { token_type: 'DPoP' }],
    ['of a bound token with an empty bond', { token_type: 'DPoP', cnf: {} }],
    ['without an expiry', { exp: undefined }],
    ['with an expiry that is a string', { exp: String(seconds + 3600) }],
    ['with an expiry in milliseconds', { exp: NOW.getTime() + 3_600_000 }],
    ['with an expiry that is null', { exp: null }],
    ['of a token that is not valid yet', { nbf: seconds + 6 }],
    ['of a token with a beginning that is no time', { nbf: 'later' }],
    ['without anybody', { sub: undefined, client_id: undefined }],
    ['with an empty subject', { sub: '' }],
    ['with a subject that is no string', { sub: 5 }],
  ])('%s refuses the token', async (_what, more) => {
    answer(active(more));
    expect((await verify()).verified).toBe(false);
  });

  it('of an expiry that is over says so', async () => {
    answer(active({ exp: seconds }));
    expect(await verify()).toEqual(refusedAs('expired'));
  });

  it.each<[string, () => Response]>([
    ['is HTML', () => new Response('<p>Log in', { headers: { 'content-type': 'text/html' } })],
    ['is empty', () => new Response('', { headers: { 'content-type': 'application/json' } })],
    ['is no object', () => Response.json([true])],
    ['is null', () => Response.json(null)],
    ['says "true" of active', () => Response.json(active({ active: 'true' }))],
    ['says 1 of active', () => Response.json(active({ active: 1 }))],
    ['says nothing of active', () => Response.json(active({ active: undefined }))],
    ['is an error', () => Response.json({ error: 'invalid_client' }, { status: 401 })],
    ['is an error that says active', () => Response.json(active(), { status: 500 })],
    [
      'is a redirect',
      () => new Response(null, { status: 302, headers: { location: 'https://evil.example/' } }),
    ],
    [
      'is a redirect that keeps the body',
      () => new Response(null, { status: 307, headers: { location: 'https://evil.example/' } }),
    ],
    [
      'is too long',
      () => new Response(' '.repeat(600_000), { headers: { 'content-type': 'application/json' } }),
    ],
  ])('that %s leaves the question open', async (_what, response) => {
    answer(response);
    await expect(verify()).rejects.toThrow(VerifierUnavailable);
    expect(net.calls.filter(({ url }) => url !== ENDPOINT)).toEqual([]);
  });

  it('with prototype names lends the token nothing', async () => {
    const { sub: _sub, client_id: _id, ...others } = active();
    const text = `${JSON.stringify(others).slice(0, -1)},"__proto__":{"sub":"root"}}`;
    answer(() => new Response(text, { headers: { 'content-type': 'application/json' } }));
    expect((await verify()).verified).toBe(false);
    expect(({} as Record<string, unknown>).sub).toBeUndefined();
  });
});

describe('a question', () => {
  const question = async (clientAuthentication: ClientAuthentication) => {
    expect(await verify('the+token/~=', { clientAuthentication })).toEqual(accepted);
    const call = net.calls.find(({ url }) => url === ENDPOINT) as Call;
    return { call, body: new URLSearchParams(call.body) };
  };

  it('holds the token in the body alone, by POST', async () => {
    const { call, body } = await question({ method: 'client_secret_basic', clientSecret: 'agent-secret' });
    expect(call.method).toBe('POST');
    expect(body.get('token')).toBe('the+token/~=');
    expect(body.get('token_type_hint')).toBe('access_token');
  });

  it('authenticates by client_secret_basic', async () => {
    const { call, body } = await question({ method: 'client_secret_basic', clientSecret: 'agent:secret' });
    const [scheme, credentials = ''] = call.headers.get('authorization')?.split(' ') ?? [];
    expect(scheme).toBe('Basic');
    expect(Buffer.from(credentials, 'base64').toString()).toBe('agent:agent%3Asecret');
    expect(body.has('client_secret')).toBe(false);
  });

  it('authenticates by client_secret_post', async () => {
    const { call, body } = await question({ method: 'client_secret_post', clientSecret: 'agent-secret' });
    expect(call.headers.has('authorization')).toBe(false);
    expect(Object.fromEntries(body)).toMatchObject({ client_id: 'agent', client_secret: 'agent-secret' });
  });

  it('authenticates by private_key_jwt', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = await crypto.subtle.importKey(
      'jwk',
      privateKey.export({ format: 'jwk' }),
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['sign'],
    );
    const { body } = await question({ method: 'private_key_jwt', key, keyId: 'agent-key' });
    expect(body.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    expect(decodeJwt(body.get('client_assertion') ?? '')).toMatchObject({ iss: 'agent', sub: 'agent' });
  });

  it('authenticates by a client certificate, at the address that asks for one', async () => {
    const alias = 'https://mtls.issuer.example/introspect';
    net.answer(
      METADATA_URL,
      metadataOf(ISSUER, {
        introspection_endpoint: ENDPOINT,
        mtls_endpoint_aliases: { introspection_endpoint: alias },
      }),
    );
    net.answer(alias, active());
    expect(
      await verify('opaque', {
        clientAuthentication: { method: 'tls_client_auth' },
        endpoint: undefined,
      } as object),
    ).toEqual(accepted);
    expect(net.count(ENDPOINT)).toBe(0);
    const body = new URLSearchParams(net.calls.at(-1)?.body);
    expect(body.get('client_id')).toBe('agent');
    expect(body.has('client_secret')).toBe(false);
  });

  it('goes where the metadata says, unless the endpoint is given', async () => {
    net.answer(METADATA_URL, metadataOf(ISSUER, { introspection_endpoint: `${ISSUER}/elsewhere` }));
    net.answer(`${ISSUER}/elsewhere`, active());
    expect(await verify('opaque', { endpoint: undefined } as object)).toEqual(accepted);
    expect(net.calls.map(({ url }) => url)).toEqual([METADATA_URL, `${ISSUER}/elsewhere`]);
    expect(await verify()).toEqual(accepted);
    expect(net.calls.at(-1)?.url).toBe(ENDPOINT);
    expect(net.count(METADATA_URL)).toBe(1);
  });

  it.each(['http://issuer.example/introspect', undefined, 'not a url'])(
    'does not go to %j',
    async (endpoint) => {
      net.answer(METADATA_URL, metadataOf(ISSUER, { introspection_endpoint: endpoint }));
      await expect(verify('opaque', { endpoint: undefined } as object)).rejects.toThrow(VerifierUnavailable);
      expect(net.calls.filter(({ method }) => method === 'POST')).toEqual([]);
    },
  );

  it('is not asked about a token of 1 MiB', async () => {
    expect(await verify('t'.repeat(1024 * 1024))).toEqual(invalid);
    expect(net.count()).toBe(0);
  });

  it('is not waited for longer than the timeout', async () => {
    answer(hang);
    await expect(verify('opaque', { timeout: 20 })).rejects.toThrow(VerifierUnavailable);
  });
});

describe('answers', () => {
  const counted = async (verifier: ReturnType<typeof introspection>, token = 'opaque') => {
    await verifier.verify(token, context);
    return net.count(ENDPOINT);
  };

  it('are remembered, up to the bound', async () => {
    const verifier = verifierOf({ cache: { maxAge: 30 } });
    expect(await counted(verifier)).toBe(1);
    pass(29);
    expect(await counted(verifier)).toBe(1);
    pass(1);
    expect(await counted(verifier)).toBe(2);
  });

  it('are never remembered past the end of the token', async () => {
    answer(active({ exp: seconds + 10 }));
    const verifier = verifierOf({ cache: { maxAge: 30 } });
    expect(await counted(verifier)).toBe(1);
    pass(10);
    expect(await verifier.verify('opaque', context)).toEqual(refusedAs('expired'));
    expect(net.count(ENDPOINT)).toBe(2);
  });

  it('are not remembered with cache: false', async () => {
    const verifier = verifierOf({ cache: false });
    expect(await counted(verifier)).toBe(1);
    expect(await counted(verifier)).toBe(2);
  });

  it('that refuse are remembered briefly', async () => {
    answer({ active: false });
    const verifier = verifierOf();
    expect(await counted(verifier)).toBe(1);
    pass(4);
    expect(await counted(verifier)).toBe(1);
    pass(1);
    expect(await counted(verifier)).toBe(2);
    const forgetful = verifierOf({ refusedMaxAge: 0 });
    expect(await counted(forgetful)).toBe(3);
    expect(await counted(forgetful)).toBe(4);
  });

  it('that are none are not remembered', async () => {
    answer(down);
    const verifier = verifierOf();
    await expect(verifier.verify('opaque', context)).rejects.toThrow(VerifierUnavailable);
    answer(active());
    expect(await verifier.verify('opaque', context)).toEqual(accepted);
  });

  it('are asked for once by concurrent requests with one token', async () => {
    const gate = held(() => Response.json(active()));
    answer(gate.answer);
    const verifier = verifierOf();
    const pending = Array.from({ length: 100 }, () => Promise.resolve(verifier.verify('opaque', context)));
    gate.release();
    expect((await Promise.all(pending)).every(({ verified }) => verified)).toBe(true);
    expect(net.count(ENDPOINT)).toBe(1);
  });

  it('of one token are not another’s', async () => {
    answer(({ body }: Call) =>
      Response.json(new URLSearchParams(body).get('token') === 'good' ? active() : { active: false }),
    );
    const verifier = verifierOf();
    const tokens = ['good', 'bad', 'good', 'Good', 'good ', 'bad'];
    const verdicts = await Promise.all(
      tokens.map((token) => Promise.resolve(verifier.verify(token, context))),
    );
    expect(verdicts.map(({ verified }) => verified)).toEqual([true, false, true, false, false, false]);
  });

  it('that refuse do not displace those that do not', async () => {
    answer(({ body }: Call) =>
      Response.json(new URLSearchParams(body).get('token') === 'good' ? active() : { active: false }),
    );
    const verifier = verifierOf({ cache: { maxTokens: 1 } });
    await verifier.verify('good', context);
    for (let count = 0; count < 100; count++) await verifier.verify(`bad-${String(count)}`, context);
    expect(await counted(verifier, 'good')).toBe(101);
  });

  it('are overruled by the revocation check, at once', async () => {
    const revoked = vi.fn((_id: string) => false);
    const verifier = verifierOf({ revoked });
    answer(active({ jti: 'id-1' }));
    expect(await verifier.verify('opaque', context)).toEqual(accepted);
    revoked.mockReturnValue(true);
    expect(await verifier.verify('opaque', context)).toEqual(refusedAs('revoked'));
    expect(revoked).toHaveBeenLastCalledWith('id-1');
    expect(net.count(ENDPOINT)).toBe(1);
  });
});

describe('a revoked JWT whose jti the server does not tell', () => {
  const key = signingKey('it');
  const signed = key.token();
  const idOf = (text: string) => createHash('sha256').update(text).digest('base64url');

  it.each([
    ['as it was issued', signed],
    ['with padding', `${signed}==`],
    ['with another signature', `${signed.slice(0, signed.lastIndexOf('.'))}.${'A'.repeat(86)}`],
  ])('stays revoked %s', async (_, token) => {
    const withoutSignature = idOf(signed.slice(0, signed.lastIndexOf('.')));
    const revoked = (id: string) => id === withoutSignature;
    expect(await verify(token, { revoked })).toEqual(refusedAs('revoked'));
  });

  it('is told from an opaque token with dots, of which all counts', async () => {
    const revoked = vi.fn((_id: string) => false);
    await verify('not.a.jwt', { revoked });
    expect(revoked).toHaveBeenCalledWith(idOf('not.a.jwt'));
  });
});

describe('ten thousand distinct bad tokens', () => {
  it('all at once: no more calls are under way than allowed, and the rest is turned away', async () => {
    const gate = held(() => Response.json({ active: false }));
    let underWay = 0;
    let most = 0;
    answer(async () => {
      most = Math.max(most, ++underWay);
      const response = await gate.answer();
      underWay -= 1;
      return response;
    });
    const verifier = verifierOf({ circuit: { concurrency: 16 } });
    const pending = Array.from({ length: 10_000 }, (_, index) =>
      Promise.resolve(verifier.verify(`bad-${String(index)}`, context)),
    );
    const settled = Promise.allSettled(pending);
    await vi.waitFor(() => {
      expect(net.count(ENDPOINT)).toBe(16);
    });
    gate.release();
    const outcomes = await settled;
    expect(most).toBe(16);
    expect(net.count(ENDPOINT)).toBe(16);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(9_984);
    answer(active());
    expect(await verifier.verify('good', context)).toEqual(accepted);
  });

  it('one after another: no more of them are remembered than a thousand', async () => {
    answer(() => Response.json({ active: false }));
    const verifier = verifierOf({ refusedMaxAge: 3600 });
    for (let index = 0; index < 1_500; index++) await verifier.verify(`bad-${String(index)}`, context);
    expect(net.count(ENDPOINT)).toBe(1_500);
    await verifier.verify('bad-1499', context);
    await verifier.verify('bad-500', context);
    expect(net.count(ENDPOINT)).toBe(1_500);
    await verifier.verify('bad-499', context);
    expect(net.count(ENDPOINT)).toBe(1_501);
  });
});

describe('a dead endpoint', () => {
  it('is left alone after failures in a row, tried again, and used when it is back', async () => {
    answer(down);
    const verifier = verifierOf({ circuit: { failures: 3, pause: 10 } });
    for (let index = 0; index < 100; index++) {
      await expect(verifier.verify(`token-${String(index)}`, context)).rejects.toThrow(VerifierUnavailable);
    }
    expect(net.count(ENDPOINT)).toBe(3);
    pass(10);
    await expect(verifier.verify('trial', context)).rejects.toThrow(VerifierUnavailable);
    expect(net.count(ENDPOINT)).toBe(4);
    answer(active());
    pass(20);
    expect(await verifier.verify('token', context)).toEqual(accepted);
  });

  it('leaves what is remembered good', async () => {
    const verifier = verifierOf({ circuit: { failures: 1 } });
    await verifier.verify('known', context);
    answer(down);
    await expect(verifier.verify('unknown', context)).rejects.toThrow(VerifierUnavailable);
    expect(await verifier.verify('known', context)).toEqual(accepted);
  });

  it('is not what makes refusals: the answer is open, not negative', async () => {
    answer(() => new Response('oops', { status: 503 }));
    await expect(verify()).rejects.toMatchObject({ code: 'VERIFIER_UNAVAILABLE' });
  });

  it.each([400, 413, 414, 422])(
    'is another thing than an endpoint, or what stands before it, that answers %i to a token it cannot take',
    async (status) => {
      answer(({ body }: Call) =>
        new URLSearchParams(body).get('token') === 'good'
          ? Response.json(active())
          : new Response('No.', { status }),
      );
      const verifier = verifierOf({ circuit: { failures: 3 } });
      for (let index = 0; index < 10; index++) {
        expect(await verifier.verify(`bad-${String(index)}`, context)).toEqual(invalid);
      }
      expect(await verifier.verify('good', context)).toEqual(accepted);
    },
  );

  it('is told to the operator with its status', async () => {
    answer(() => new Response('oops', { status: 503 }));
    await expect(verify()).rejects.toThrow(/HTTP 503/);
    answer(() => Response.json({ error: 'invalid_client' }, { status: 401 }));
    await expect(verify()).rejects.toThrow(/HTTP 401, invalid_client/);
    const headers = { 'www-authenticate': 'Basic realm="as"' };
    answer(() => Response.json({ error: 'invalid_client' }, { status: 401, headers }));
    await expect(verify()).rejects.toThrow(/HTTP 401/);
    const named = { 'www-authenticate': 'Basic realm="as", error="invalid_client"' };
    answer(() => Response.json({ error: 'invalid_client' }, { status: 401, headers: named }));
    await expect(verify()).rejects.toThrow(/HTTP 401, invalid_client/);
  });

  it.each([403, 406, 451])(
    'is not what a firewall that answers %i to a token is: the answer is open, and others are let in',
    async (status) => {
      answer(({ body }: Call) =>
        new URLSearchParams(body).get('token') === 'good'
          ? Response.json(active())
          : new Response('No.', { status }),
      );
      const verifier = verifierOf({ circuit: { failures: 3 } });
      for (let index = 0; index < 10; index++) {
        await expect(verifier.verify(`../../${String(index)}`, context)).rejects.toThrow(VerifierUnavailable);
      }
      expect(await verifier.verify('good', context)).toEqual(accepted);
    },
  );

  it('that the metadata does not name is told ahead of traffic', async () => {
    net.answer(METADATA_URL, metadataOf(ISSUER));
    await expect(verifierOf({ endpoint: undefined as never }).warmUp()).rejects.toThrow(
      /introspection_endpoint/,
    );
  });

  it.each(['invalid_request', 'invalid_token', 'unsupported_token_type'])(
    'is another thing than an endpoint that says %s of a token: who sends such cannot shut the others out',
    async (error) => {
      answer(({ body }: Call) =>
        new URLSearchParams(body).get('token') === 'good'
          ? Response.json(active())
          : Response.json({ error }, { status: 400 }),
      );
      const verifier = verifierOf({ circuit: { failures: 3 } });
      for (let index = 0; index < 10; index++) {
        expect(await verifier.verify(`bad-${String(index)}`, context)).toEqual(invalid);
      }
      expect(await verifier.verify('good', context)).toEqual(accepted);
    },
  );
});

describe('signed answers (RFC 9701)', () => {
  const key = signingKey('signer');
  const evil = signingKey('signer');
  const signed = (
    more: { claims?: Record<string, unknown>; header?: Record<string, unknown>; by?: typeof key } = {},
  ) => {
    const { claims = {}, header = {}, by = key } = more;
    const body = compact(
      { alg: 'ES256', typ: 'token-introspection+jwt', kid: 'signer', ...header },
      { iss: ISSUER, aud: 'agent', iat: seconds, token_introspection: active(), ...claims },
      by.signer,
    );
    return () => new Response(body, { headers: { 'content-type': 'application/token-introspection+jwt' } });
  };
  const options: Partial<IntrospectionOptions> = { signedResponseAlg: 'ES256' };

  beforeEach(() => {
    net.answer(JWKS_URL, jwksOf(key));
  });

  it('are asked for, verified and believed', async () => {
    answer(signed());
    expect(await verify('opaque', options)).toMatchObject({
      verified: true,
      principal: { subject: 'alice' },
    });
    const call = net.calls.find(({ url }) => url === ENDPOINT);
    expect(call?.headers.get('accept')).toContain('application/token-introspection+jwt');
  });

  it.each<[string, () => () => Response]>([
    ['by another key', () => signed({ by: evil })],
    ['by an algorithm that was not asked for', () => signed({ header: { alg: 'RS256' } })],
    ['by nobody', () => signed({ header: { alg: 'none' } })],
    ['for another client', () => signed({ claims: { aud: 'other' } })],
    ['by another issuer', () => signed({ claims: { iss: 'https://evil.example' } })],
    ['as a token of another kind', () => signed({ header: { typ: 'at+jwt' } })],
    ['about nothing', () => signed({ claims: { token_introspection: undefined } })],
    ['that are not signed at all', () => () => Response.json(active())],
    [
      'that are not signed, but say so',
      () => () =>
        new Response(JSON.stringify(active()), {
          headers: { 'content-type': 'application/token-introspection+jwt' },
        }),
    ],
  ])('%s leave the question open', async (_what, response) => {
    answer(response());
    await expect(verify('opaque', options)).rejects.toThrow(VerifierUnavailable);
  });

  it('are asked for at the given endpoint, with the keys of the metadata', async () => {
    const endpoint = `${ISSUER}/private/introspect`;
    net.answer(endpoint, signed());
    expect(await verify('opaque', { ...options, endpoint })).toEqual(accepted);
    expect(net.count(ENDPOINT)).toBe(0);
  });
});

describe('the metadata', () => {
  it('is fetched ahead of traffic by warmUp, and then kept', async () => {
    const verifier = verifierOf({ endpoint: undefined } as object);
    await verifier.warmUp();
    expect(net.count(METADATA_URL)).toBe(1);
    await verifier.verify('a', context);
    await verifier.verify('b', context);
    expect(net.count(METADATA_URL)).toBe(1);
  });

  it('that cannot be had leaves the question open, and is asked for once a while', async () => {
    net.answer(METADATA_URL, down);
    const verifier = verifierOf({ endpoint: undefined } as object);
    await expect(verifier.warmUp()).rejects.toThrow(VerifierUnavailable);
    for (let index = 0; index < 50; index++) {
      await expect(verifier.verify(`t-${String(index)}`, context)).rejects.toThrow(VerifierUnavailable);
    }
    expect(net.count(METADATA_URL)).toBe(1);
  });

  it('that names another issuer is not believed', async () => {
    net.answer(METADATA_URL, {
      ...metadataOf(`${ISSUER}/`),
      introspection_endpoint: 'https://evil.example/introspect',
    });
    await expect(verify('opaque', { endpoint: undefined } as object)).rejects.toThrow(VerifierUnavailable);
    expect(net.calls.filter(({ method }) => method === 'POST')).toEqual([]);
  });

  it('is published by its issuer', () => {
    expect(verifierOf().authorizationServers).toEqual([ISSUER]);
  });
});

describe('introspection() is refused at start-up with', () => {
  it.each<[string, Record<string, unknown>]>([
    ['no issuer', { issuer: '' }],
    ['an issuer that is no URL', { issuer: 'issuer', endpoint: undefined }],
    ['an issuer over plain http', { issuer: 'http://issuer.example', endpoint: undefined }],
    ['an endpoint that is no URL', { endpoint: '/introspect' }],
    ['an endpoint over plain http', { endpoint: 'http://issuer.example/introspect' }],
    ['no audience', { audience: undefined }],
    ['an empty list of audiences', { audience: [] }],
    ['an empty audience', { audience: [AUDIENCE, ''] }],
    ['no client id', { clientId: undefined }],
    ['no client authentication', { clientAuthentication: undefined }],
    ['an unknown client authentication', { clientAuthentication: { method: 'none' } }],
    ['a signature that proves nothing', { signedResponseAlg: 'none' }],
    ['a symmetric signature', { signedResponseAlg: 'HS256' }],
    ['refusals that last for ever', { refusedMaxAge: Infinity }],
    ['refusals of negative age', { refusedMaxAge: -1 }],
    ['no time for calls', { timeout: 0 }],
    ['a circuit that lets nothing through', { circuit: { concurrency: 0 } }],
    ['a cache of no size', { cache: { maxTokens: 0 } }],
  ])('%s', (_what, options) => {
    expect(() => verifierOf(options as Partial<IntrospectionOptions>)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });

  it.each<[string, ClientAuthentication]>([
    ['client_secret_basic', { method: 'client_secret_basic', clientSecret: '' }],
    ['client_secret_post', { method: 'client_secret_post', clientSecret: '' }],
  ])('no secret for %s', (_what, clientAuthentication) => {
    expect(() => verifierOf({ clientAuthentication })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });
});

import { inspect } from 'node:util';

import { DelegationClient, type DelegationClientOptions } from '@a2a-auth/client';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';

import { failure, scriptedServer, sendJson, tokenAnswer } from '../client-oauth/support.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';

closeServersAfterTests();
stopClock();

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const subjectToken = 'the-token-of-the-caller';
const audience = 'https://next.example';
const secret = 'secret-of-agent-a';

const exchanged = (changes: Readonly<Record<string, unknown>> = {}) =>
  tokenAnswer({ access_token: 'exchanged-token', issued_token_type: ACCESS_TOKEN, ...changes });

function client(issuer: string, changes: Partial<DelegationClientOptions> = {}) {
  return new DelegationClient({ issuer, clientId: 'agent-a', clientSecret: secret, ...changes });
}

async function answeredWith(
  changes: Readonly<Record<string, unknown>>,
  options: {
    scopes?: readonly string[];
    audience?: string;
    resource?: string;
    expectedAudience?: string;
  } = {},
) {
  const server = await scriptedServer({ '/token': exchanged(changes) });
  return client(server.url).exchange({ subjectToken, audience, ...options });
}

const jwt = (claims: object) =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' }).sign(new Uint8Array(32));

describe('an answer is refused that has', () => {
  it.each([
    ['no issued_token_type', { issued_token_type: undefined }],
    ['a refresh token', { issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }],
    ['an ID token', { issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' }],
    ['a token that no request can carry', { token_type: 'N_A' }],
    ['a token bound to a key', { token_type: 'DPoP' }],
    ['the very token of the caller', { access_token: subjectToken }],
    ['a line break in the token', { access_token: 'a\r\nx-admin: 1' }],
  ])('%s', async (_, changes) => {
    expect(await failure(answeredWith(changes), subjectToken, secret)).toMatchObject({
      code: 'TOKEN_REFUSED',
    });
  });

  it('more scopes than were asked for', async () => {
    const error = await failure(answeredWith({ scope: 'ask admin' }, { scopes: ['ask'] }), 'exchanged-token');
    expect(error).toMatchObject({ code: 'TOKEN_REFUSED' });
    expect(String(error)).toContain('with scopes that were not asked for: "admin".');
    expect((await answeredWith({ scope: 'ask' }, { scopes: ['ask', 'admin'] })).scopes).toEqual(['ask']);
    expect((await answeredWith({ scope: 'ask admin' })).scopes).toEqual(['ask', 'admin']);
  });

  it.each([
    ['for the agent itself', { aud: 'https://agent-a.example' }],
    ['for several others', { aud: ['https://a.example', 'https://b.example'] }],
    ['for nobody', {}],
    ['for something that is no text', { aud: { name: audience } }],
  ])('a JWT %s', async (_, claims) => {
    const token = await jwt(claims);
    const error = await failure(answeredWith({ access_token: token }), token);
    expect(error).toMatchObject({ code: 'TOKEN_REFUSED', message: expect.stringContaining('aud') as string });
  });
});

describe('an answer is taken that has', () => {
  it.each([
    ['the audience', { audience }],
    ['the resource', { audience: 'other', resource: audience }],
    ['what is expected', { audience: 'other', expectedAudience: audience }],
  ])('%s in the aud of a JWT', async (_, options) => {
    const token = await jwt({ aud: ['https://any.example', audience] });
    expect((await answeredWith({ access_token: token }, options)).accessToken).toBe(token);
  });

  it('the type of JWTs', async () => {
    const issued = { issued_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
    expect((await answeredWith(issued)).accessToken).toBe('exchanged-token');
  });
});

it('the expected audience has to be there, whatever else is', async () => {
  const token = await jwt({ aud: audience });
  const answering = answeredWith({ access_token: token }, { expectedAudience: 'https://elsewhere.example' });
  expect(await failure(answering)).toMatchObject({ code: 'TOKEN_REFUSED' });
});

it('a token that was taken for one audience is not given where another is expected', async () => {
  const token = await jwt({ aud: audience });
  const server = await scriptedServer({ '/token': exchanged({ access_token: token }) });
  const delegation = client(server.url);
  await delegation.exchange({ subjectToken, audience });
  const expectedAudience = 'https://elsewhere.example';
  const other = delegation.exchange({ subjectToken, audience, expectedAudience });
  expect(await failure(other)).toMatchObject({ code: 'TOKEN_REFUSED' });
});

describe('the token of the caller', () => {
  it('is in the body of the exchange alone', async () => {
    const server = await scriptedServer({ '/token': exchanged() });
    await client(server.url).exchange({ subjectToken, audience, scopes: ['ask'] });
    const seen = server.calls.map(({ path, headers, form }) => ({
      path,
      shown: JSON.stringify([headers, [...form].filter(([name]) => name !== 'subject_token')]),
      sent: form.get('subject_token'),
    }));
    expect(seen.filter(({ sent }) => sent === subjectToken).map(({ path }) => path)).toEqual(['/token']);
    for (const { shown } of seen) expect(shown).not.toContain(subjectToken);
    expect(Object.fromEntries(server.callsOf('/token')[0]?.form ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: subjectToken,
      subject_token_type: ACCESS_TOKEN,
      requested_token_type: ACCESS_TOKEN,
      audience,
      scope: 'ask',
    });
  });

  it('is replaced by no other parameter', async () => {
    const server = await scriptedServer({ '/token': exchanged() });
    const tokenParameters = { subject_token: 'other', audience: 'other', scope: 'admin', custom: 'yes' };
    await client(server.url, { tokenParameters }).exchange({ subjectToken, audience, scopes: ['ask'] });
    expect(Object.fromEntries(server.callsOf('/token')[0]?.form ?? [])).toMatchObject({
      subject_token: subjectToken,
      audience,
      scope: 'ask',
      custom: 'yes',
    });
  });

  it('goes over no redirect', async () => {
    const evil = await scriptedServer({ '/token': exchanged() });
    const server = await scriptedServer({
      '/token': (response) => response.writeHead(307, { location: `${evil.url}/token` }).end(),
    });
    const error = await failure(
      client(server.url).exchange({ subjectToken, audience }),
      subjectToken,
      secret,
    );
    expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(evil.calls).toEqual([]);
  });

  it('goes to no server that calls itself otherwise', async () => {
    const server = await scriptedServer({ '/token': exchanged() }, { issuer: 'https://login.example' });
    const error = await failure(client(server.url).exchange({ subjectToken, audience }));
    expect(error).toMatchObject({ code: 'ISSUER_NOT_TRUSTED' });
    expect(server.callsOf('/token')).toEqual([]);
  });

  it('goes to no token endpoint in plain http', async () => {
    const server = await scriptedServer({}, { token_endpoint: 'http://login.example/token' });
    const error = await failure(client(server.url).exchange({ subjectToken, audience }));
    expect(error).toMatchObject({ code: 'ADDRESS_REFUSED' });
  });

  it('is in nothing that would be shown', async () => {
    const server = await scriptedServer({ '/token': exchanged() });
    const delegation = client(server.url);
    const source = delegation.source({ subjectToken, audience });
    await delegation.exchange({ subjectToken, audience });
    const shown = inspect([delegation, source], { depth: 20, showHidden: true });
    for (const hidden of [subjectToken, secret, 'exchanged-token']) expect(shown).not.toContain(hidden);
  });

  it('is not in an error that echoes it', async () => {
    const server = await scriptedServer({
      '/token': (response, { form }) => {
        sendJson(response, 400, { error: 'invalid_grant', error_description: form.get('subject_token') });
      },
    });
    const error = await failure(
      client(server.url).exchange({ subjectToken, audience }),
      subjectToken,
      secret,
    );
    expect(error).toMatchObject({ code: 'TOKEN_REFUSED' });
  });
});

describe('a server', () => {
  it('that hangs is given up, for all who wait', async () => {
    const server = await scriptedServer({ '/token': () => undefined });
    const delegation = client(server.url, { timeout: 200 });
    const waiting = [1, 2].map(() => failure(delegation.exchange({ subjectToken, audience }), subjectToken));
    for (const error of await Promise.all(waiting))
      expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(server.callsOf('/token')).toHaveLength(1);
  });

  it('that hangs is not waited for by who gives up', async () => {
    const server = await scriptedServer({ '/token': () => undefined });
    const reason = new Error('Enough.');
    const controller = new AbortController();
    const exchanging = client(server.url).exchange({ subjectToken, audience, signal: controller.signal });
    controller.abort(reason);
    expect(await failure(exchanging)).toBe(reason);
  });

  it('is asked again after each refusal', async () => {
    const server = await scriptedServer({ '/token': exchanged({ issued_token_type: undefined }) });
    const delegation = client(server.url);
    await failure(delegation.exchange({ subjectToken, audience }));
    server.on('/token', exchanged());
    expect((await delegation.exchange({ subjectToken, audience })).accessToken).toBe('exchanged-token');
  });

  it('that does not say when a token ends is asked again after five minutes', async () => {
    const server = await scriptedServer({ '/token': exchanged({ expires_in: undefined }) });
    const delegation = client(server.url);
    const exchange = () => delegation.exchange({ subjectToken, audience });
    await exchange();
    passTime(260);
    await exchange();
    expect(server.callsOf('/token')).toHaveLength(1);
    passTime(20);
    await exchange();
    expect(server.callsOf('/token')).toHaveLength(2);
  });

  it('gives refresh tokens in vain', async () => {
    const server = await scriptedServer({
      '/token': exchanged({ refresh_token: 'refresh', expires_in: 60 }),
    });
    const delegation = client(server.url);
    expect(Object.keys(await delegation.exchange({ subjectToken, audience }))).toEqual([
      'accessToken',
      'expiresAt',
      'scopes',
    ]);
    passTime(59);
    await delegation.exchange({ subjectToken, audience });
    expect(server.callsOf('/token').map(({ form }) => form.get('subject_token'))).toEqual([
      subjectToken,
      subjectToken,
    ]);
  });

  it('without metadata is known by its token endpoint', async () => {
    const server = await scriptedServer({ '/token': exchanged() });
    const delegation = new DelegationClient({
      tokenEndpoint: `${server.url}/token`,
      clientId: 'agent-a',
      clientSecret: secret,
    });
    expect((await delegation.exchange({ subjectToken, audience })).accessToken).toBe('exchanged-token');
    expect(server.calls.map(({ path }) => path)).toEqual(['/token']);
  });

  it('gets no audience and no resource where the scopes say whom the token is for', async () => {
    const server = await scriptedServer({ '/token': tokenAnswer({ access_token: 'on-behalf' }) });
    const delegation = client(server.url, {
      grant: 'jwt-bearer',
      tokenParameters: { requested_token_use: 'on_behalf_of' },
    });
    await delegation.exchange({ subjectToken, resource: false, scopes: ['api://next/.default'] });
    expect(Object.fromEntries(server.callsOf('/token')[0]?.form ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: subjectToken,
      scope: 'api://next/.default',
      requested_token_use: 'on_behalf_of',
    });
  });
});

describe('the actor', () => {
  const actor = (authorization: string) => ({
    interactive: false,
    unfitFor: () => undefined,
    credential: () => Promise.resolve({ headers: { authorization } }),
  });

  it('is sent as an access token', async () => {
    const server = await scriptedServer({ '/token': exchanged() });
    await client(server.url, { actor: actor('Bearer own-token') }).exchange({ subjectToken, audience });
    const { form } = server.callsOf('/token')[0] ?? {};
    expect([form?.get('actor_token'), form?.get('actor_token_type')]).toEqual(['own-token', ACCESS_TOKEN]);
  });

  it('that changed gets tokens of its own', async () => {
    const server = await scriptedServer({ '/token': exchanged() });
    let current = 'first';
    const changing = { ...actor(''), credential: async () => actor(`Bearer ${current}`).credential() };
    const delegation = client(server.url, { actor: changing });
    await delegation.exchange({ subjectToken, audience });
    current = 'second';
    await delegation.exchange({ subjectToken, audience });
    expect(server.callsOf('/token').map(({ form }) => form.get('actor_token'))).toEqual(['first', 'second']);
  });

  it('without a bearer token exchanges nothing', async () => {
    const server = await scriptedServer({ '/token': exchanged() });
    const exchanging = client(server.url, { actor: actor('DPoP own-token') }).exchange({
      subjectToken,
      audience,
    });
    expect(await failure(exchanging, 'own-token')).toMatchObject({ code: 'CREDENTIAL_UNUSABLE' });
    expect(server.calls).toEqual([]);
  });

  it('has not its own token taken for the exchanged one', async () => {
    const server = await scriptedServer({ '/token': exchanged({ access_token: 'own-token' }) });
    const exchanging = client(server.url, { actor: actor('Bearer own-token') }).exchange({
      subjectToken,
      audience,
    });
    expect(await failure(exchanging)).toMatchObject({ code: 'TOKEN_REFUSED' });
  });
});

describe('options are checked', () => {
  const good = { issuer: 'https://login.example', clientId: 'agent-a', clientSecret: secret };
  it.each<[string, object]>([
    ['issuer', { ...good, issuer: undefined }],
    ['issuer', { ...good, issuer: undefined, trust: () => true }],
    ['issuer', { ...good, issuer: 'http://login.example' }],
    ['clientId', { ...good, clientId: '' }],
    ['clientSecret', { ...good, clientSecret: undefined }],
    ['grant', { ...good, grant: 'password' }],
    ['actor', { ...good, actor: 'token' }],
    ['actor', { ...good, grant: 'jwt-bearer', actor: { credential: () => undefined } }],
    ['discovery', { ...good, discovery: {} }],
    ['timeout', { ...good, timeout: -1 }],
  ])('%s', (name, options) => {
    expect(() => new DelegationClient(options as DelegationClientOptions)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining(name) as string,
      }) as Error,
    );
  });

  it.each([
    { audience: '' },
    { resource: 7 },
    { audience, expectedAudience: '' },
    { audience, scopes: ['a b'] },
  ])('%j', async (options) => {
    const exchanging = new DelegationClient(good).exchange({ subjectToken, ...options } as never);
    expect(await failure(exchanging)).toMatchObject({ code: 'INVALID_OPTION' });
  });
});

import {
  oauth2ClientCredentials,
  principalOf,
  type ClientAuthentication,
  type IntrospectionOptions,
} from '@a2a-auth/server';
import {
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  SignJWT,
  type JWTHeaderParameters,
} from 'jose';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { bearer, listTasks, sendMessage, stateOf } from '../support/oauth/agent.js';
import {
  noGrants,
  SECRET,
  signingKey,
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { serviceToken } from '../support/oauth/clients.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { startIntrospectingAgent } from '../support/oauth/introspecting-agent.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';

closeServersAfterTests();
stopClock();

const ENDPOINT = '/token/introspection';
const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
const publicJwk = { ...(await exportJWK(publicKey)), kid: 'agent-key', alg: 'ES256', use: 'sig' };

/** The agent is a client of the authorization server, one for each way to authenticate. */
const authentications = {
  client_secret_basic: { method: 'client_secret_basic', clientSecret: SECRET },
  client_secret_post: { method: 'client_secret_post', clientSecret: SECRET },
  private_key_jwt: { method: 'private_key_jwt', key: privateKey, keyId: publicJwk.kid },
} as const satisfies Record<string, ClientAuthentication>;
type Method = keyof typeof authentications;
const methods = Object.keys(authentications) as Method[];

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer({
    clients: methods.map((method) => ({
      client_id: method,
      token_endpoint_auth_method: method,
      ...(method === 'private_key_jwt' ? { jwks: { keys: [publicJwk] } } : { client_secret: SECRET }),
      ...noGrants,
    })),
  });
});

/** Takes opaque tokens, by asking the authorization server about them. */
const introspectingAgent = (
  options: Partial<IntrospectionOptions> = {},
  method: Method = 'client_secret_basic',
) =>
  startIntrospectingAgent(server, {
    clientId: method,
    clientAuthentication: authentications[method],
    scheme: (verifier) =>
      oauth2ClientCredentials({
        tokenUrl: `${server.issuer}/token`,
        scopes: { ask: 'Ask.' },
        verifier,
      }),
    ...options,
  });

let before = 0;
beforeEach(() => {
  before = server.calls(ENDPOINT);
});
/** How often the authorization server was asked in this test. */
const asked = () => server.calls(ENDPOINT) - before;

describe.each(methods)('the agent authenticates by %s', (method) => {
  it.each<[string, Partial<IntrospectionOptions>]>([
    ['a plain response (RFC 7662)', {}],
    ['a signed response (RFC 9701)', { signedResponseAlg: 'ES256' }],
  ])('and lets the caller in by %s', async (_name, options) => {
    const agent = await introspectingAgent(options, method);
    const token = await serviceToken(server, agent.resource);
    expect(stateOf(await sendMessage(agent, bearer(token)))).toBe('TASK_STATE_COMPLETED');
    const principal = principalOf(agent.lastCall());
    expect(principal).toMatchObject({
      id: `${server.issuer}|service`,
      subject: 'service',
      issuer: server.issuer,
      schemeId: 'token',
      clientId: 'service',
      scopes: ['ask'],
      claims: { active: true, aud: agent.resource },
    });
    expect(principal.expiresAt).toBe((principal.claims.exp as number) * 1000);
    expect(asked()).toBe(1);
  });
});

it('asks at the endpoint that is given, without a word of metadata', async () => {
  const agent = await introspectingAgent({ endpoint: `${server.issuer}${ENDPOINT}` });
  const token = await serviceToken(server, agent.resource);
  const discoveries = server.calls('/.well-known/openid-configuration');
  expect((await listTasks(agent, bearer(token))).status).toBe(200);
  expect(server.calls('/.well-known/openid-configuration')).toBe(discoveries);
});

it('counts a response of another algorithm than the one asked for as no answer', async () => {
  const agent = await introspectingAgent({ signedResponseAlg: 'RS256' });
  const answer = await listTasks(agent, bearer(await serviceToken(server, agent.resource)));
  expect(answer.status).toBe(503);
});

describe('a signed response (RFC 9701)', () => {
  /** Somebody between the agent and the authorization server. */
  const between =
    (change: (answer: string) => Promise<Response>): typeof fetch =>
    async (input, init) => {
      const response = await fetch(input, init);
      return init?.method === 'POST' ? change(await response.text()) : response;
    };

  it.each<[string, (answer: string) => Promise<Response>]>([
    [
      "has somebody else's signature",
      async (answer) => {
        const forged = await new SignJWT(decodeJwt(answer))
          .setProtectedHeader(decodeProtectedHeader(answer) as JWTHeaderParameters)
          .sign(privateKey);
        return new Response(forged, { headers: { 'content-type': 'application/token-introspection+jwt' } });
      },
    ],
    ['has no signature after all', async (answer) => Response.json(decodeJwt(answer).token_introspection)],
  ])('is no answer when it %s', async (_name, change) => {
    const agent = await introspectingAgent({ signedResponseAlg: 'ES256', fetch: between(change) });
    const token = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, bearer(token))).status).toBe(503);
    expect(asked()).toBe(1);
  });

  it('is an answer as it comes', async () => {
    const untouched = async (answer: string) =>
      new Response(answer, { headers: { 'content-type': 'application/token-introspection+jwt' } });
    const agent = await introspectingAgent({ signedResponseAlg: 'ES256', fetch: between(untouched) });
    const token = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
  });
});

it('counts an agent that may not ask as no answer, and not as a bad token', async () => {
  const agent = await introspectingAgent({
    clientAuthentication: { method: 'client_secret_basic', clientSecret: 'a wrong secret' },
  });
  const answer = await listTasks(agent, bearer(await serviceToken(server, agent.resource)));
  expect(answer.status).toBe(503);
});

describe('answers are remembered', () => {
  it('up to their bound', async () => {
    const agent = await introspectingAgent({ cache: { maxAge: 30 } });
    const token = await serviceToken(server, agent.resource);
    for (let call = 0; call < 5; call++) expect((await listTasks(agent, bearer(token))).status).toBe(200);
    expect(asked()).toBe(1);
    passTime(29);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
    expect(asked()).toBe(1);
    passTime(1);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
    expect(asked()).toBe(2);
  });

  it('not at all when that is what was asked for', async () => {
    const agent = await introspectingAgent({ cache: false });
    const token = await serviceToken(server, agent.resource);
    for (let call = 0; call < 3; call++) expect((await listTasks(agent, bearer(token))).status).toBe(200);
    expect(asked()).toBe(3);
  });

  it('never past the end of the token', async () => {
    const agent = await introspectingAgent({ cache: { maxAge: 10 * TOKEN_TTL } });
    const token = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
    passTime(TOKEN_TTL - 1);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
    expect(asked()).toBe(1);
    passTime(1);
    expect((await listTasks(agent, bearer(token))).status).toBe(401);
    expect(asked()).toBe(2);
  });

  it('briefly when they are refusals', async () => {
    const agent = await introspectingAgent({ refusedMaxAge: 5 });
    for (let call = 0; call < 5; call++) expect((await listTasks(agent, bearer('unknown'))).status).toBe(401);
    expect(asked()).toBe(1);
    passTime(5);
    expect((await listTasks(agent, bearer('unknown'))).status).toBe(401);
    expect(asked()).toBe(2);
  });

  it('as refusals not at all when that is what was asked for', async () => {
    const agent = await introspectingAgent({ refusedMaxAge: 0 });
    for (let call = 0; call < 3; call++) expect((await listTasks(agent, bearer('unknown'))).status).toBe(401);
    expect(asked()).toBe(3);
  });
});

it('asks once for concurrent calls with one token', async () => {
  const agent = await introspectingAgent();
  const token = await serviceToken(server, agent.resource);
  await agent.security.warmUp();
  const release = server.hold(ENDPOINT);
  const calls = Array.from({ length: 20 }, () => listTasks(agent, bearer(token)));
  await agent.received(20);
  release();
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(20).fill(200));
  expect(asked()).toBe(1);
});

describe('while the authorization server is down', () => {
  it('callers are told to come back, the circuit opens, and closes when the server is back', async () => {
    const agent = await introspectingAgent({ circuit: { failures: 3, pause: 10 } });
    const known = await serviceToken(server, agent.resource);
    const unknown = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, bearer(known))).status).toBe(200);
    expect(asked()).toBe(1);

    server.setDown(true);
    for (let call = 0; call < 10; call++) {
      const answer = await listTasks(agent, bearer(unknown));
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('10');
      expect(answer.challenge).toBeNull();
    }
    // Three in vain, and then it is left alone.
    expect(asked()).toBe(4);
    expect((await listTasks(agent, bearer(known))).status).toBe(200);
    const message = await sendMessage(agent, bearer(unknown));
    expect(message.status).toBe(503);

    passTime(10);
    expect((await listTasks(agent, bearer(unknown))).status).toBe(503);
    expect(asked()).toBe(5);

    server.setDown(false);
    // Left alone for twice as long after the attempt that failed.
    expect((await listTasks(agent, bearer(unknown))).headers.get('retry-after')).toBe('20');
    passTime(20);
    for (let call = 0; call < 3; call++) expect((await listTasks(agent, bearer(unknown))).status).toBe(200);
    expect(asked()).toBe(6);
  });

  it('an agent that was started meanwhile serves as soon as it is back', async () => {
    const agent = await introspectingAgent();
    const token = await serviceToken(server, agent.resource);
    server.setDown(true);
    const answer = await listTasks(agent, bearer(token));
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    server.setDown(false);
    passTime(5);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
  });

  it('a call that gets no answer is given up in time', async () => {
    const agent = await introspectingAgent({ timeout: 1_000 });
    const token = await serviceToken(server, agent.resource);
    const release = server.hold(ENDPOINT);
    expect((await listTasks(agent, bearer(token))).status).toBe(503);
    expect(asked()).toBe(1);
    release();
  });

  it('one call alone tries whether it is back', async () => {
    const agent = await introspectingAgent({ circuit: { failures: 1, pause: 10 } });
    const tokens = await Promise.all(Array.from({ length: 5 }, () => serviceToken(server, agent.resource)));
    await agent.security.warmUp();
    server.setDown(true);
    expect((await listTasks(agent, bearer(tokens[0] ?? ''))).status).toBe(503);
    server.setDown(false);
    passTime(10);

    const release = server.hold(ENDPOINT);
    const calls = tokens.map((token) => listTasks(agent, bearer(token)));
    await agent.received(1 + tokens.length);
    release();
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 503, 503, 503, 503]);
    expect(asked()).toBe(2);
  });
});

it('goes on for everybody else when somebody sends what the endpoint will not look at', async () => {
  const agent = await introspectingAgent({ circuit: { failures: 2 } });
  const token = await serviceToken(server, agent.resource);
  server.addResource(agent.resource);
  const jwts = await Promise.all(Array.from({ length: 4 }, () => serviceToken(server, agent.resource)));
  for (const jwt of jwts) expect((await listTasks(agent, bearer(jwt))).status).toBe(401);
  expect((await listTasks(agent, bearer(token))).status).toBe(200);
});

it('goes on while the key of the signed responses is rotated', async () => {
  const agent = await introspectingAgent({ signedResponseAlg: 'ES256', cache: false });
  const token = await serviceToken(server, agent.resource);
  for (let rotation = 0; rotation < 3; rotation++) {
    server.publishKeys([await signingKey()]);
    // As long as openid-client leaves the keys alone after it fetched them.
    passTime(60);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
  }
});

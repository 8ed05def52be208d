import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import {
  apiKey,
  bearer,
  clientCredentials,
  connect,
  DelegationClient,
  ServiceDiscovery,
  type DelegationClientOptions,
} from '@a2a-auth/client';
import {
  AgentSecurity,
  apiKey as apiKeyScheme,
  callerCredential,
  certificateTrust,
  createApiKey,
  createDevelopmentPki,
  httpBearer,
  mutualTls,
  oauth2FromIssuer,
  principalsOf,
  serveMutualTls,
} from '@a2a-auth/server';
import { decodeJwt } from 'jose';
import express from 'express';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { agentCard } from '../support/agent.js';
import { failure } from '../client-oauth/support.js';
import {
  SECRET,
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { serviceToken } from '../support/oauth/clients.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { ask, exchangingClient, personToken, serve, startService, type Service } from './support.js';

closeServersAfterTests();
stopClock();

const first = 'https://first.example';
const other = 'https://other.example';
const lasting = 'https://lasting.example';
let server: AuthorizationServer;
let agent: Service;

beforeAll(async () => {
  server = await startAuthorizationServer({
    tokenExchange: true,
    clients: ['agent-a', 'agent-b', 'agent-x'].map(exchangingClient),
  });
  for (const resource of [first, other]) server.addResource(resource);
  server.addResource(lasting, { accessTokenTTL: 10 * TOKEN_TTL });
  agent = await startService(server);
});

const client = (changes: Partial<DelegationClientOptions> = {}) =>
  new DelegationClient({ issuer: server.issuer, clientId: 'agent-a', clientSecret: SECRET, ...changes });
const tokenOf = (login: string, scope?: string) => personToken(server, login, first, scope);

describe('exchange', () => {
  it('gives a token of the caller for the next agent alone, that says who acts', async () => {
    const subjectToken = await tokenOf('ada');
    const token = await client().exchange({ subjectToken, resource: agent.resource, scopes: ['ask'] });
    expect(decodeJwt(token.accessToken)).toMatchObject({
      sub: 'ada',
      aud: agent.resource,
      scope: 'ask',
      act: { sub: 'agent-a' },
    });
    expect(token.scopes).toEqual(['ask']);
    expect(token.expiresAt).toBeGreaterThan(Date.now());
  });

  it('asks by audience', async () => {
    const token = await client().exchange({ subjectToken: await tokenOf('ada'), audience: other });
    expect(decodeJwt(token.accessToken).aud).toBe(other);
  });

  it('has fewer scopes than the caller, where fewer are asked for', async () => {
    const subjectToken = await tokenOf('ada', 'ask admin');
    const { accessToken } = await client().exchange({ subjectToken, audience: other, scopes: ['ask'] });
    expect(decodeJwt(subjectToken).scope).toBe('ask admin');
    expect(decodeJwt(accessToken).scope).toBe('ask');
  });

  it('names the actor by a token of its own', async () => {
    const actor = clientCredentials({
      issuer: server.issuer,
      clientId: 'agent-b',
      clientSecret: SECRET,
      scopes: ['ask'],
      resource: first,
    });
    const { accessToken } = await client({ actor }).exchange({
      subjectToken: await tokenOf('ada'),
      audience: other,
    });
    expect(decodeJwt(accessToken).act).toEqual({ sub: 'agent-b' });
  });

  it('works by jwt-bearer', async () => {
    const delegation = client({
      grant: 'jwt-bearer',
      tokenParameters: { requested_token_use: 'on_behalf_of' },
    });
    const { accessToken } = await delegation.exchange({
      subjectToken: await tokenOf('ada'),
      audience: other,
      scopes: ['ask'],
    });
    expect(decodeJwt(accessToken)).toMatchObject({ sub: 'ada', aud: other });
  });

  it.each([
    ['a token that is none', async () => ({ subjectToken: 'made-up-token' })],
    [
      'more scopes than the caller has',
      async () => ({ subjectToken: await tokenOf('ada'), scopes: ['admin'] }),
    ],
    [
      'an agent that nobody knows',
      async () => ({ subjectToken: await tokenOf('ada'), audience: 'urn:nobody' }),
    ],
  ])('is refused by the server for %s', async (_, make) => {
    const options = { audience: other, ...(await make()) };
    const error = await failure(client().exchange(options), options.subjectToken, SECRET);
    expect(error).toMatchObject({ code: 'TOKEN_REFUSED' });
  });

  it('is tried again after it failed', async () => {
    const delegation = client();
    const options = { subjectToken: await tokenOf('ada'), audience: other };
    server.setDown(true);
    expect(await failure(delegation.exchange(options))).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    server.setDown(false);
    expect(decodeJwt((await delegation.exchange(options)).accessToken).sub).toBe('ada');
  });

  it.each([undefined, null, '', 'two words', 'a\r\nb', 7, { token: 'x' }])(
    'asks nobody when the caller has no token, but %j',
    async (subjectToken) => {
      const before = server.calls('/token');
      const error = await failure(client().exchange({ subjectToken, audience: other }));
      expect(error).toMatchObject({ code: 'LOGIN_REQUIRED' });
      expect(server.calls('/token')).toBe(before);
    },
  );

  it('is for one agent', async () => {
    const error = await failure(client().exchange({ subjectToken: await tokenOf('ada') }));
    expect(error).toMatchObject({ code: 'INVALID_OPTION' });
  });
});

describe('exchanged tokens', () => {
  it('are kept by caller, agent and scopes', async () => {
    const delegation = client();
    const [ada, bob] = [await tokenOf('ada', 'ask admin'), await tokenOf('bob', 'ask admin')];
    const before = server.calls('/token');
    const asked = [
      { subjectToken: ada, audience: other },
      { subjectToken: bob, audience: other },
      { subjectToken: ada, audience: agent.resource },
      { subjectToken: ada, resource: other },
      { subjectToken: ada, audience: other, scopes: ['ask'] },
      { subjectToken: ada, audience: other, scopes: ['ask', 'admin'] },
    ];
    const tokens = new Set<string>();
    for (const options of [...asked, ...asked]) tokens.add((await delegation.exchange(options)).accessToken);
    await delegation.exchange({ subjectToken: ada, audience: other, scopes: ['admin', 'ask'] });
    expect(tokens.size).toBe(asked.length);
    expect(server.calls('/token')).toBe(before + asked.length);
  });

  it('have no more scopes than this call asked for, whatever an earlier one did', async () => {
    const delegation = client();
    const subjectToken = await tokenOf('ada', 'ask admin');
    const scopeOf = async (scopes: readonly string[]) =>
      decodeJwt((await delegation.exchange({ subjectToken, audience: other, scopes })).accessToken).scope;
    for (const scopes of [['admin', 'ask'], ['ask'], ['admin'], ['admin', 'ask'], ['ask']]) {
      expect(await scopeOf(scopes)).toBe(scopes.join(' '));
    }
  });

  it('are never crossed, in a thousand concurrent calls of two callers', async () => {
    const delegation = client();
    const callers = [
      { login: 'ada', subjectToken: await tokenOf('ada') },
      { login: 'bob', subjectToken: await tokenOf('bob') },
    ] as const;
    const before = server.calls('/token');
    const calls = Array.from({ length: 1_000 }, (_, index) => callers[index % 2 === 0 ? 0 : 1]);
    const subjects = await Promise.all(
      calls.map(async ({ subjectToken }) => {
        const { accessToken } = await delegation.exchange({ subjectToken, audience: other });
        return decodeJwt(accessToken).sub;
      }),
    );
    expect(subjects).toEqual(calls.map(({ login }) => login));
    expect(server.calls('/token')).toBe(before + 2);
  });

  it('are exchanged anew before they end', async () => {
    const delegation = client();
    const options = { subjectToken: await serviceToken(server, lasting), audience: other };
    const token = await delegation.exchange(options);
    passTime(TOKEN_TTL - 60);
    expect(await delegation.exchange(options)).toEqual(token);
    passTime(40);
    expect((await delegation.exchange(options)).accessToken).not.toBe(token.accessToken);
  });
});

describe('connect', () => {
  it('calls the next agent for the caller', async () => {
    const next = await client().connect(agent.url, {
      subjectToken: await tokenOf('ada'),
      resource: agent.resource,
    });
    expect(await ask(next)).toBe('ada');
    expect(agent.principals.at(-1)).toMatchObject({ subject: 'ada', actor: { subject: 'agent-a' } });
  });

  it('asks for a token for the URL it is given, unless told otherwise', async () => {
    const subjectToken = await tokenOf('ada');
    const next = await client().connect(agent.url, { subjectToken });
    expect(await failure(ask(next))).toMatchObject({ code: 'TOKEN_REFUSED' });
    server.addResource(agent.url, { audience: agent.resource });
    const expecting = await client().connect(agent.url, { subjectToken, expectedAudience: agent.resource });
    expect(await ask(expecting)).toBe('ada');
  });

  it('keeps concurrent callers apart', async () => {
    const delegation = client();
    const logins = ['ada', 'bob', 'cyd'];
    const tokens = await Promise.all(logins.map((login) => tokenOf(login)));
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const subjectToken = tokens[index % 3];
        return ask(await delegation.connect(agent.url, { subjectToken, resource: agent.resource }));
      }),
    );
    expect(answers).toEqual(Array.from({ length: 60 }, (_, index) => logins[index % 3]));
  });

  it('exchanges once more when the agent refuses the token, and gives back the second refusal', async () => {
    const good = new Set<string>();
    const seen: string[] = [];
    const strict = await startService(server, {
      security: () =>
        new AgentSecurity<string>({ denials: { messages: 'http' } })
          .addSecurityScheme(
            'token',
            httpBearer({
              validator: (token) => {
                seen.push(token);
                return good.has(token) ? { principal: 'ada' } : undefined;
              },
            }),
          )
          .addSecurityRequirement({ token: [] }),
    });
    const subjectToken = await tokenOf('ada');
    const before = server.calls('/token');
    const next = await client().connect(strict.url, {
      subjectToken,
      resource: strict.resource,
      scopes: ['ask'],
    });
    await failure(ask(next));
    expect(new Set(seen).size).toBe(2);
    // An agent that refuses everything costs no exchange with every call.
    await failure(ask(next));
    expect(server.calls('/token')).toBe(before + 2);
    good.add(seen.at(-1) ?? '');
    expect(await ask(next)).toBe('ada');
  });

  it('calls nobody without the token, whatever else would be enough', async () => {
    const key = createApiKey('partner');
    const lenient = await startService(server, {
      security: () =>
        new AgentSecurity<string>()
          .addSecurityScheme(
            'key',
            apiKeyScheme({ in: 'header', name: 'X-API-Key', keys: [{ key, owner: 'a' }] }),
          )
          .addSecurityRequirement({ key: [] })
          .addSecurityRequirement({}),
    });
    const subjectToken = await tokenOf('ada');
    const options = { subjectToken, resource: lenient.resource, credentials: [apiKey(key)] };
    const error = await failure(client().connect(lenient.url, options), subjectToken, key);
    expect(error).toMatchObject({
      code: 'NO_ALTERNATIVE',
      message: expect.stringContaining('caller') as string,
    });
    expect(lenient.received.map(({ method }) => method)).toEqual(['GET']);
  });

  it('meets an alternative that wants the token among others, before one that wants only the others', async () => {
    const key = createApiKey('partner');
    const both = await startService(server, {
      security: () =>
        new AgentSecurity<string>()
          .addSecurityScheme(
            'user',
            httpBearer({ validator: (token) => ({ principal: String(decodeJwt(token).sub) }) }),
          )
          .addSecurityScheme(
            'key',
            apiKeyScheme({ in: 'header', name: 'X-API-Key', keys: [{ key, owner: 'a' }] }),
          )
          .addSecurityRequirement({ key: [] })
          .addSecurityRequirement({ key: [], user: [] }),
    });
    const next = await client().connect(both.url, {
      subjectToken: await tokenOf('ada'),
      resource: both.resource,
      credentials: [apiKey(key)],
    });
    await ask(next);
    expect(both.received.at(-1)?.headers).toMatchObject({
      'x-api-key': key,
      authorization: expect.stringMatching(/^Bearer /) as string,
    });
  });

  it('fetches a card once for many callers', async () => {
    const busy = await startService(server);
    const delegation = client();
    const subjectToken = await tokenOf('ada');
    const options = { subjectToken, resource: busy.resource };
    await Promise.all(Array.from({ length: 20 }, () => delegation.connect(busy.url, options)));
    await delegation.connect(busy.url, options);
    expect(busy.received).toHaveLength(1);
  });

  it('sends the token to no other origin', async () => {
    const evil = await startService(server);
    const luring = await startService(server, {
      card: {
        supportedInterfaces: [
          { url: evil.jsonRpcUrl, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: '' },
        ],
      },
    });
    const subjectToken = await tokenOf('ada');
    const connecting = client().connect(luring.url, { subjectToken, resource: luring.resource });
    expect(await failure(connecting)).toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(evil.received).toEqual([]);
  });

  it('never shows the caller’s token to the agent', async () => {
    const subjectToken = await tokenOf('ada');
    const next = await client().connect(agent.url, { subjectToken, resource: agent.resource });
    const from = agent.received.length;
    await ask(next);
    const seen = JSON.stringify(agent.received.slice(from));
    expect(seen).toContain('Bearer ');
    expect(seen).not.toContain(subjectToken);
  });

  it('has no scopes beyond policy', async () => {
    const subjectToken = await tokenOf('ada');
    const options = { subjectToken, resource: agent.resource, policy: { scopes: ['other'] } };
    expect(await failure(client().connect(agent.url, options))).toMatchObject({ code: 'NO_ALTERNATIVE' });
  });
});

it('an alias is called with the client certificate and the token of the caller', async () => {
  const pki = await createDevelopmentPki({ clients: ['agent-a'], alias: 'billing' });
  onTestFinished(() => rm(pki.folder, { recursive: true }));
  const trust = certificateTrust({ folder: pki.knownClients });
  const app = express();
  const { server: running } = await serveMutualTls(app, { ...pki.server, trust, port: 0 });
  onTestFinished(async () => {
    running.closeAllConnections();
    await once(running.close(), 'close');
  });
  const url = `https://localhost:${String((running.address() as AddressInfo).port)}`;
  const resource = `${url}/a2a`;
  server.addResource(resource);
  const { clientCredentials: user } = await oauth2FromIssuer({
    issuer: server.issuer,
    flows: ['clientCredentials'],
    scopes: { ask: 'Ask.' },
    audience: resource,
  });
  const security = new AgentSecurity<string>({ resource })
    .addSecurityScheme('user', user)
    .addSecurityScheme('agent', mutualTls({ trust }))
    .addSecurityRequirement({ user: ['ask'], agent: [] });
  app.use(
    serve({ card: agentCard(url), security }, async (context) =>
      [...principalsOf(context).values()].map(({ subject }) => subject).join(' and '),
    ),
  );
  await writeFile(join(pki.knownServers, 'billing.json'), JSON.stringify({ url }));
  const { certificate = '', key = '' } = pki.clients['agent-a'] ?? {};
  const discovery = new ServiceDiscovery({ aliasFolder: pki.knownServers, tls: { certificate, key } });
  const next = await client({ discovery }).connect('billing', {
    subjectToken: await tokenOf('ada'),
    resource,
  });
  expect(await ask(next)).toMatch(/^ada and .*agent-a/);
});

it('the client certificate is for aliases with an authority, whatever a card asks for', async () => {
  const greedy = await startService(server, {
    security: () =>
      new AgentSecurity<string>()
        .addSecurityScheme('user', httpBearer({ validator: () => ({ principal: 'ada' }) }))
        .addSecurityScheme(
          'agent',
          mutualTls({ trust: { verify: () => Promise.reject(new Error()) } as never }),
        )
        .addSecurityRequirement({ user: [], agent: [] }),
  });
  const tls = { certificate: 'certificate.pem', key: 'key.pem' };
  const discovery = new ServiceDiscovery({ aliases: { greedy: { url: greedy.url } }, tls });
  const options = { subjectToken: await tokenOf('ada'), resource: greedy.resource };
  for (const name of ['greedy', greedy.url]) {
    const error = await failure(client({ discovery }).connect(name, options));
    expect(error).toMatchObject({ code: 'NO_ALTERNATIVE' });
  }
});

it('source() is one credential among others', async () => {
  const user = client().source({ subjectToken: await tokenOf('ada'), resource: agent.resource });
  expect(await ask(await connect(agent.url, { credentials: { user } }))).toBe('ada');
});

describe('a chain', () => {
  const startChain = async (
    ends: { maxDelegationDepth?: number; allowedActors?: readonly string[] } = {},
  ) => {
    const last = await startService(server, ends);
    const middle = await startService(server, {
      work: async (context) =>
        ask(
          await client({ clientId: 'agent-b' }).connect(last.url, {
            subjectToken: callerCredential(context, 'user'),
            resource: last.resource,
          }),
        ),
    });
    const start = await startService(server, {
      work: async (context) =>
        ask(
          await client().connect(middle.url, {
            subjectToken: callerCredential(context, 'user'),
            resource: middle.resource,
          }),
        ),
    });
    const askAs = async (login: string) => {
      const token = await personToken(server, login, start.resource);
      return ask(await connect(start.url, { credentials: [bearer(token)] }));
    };
    return { start, middle, last, askAs };
  };

  it('of three agents is read back by the last, actor after actor', async () => {
    const { start, middle, last, askAs } = await startChain();
    expect(await askAs('ada')).toBe('ada');
    expect(start.principals[0]).toMatchObject({ subject: 'ada', actor: undefined });
    expect(middle.principals[0]).toMatchObject({
      subject: 'ada',
      actor: { subject: 'agent-a', actor: undefined },
    });
    expect(last.principals[0]).toMatchObject({
      subject: 'ada',
      actor: { subject: 'agent-b', actor: { subject: 'agent-a', actor: undefined } },
    });
  });

  it('that is longer than the last agent allows is refused there', async () => {
    const { middle, last, askAs } = await startChain({ maxDelegationDepth: 1 });
    expect(await askAs('ada')).toContain('Authentication failed');
    expect(middle.principals).toHaveLength(1);
    expect(last.principals).toEqual([]);
    expect(last.refusals).toContainEqual(expect.stringContaining('maxDelegationDepth'));
  });

  it('that ends with an actor whom the last agent does not allow is refused there', async () => {
    const { last, askAs } = await startChain({ allowedActors: ['agent-a'] });
    expect(await askAs('ada')).toContain('Authentication failed');
    expect(last.principals).toEqual([]);
    expect(last.refusals).toContainEqual(expect.stringContaining('"agent-b" may not act for others'));
    const allowed = await startChain({ allowedActors: ['agent-b'] });
    expect(await allowed.askAs('ada')).toBe('ada');
  });
});

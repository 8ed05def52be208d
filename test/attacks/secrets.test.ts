import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { inspect } from 'node:util';

import { biscuit } from '@a2a-auth/biscuit';
import { passportScheme } from '@a2a-auth/passport';
import {
  AgentSecurity,
  apiKey,
  certificateTrust,
  createDevelopmentPki,
  httpBasic,
  httpBearer,
  jwt,
  mutualTls,
  type DecisionEvent,
  type SecurityScheme,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import { agentServices } from '@a2a-auth/server/grpc';
import type { A2ARequestHandler, RequestContext } from '@a2a-js/sdk/server';
import express from 'express';
import { SignJWT } from 'jose';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { issuer as biscuitIssuer } from '../../packages/biscuit/test/support/issuer.js';
import { agentCard, createAgent } from '../support/agent.js';
import { combinations } from '../support/client.js';
import { callGrpc, closeGrpcAfterTests, grpcCard, listenGrpc, methods, versions } from '../support/grpc.js';
import { callsOf, send } from '../support/operations.js';
import { closeServersAfterTests, listen } from '../support/server.js';

closeGrpcAfterTests();
closeServersAfterTests();

// Whatever a caller sends as a credential, good or bad: nothing of it may be where people, programs or agents read.

type Headers = Readonly<Record<string, string>>;

const SECRET = 'hunter2';
const password = `${SECRET}-password`;
const key = `${SECRET}-key-0123456789`;
const hmac = randomBytes(32);
const authority = biscuitIssuer();
const biscuitToken = authority.token('user("ada"); right("SendMessage");');
const foreign = generateKeyPairSync('ed25519');

const claims = (subject: string) =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setIssuer('https://issuer.example')
    .setAudience('the agent')
    .setSubject(subject)
    .setExpirationTime('1h');
const goodJwt = await claims('ada').sign(hmac);
const expiredJwt = await claims('ada').setExpirationTime(1).sign(hmac);
const forgedJwt = await new SignJWT({ sub: 'ada' })
  .setProtectedHeader({ alg: 'EdDSA' })
  .sign(foreign.privateKey);

/** A verifier that quotes what it is given, as careless ones do. */
const careless = new BearerStrategy((token, done) => {
  if (token === `${SECRET}-good`) done(null, { id: 'ada' });
  else if (token === `${SECRET}-down`) done(new Error(`Cannot look up ${token}`));
  else throw new Error(`Who is ${token}?`);
});

const basic = (credentials: string) => ({
  authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
});
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const flipped = (token: string) => `${token.slice(0, -6)}AAAA${token.slice(-2)}`;

/** Each scheme, with what callers send to it. */
const schemes: Readonly<Record<string, readonly [() => SecurityScheme, readonly Headers[]]>> = {
  'an API key': [
    () => apiKey({ in: 'header', name: 'X-API-Key', keys: [key] }),
    [{ 'x-api-key': key }, { 'x-api-key': `${key}x` }, { 'x-api-key': `${key} ${key}` }],
  ],
  'a password': [
    () =>
      httpBasic({
        validator: ({ username, password: given }) => {
          if (username === 'down') throw new Error(`Cannot check ${given}`);
          return given === password ? { principal: username } : undefined;
        },
      }),
    [basic(`ada:${password}`), basic(`ada:${password}x`), basic(`down:${password}`), basic(password)],
  ],
  'a JWT': [
    () =>
      httpBearer({
        verifier: jwt({ secret: hmac, issuer: 'https://issuer.example', audience: 'the agent' }),
      }),
    [goodJwt, expiredJwt, forgedJwt, flipped(goodJwt), `${SECRET}.${SECRET}.${SECRET}`].map(bearer),
  ],
  'a biscuit': [
    () =>
      biscuit({
        rootKeys: authority.rootKey,
        authorizer: 'allow if operation($operation), right($operation)',
        limits: { time: 5000 },
      }),
    [biscuitToken, flipped(biscuitToken), biscuitIssuer().token('user("eve");'), SECRET].map(bearer),
  ],
  'a Passport strategy': [
    () => passportScheme(careless, { type: 'http', scheme: 'Bearer' }),
    [`${SECRET}-good`, `${SECRET}-down`, `${SECRET}-bad`].map(bearer),
  ],
};

/** Everything that must not be seen of what was sent. */
function secretsIn(headers: Headers): readonly string[] {
  return Object.values(headers).flatMap((value) => {
    const credential = value.replace(/^(?:Basic|Bearer) /, '');
    // The signature is what makes a JWT good.
    return [credential, ...credential.split('.').slice(2)];
  });
}

const seen: unknown[] = [];
const log = (...args: unknown[]) => {
  seen.push(args);
  return true;
};
beforeEach(() => {
  seen.length = 0;
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    vi.spyOn(console, method).mockImplementation(log);
  }
  vi.spyOn(process, 'emitWarning').mockImplementation((...args: unknown[]) => void log(...args));
});
afterEach(() => {
  vi.restoreAllMocks();
});

function create(scheme: SecurityScheme, card: ReturnType<typeof agentCard>) {
  const security = new AgentSecurity({ onDecision: (event: DecisionEvent) => void log(event) })
    .addSecurityScheme('it', scheme)
    .addSecurityRequirement({ it: [] });
  const { requestHandler, executor } = createAgent(card);
  return {
    served: { security, requestHandler: requestHandler as A2ARequestHandler },
    contexts: () => executor.calls as readonly RequestContext[],
  };
}

/** As JSON, and as somebody would see it in a log. */
function shown(values: readonly unknown[]): string {
  const texts = values.map((value) => {
    const logged = inspect(value, { depth: 12, maxArrayLength: null, maxStringLength: null });
    return `${logged}\n${JSON.stringify(value, (_, item: unknown) => (item instanceof AbortSignal ? null : item))}`;
  });
  return texts.join('\n');
}

function expectNothingOf(headers: Headers, values: readonly unknown[]): void {
  expect(values.length).toBeGreaterThan(0);
  const text = shown(values);
  for (const secret of secretsIn(headers)) expect(text).not.toContain(secret);
  expect(text).not.toContain(SECRET);
}

const cases = Object.entries(schemes).flatMap(([name, [scheme, sent]]) =>
  sent.map((headers, index) => ({ name, index, scheme, headers })),
);

describe.each(cases)('$name, number $index', ({ scheme, headers, index }) => {
  it.each(versions)('is nowhere to be seen over gRPC %s', async (version) => {
    const { server, address } = await listenGrpc();
    const agent = create(scheme(), grpcCard(address));
    for (const { definition, implementation } of agentServices(agent.served))
      server.addService(definition, implementation);
    for (const { method, request } of methods[version].slice(0, 3)) {
      const outcome = await callGrpc(address, version, method, request, headers);
      seen.push({ ...outcome, trailers: outcome.trailers.getMap() });
    }
    // The first of them is a good one.
    expect(agent.contexts().length > 0).toBe(index === 0);
    expectNothingOf(headers, [...seen, ...agent.contexts()]);
  });

  const servers = {
    async express() {
      const { url, serve } = await listen();
      const agent = create(scheme(), agentCard(url));
      serve(express().use(agentRouter(agent.served)));
      return { ...agent, url, fetchImpl: fetch };
    },
    fetch() {
      const url = 'http://agent.example';
      const agent = create(scheme(), agentCard(url));
      const handle = agentFetchHandler(agent.served);
      const fetchImpl: typeof fetch = (input, init) => handle(new Request(input, init));
      return Promise.resolve({ ...agent, url, fetchImpl });
    },
  };
  const ways = (['express', 'fetch'] as const).flatMap((binding) =>
    combinations.map((combination) => ({ ...combination, combination, with: binding })),
  );
  it.each(ways)('is nowhere to be seen over $binding $version with $with', async (way) => {
    const agent = await servers[way.with]();
    vi.stubGlobal('fetch', agent.fetchImpl);
    const calls = callsOf(way.combination).filter(
      (call, index, all) => all.findIndex(({ operation }) => operation === call.operation) === index,
    );
    for (const call of calls.slice(0, 3)) {
      const path = way.combination.binding === 'JSONRPC' ? '/a2a/jsonrpc' : '/a2a/rest';
      const response = await send(`${agent.url}${path}`, way.combination, call, headers);
      seen.push(Object.fromEntries(response.headers), await response.text());
    }
    vi.unstubAllGlobals();
    // The first of them is a good one.
    expect(agent.contexts().length > 0).toBe(index === 0);
    expectNothingOf(headers, [...seen, ...agent.contexts()]);
  });
});

describe('a client certificate', () => {
  let pki: Awaited<ReturnType<typeof createDevelopmentPki>>;
  beforeAll(async () => {
    pki = await createDevelopmentPki({ clients: ['ada'] });
  });
  afterAll(() => rm(pki.folder, { recursive: true }));

  it('is in no event and no answer, as PEM or otherwise, and the executor sees no header with it', async () => {
    const { certificate } = pki.clients.ada ?? { certificate: '' };
    const { raw } = new X509Certificate(await readFile(certificate));
    const agent = create(
      mutualTls({ trust: certificateTrust({ folder: pki.knownClients }) }),
      agentCard('http://agent.example'),
    );
    const handle = agentFetchHandler({
      ...agent.served,
      connection: () => ({ clientCertificate: { der: raw } }),
    });
    const [call] = callsOf({ binding: 'JSONRPC', version: '1.0' });
    const response = await handle(
      new Request('http://agent.example/a2a/jsonrpc', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
        body: JSON.stringify(call?.body),
      }),
    );
    seen.push(Object.fromEntries(response.headers), await response.text());
    expect(agent.contexts()).toHaveLength(1);
    const text = shown([...seen, ...agent.contexts()]);
    for (const form of ['BEGIN', raw.toString('base64'), raw.toString('hex')])
      expect(text).not.toContain(form);
  });
});

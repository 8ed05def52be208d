import { DelegationClient, bearer, connect } from '@a2a-auth/client';
import {
  agentServiceConfig,
  callerCredential,
  principalOf,
  type AgentServiceOptions,
} from '@a2a-auth/server';
import { beforeAll, describe, expect, it } from 'vitest';

import { failure } from '../client-oauth/support.js';
import {
  SECRET,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { serviceToken } from '../support/oauth/clients.js';
import { closeServersAfterTests, listen } from '../support/oauth/servers.js';
import { ask, exchangingClient, personToken, serve } from './support.js';

closeServersAfterTests();

let server: AuthorizationServer;
beforeAll(async () => {
  server = await startAuthorizationServer({
    tokenExchange: true,
    clients: ['agent-a', 'agent-b'].map(exchangingClient),
  });
});

const optionsFor = (
  url: string,
  clientId: string,
): AgentServiceOptions<'authorizationCode' | 'clientCredentials'> => ({
  name: clientId,
  description: 'An agent.',
  url,
  issuer: server.issuer,
  clientId,
  clientSecret: SECRET,
  scopes: { ask: 'Ask.' },
  skills: [{ id: 'answer', name: 'Answer', description: 'Answers.', tags: ['answers'] }],
});

/** Two agents, each out of one object; the first asks the second for its caller. */
async function startTwo(
  changes: Partial<AgentServiceOptions<'authorizationCode' | 'clientCredentials'>> = {},
) {
  const [a, b] = [await listen(), await listen()];
  for (const { url } of [a, b]) server.addResource(`${url}/a2a`);
  const second = await agentServiceConfig({ ...optionsFor(b.url, 'agent-b'), ...changes });
  b.serve(
    serve(second, async (context) => {
      const { subject, actor } = principalOf(context);
      return `${subject} by ${actor?.subject ?? 'nobody'}`;
    }),
  );
  const first = await agentServiceConfig(optionsFor(a.url, 'agent-a'));
  const delegation = new DelegationClient(first.delegation);
  a.serve(
    serve(first, async (context) =>
      ask(
        await delegation.connect(b.url, {
          subjectToken: callerCredential(context, principalOf(context).schemeId ?? ''),
          resource: `${b.url}/a2a`,
        }),
      ),
    ),
  );
  return { a, b, first };
}

it('makes an agent that takes its callers’ tokens, and delegates', async () => {
  const { a } = await startTwo();
  const token = await personToken(server, 'ada', `${a.url}/a2a`);
  expect(await ask(await connect(a.url, { credentials: [bearer(token)] }))).toBe('ada by agent-a');
  const service = await serviceToken(server, `${a.url}/a2a`);
  expect(await ask(await connect(a.url, { credentials: [bearer(service)] }))).toBe('service by agent-a');
});

it('limits delegation', async () => {
  const { a } = await startTwo({ maxDelegationDepth: 0 });
  const token = await personToken(server, 'ada', `${a.url}/a2a`);
  expect(await ask(await connect(a.url, { credentials: [bearer(token)] }))).toContain(
    'Authentication failed',
  );
});

it('takes no token for another agent, and none that lacks a scope', async () => {
  const { a, b } = await startTwo();
  const foreign = await personToken(server, 'ada', `${b.url}/a2a`);
  expect(await ask(await connect(a.url, { credentials: [bearer(foreign)] }))).toContain(
    'Authentication failed',
  );
  const weak = await personToken(server, 'ada', `${a.url}/a2a`, 'admin');
  expect(await ask(await connect(a.url, { credentials: [bearer(weak)] }))).toContain('ask');
});

it('publishes what it was given', async () => {
  const { first, a } = await startTwo();
  expect(first.security.publish(first.card)).toMatchObject({
    name: 'agent-a',
    version: '1.0.0',
    supportedInterfaces: expect.arrayContaining([
      { url: `${a.url}/a2a/jsonrpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: '' },
    ]) as unknown,
    skills: [{ id: 'answer', examples: [] }],
    securityRequirements: [
      { schemes: { authorizationCode: { list: ['ask'] } } },
      { schemes: { clientCredentials: { list: ['ask'] } } },
    ],
  });
  expect(first.delegation).toEqual({ issuer: server.issuer, clientId: 'agent-a', clientSecret: SECRET });
});

it('takes the audience of a preset', async () => {
  const audience = 'https://audience.example';
  const { url, serve: serveAt } = await listen();
  server.addResource(audience);
  const config = await agentServiceConfig({
    ...optionsFor(url, 'agent-a'),
    issuer: { issuer: server.issuer, audience },
    flows: ['clientCredentials'],
  });
  serveAt(serve(config, async (context) => principalOf(context).subject));
  const token = await serviceToken(server, audience);
  expect(await ask(await connect(url, { credentials: [bearer(token)] }))).toBe('service');
  expect(config.delegation.issuer).toBe(server.issuer);
});

describe('options are checked', () => {
  it.each<[string, object]>([
    ['name', { name: '' }],
    ['description', { description: undefined }],
    ['clientId', { clientId: undefined }],
    ['clientSecret', { clientSecret: '' }],
    ['url', { url: 'https://agent.example/path' }],
    ['url', { url: 'http://agent.example' }],
    ['url', { url: undefined }],
    ['scopes', { scopes: {} }],
    ['scopes', { scopes: undefined }],
    ['issuer', { issuer: undefined }],
    ['issuer', { issuer: null }],
    ['flows', { flows: [] }],
    ['maxDelegationDepth', { maxDelegationDepth: -1 }],
  ])('%s', async (name, changes) => {
    const options = { ...optionsFor('https://agent.example', 'agent-a'), ...changes };
    expect(await failure(agentServiceConfig(options as never), SECRET)).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(name) as string,
    });
  });
});

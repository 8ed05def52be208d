import { AgentSecurity, ConfigurationError, oauth2ClientCredentials } from '@a2a-auth/server';
import { agentFetchHandler, type CallerConnection } from '@a2a-auth/server/fetch';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { describe, expect, it, vi } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { combinations } from '../support/client.js';
import { createSecurity, denied, granted } from '../support/credentials.js';
import { callsOf, jsonRpc, message, rowOf } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen } from '../support/server.js';
import { createFetchAgent, listenerOf } from './support.js';

closeServersAfterTests();
muteConsole();

const v1 = { 'a2a-version': '1.0' };

/** A granted caller is answered by the agent, and a denied one is not, on both bindings in both versions. */
async function expectProtected(
  agent: ReturnType<typeof createFetchAgent>,
  ask: (path: string, init: RequestInit) => Promise<Response>,
  paths: Readonly<Record<'JSONRPC' | 'HTTP+JSON', string>>,
): Promise<void> {
  for (const { binding, version } of combinations) {
    const call = callsOf({ binding, version }).find((candidate) => rowOf(candidate) === 'SendMessage');
    const send = (headers: Readonly<Record<string, string>>) =>
      ask(`${paths[binding]}${call?.path ?? ''}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'a2a-version': version, ...headers },
        body: JSON.stringify(call?.body),
      });
    const executions = agent.executor.calls.length;
    expect(await (await send(denied.invalid)).text()).toMatch(/auth-required|AUTH_REQUIRED/);
    expect(agent.executor.calls).toHaveLength(executions);
    expect(await (await send(granted.partner)).text()).toContain('Done.');
    expect(agent.executor.calls).toHaveLength(executions + 1);
  }
}

const defaultPaths = { JSONRPC: '/a2a/jsonrpc', 'HTTP+JSON': '/a2a/rest' };

describe('the paths', () => {
  it('are those of agentRouter', async () => {
    const agent = createFetchAgent();
    await expectProtected(agent, (path, init) => agent.fetch(`${agent.url}${path}`, init), defaultPaths);
    expect((await agent.fetch(agent.cardUrl)).status).toBe(200);
  });

  it('are those of the options', async () => {
    const agent = createFetchAgent({ handler: { jsonRpcPath: '/rpc/', httpJsonPath: '/' } });
    const paths = { JSONRPC: '/rpc', 'HTTP+JSON': '' };
    await expectProtected(agent, (path, init) => agent.fetch(`${agent.url}${path}`, init), paths);
    expect((await agent.fetch(agent.cardUrl)).status).toBe(200);
  });

  it('are below the base path, the card as well', async () => {
    for (const basePath of ['/agents/one', '/agents/one/']) {
      const agent = createFetchAgent({ handler: { basePath } });
      await expectProtected(
        agent,
        (path, init) => agent.fetch(`${agent.url}/agents/one${path}`, init),
        defaultPaths,
      );
      expect((await agent.fetch(`${agent.url}/agents/one/.well-known/agent-card.json`)).status).toBe(200);
      for (const url of [agent.cardUrl, agent.jsonRpcUrl, `${agent.restUrl}/tasks`]) {
        expect((await agent.fetch(url)).status).toBe(404);
      }
    }
  });

  it.each([
    '/',
    '/a2a',
    '/a2a/jsonrpcs',
    '/a2a/jsonrpc/more',
    '/a2a/restaurant',
    '/.well-known',
    '/.well-known/agent-card.json/more',
    '/.well-known/oauth-protected-resource',
    '//a2a/jsonrpc',
    '/x/../y',
  ])('%s is none: 404', async (path) => {
    const { handle, executor } = createFetchAgent();
    const response = await handle(
      new Request(`http://agent.example${path}`, { method: 'POST', headers: granted.partner, body: '{}' }),
    );
    expect([response.status, await response.text()]).toEqual([404, '']);
    expect(executor.calls).toHaveLength(0);
  });

  it('take a slash at the end of the JSON-RPC path', async () => {
    const agent = createFetchAgent();
    const response = await agent.fetch(`${agent.jsonRpcUrl}/?a=b`, {
      method: 'POST',
      headers: { ...v1, ...granted.partner, 'content-type': 'application/json' },
      body: JSON.stringify(jsonRpc('SendMessage', { message: message['1.0'] })),
    });
    expect(await response.text()).toContain('Done.');
  });
});

it.each(['1.0', '0.3'])('a JSON-RPC request of %s without a body is none', async (version) => {
  const agent = createFetchAgent();
  const headers = { 'a2a-version': version, ...granted.partner };
  const response = await agent.fetch(agent.jsonRpcUrl, { method: 'POST', headers });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: -32600 } });
});

describe('methods', () => {
  const headers = { ...v1, ...granted.partner };

  it.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is none of JSON-RPC', async (method) => {
    const agent = createFetchAgent();
    const response = await agent.fetch(agent.jsonRpcUrl, { method, headers });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    if (method !== 'HEAD') expect(await response.json()).toMatchObject({ error: { code: -32600 } });
    // Whoever is not let in does not get that far.
    expect((await agent.fetch(agent.jsonRpcUrl, { method })).status).toBe(401);
  });

  it.each([
    ['PUT', '/message:send', 'POST'],
    ['POST', '/tasks', 'GET, HEAD'],
    ['DELETE', '/mine/tasks/t-1', 'GET, HEAD'],
    ['PUT', '/tasks/t-1:subscribe', 'GET, HEAD, POST'],
    ['PATCH', '/tasks/t-1/pushNotificationConfigs', 'GET, HEAD, POST'],
    ['POST', '/tasks/t-1/pushNotificationConfigs/c-1', 'GET, HEAD, DELETE'],
    ['OPTIONS', '/extendedAgentCard', 'GET, HEAD'],
  ])('%s is none of HTTP+JSON %s', async (method, path, allow) => {
    const agent = createFetchAgent();
    const response = await agent.fetch(`${agent.restUrl}${path}`, { method, headers });
    expect([response.status, response.headers.get('allow')]).toEqual([405, allow]);
    expect(response.headers.get('content-type')).toBe('application/a2a+json');
    expect(await response.json()).toMatchObject({ error: { code: 405, status: 'UNIMPLEMENTED' } });
    const legacy = { ...headers, 'a2a-version': '0.3' };
    const old = await agent.fetch(`${agent.restUrl}/v1/card`, { method: 'POST', headers: legacy });
    expect(await old.json()).toMatchObject({ code: -32601 });
    expect((await agent.fetch(`${agent.restUrl}${path}`, { method })).status).toBe(401);
  });

  it('are of no matter where nothing is', async () => {
    const agent = createFetchAgent();
    const response = await agent.fetch(`${agent.restUrl}/nothing`, { headers });
    expect([response.status, response.headers.get('allow')]).toEqual([404, null]);
    expect(await response.json()).toMatchObject({ error: { code: 404, status: 'NOT_FOUND' } });
  });
});

it.each([
  '/tasks?pageSize=1&pageSize=2',
  '/tasks?tenant=a&tenant=a',
  '/tasks/t-1?historyLength=1&%68istoryLength=2',
  '/v1/tasks/t-1?history_length=1&history_length=2',
])('a query parameter that is repeated is refused: %s', async (path) => {
  const agent = createFetchAgent();
  const version = path.startsWith('/v1') ? '0.3' : '1.0';
  const headers = { 'a2a-version': version, ...granted.partner };
  expect((await agent.fetch(`${agent.restUrl}${path}`, { headers })).status).toBe(400);
});

describe('a path that cannot be decoded', () => {
  it.each(['/tasks/%zz', '/%c0%af/tasks', '/tasks/t-1/pushNotificationConfigs/%'])(
    '%s is refused',
    async (path) => {
      const agent = createFetchAgent();
      for (const [prefix, version] of [
        ['', '1.0'],
        ['/v1', '0.3'],
      ] as const) {
        const headers = { 'a2a-version': version, ...granted.partner };
        const response = await agent.fetch(`${agent.restUrl}${prefix}${path}`, { headers });
        // 0.3 has no tenants, so that one path is none.
        expect([400, 404]).toContain(response.status);
        expect(await response.json()).toMatchObject(
          version === '1.0'
            ? { error: { code: 400, status: 'INVALID_ARGUMENT' } }
            : { code: expect.any(Number) as number },
        );
      }
    },
  );
});

describe('the protected resource metadata (RFC 9728)', () => {
  const withResource = (resource: string) =>
    new AgentSecurity({ resource })
      .addSecurityScheme(
        'service',
        oauth2ClientCredentials({
          tokenUrl: 'https://as.example/token',
          scopes: { ask: 'To ask' },
          verifier: { verify: () => ({ verified: false, reason: 'invalid', detail: 'Nobody passes.' }) },
        }),
      )
      .addSecurityRequirement({ service: ['ask'] });

  it.each([
    ['https://agent.example/a2a', '/.well-known/oauth-protected-resource/a2a'],
    ['https://agent.example/', '/.well-known/oauth-protected-resource'],
  ])('of %s is at %s, whatever the base path', async (resource, path) => {
    for (const basePath of ['', '/agents/one']) {
      const agent = createFetchAgent({
        security: withResource(resource),
        url: 'https://agent.example',
        handler: { basePath },
      });
      const response = await agent.fetch(`${agent.url}${path}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(response.headers.get('cache-control')).toBe('public, max-age=3600');
      expect(await response.json()).toMatchObject({ resource });
    }
  });

  it('is not elsewhere, and is only read', async () => {
    const agent = createFetchAgent({
      security: withResource('https://agent.example/a2a'),
      url: 'https://agent.example',
    });
    const url = `${agent.url}/.well-known/oauth-protected-resource`;
    expect((await agent.fetch(url)).status).toBe(404);
    expect((await agent.fetch(`${url}/a2a/jsonrpc`)).status).toBe(404);
    const head = await agent.fetch(`${url}/a2a`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const post = await agent.fetch(`${url}/a2a`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('is where the challenge says', async () => {
    const agent = createFetchAgent({
      security: withResource('https://agent.example/a2a'),
      url: 'https://agent.example',
    });
    const challenge = (await agent.fetch(`${agent.restUrl}/tasks`, { headers: v1 })).headers.get(
      'www-authenticate',
    );
    const [, address = ''] = /resource_metadata="([^"]*)"/.exec(challenge ?? '') ?? [];
    expect((await agent.fetch(address)).status).toBe(200);
  });
});

describe('the connection', () => {
  const list = (agent: ReturnType<typeof createFetchAgent>, headers = {}) =>
    agent.fetch(`${agent.restUrl}/tasks`, { headers: { ...v1, ...headers } });

  /** A scheme that lets the peer in whose address or certificate is right. */
  const byConnection = (what: 'peerAddress' | 'remoteAddress') =>
    new AgentSecurity()
      .addSecurityScheme('peer', {
        extract: (request) => request[what],
        verify: (address: string) =>
          address === '10.0.0.1'
            ? { verified: true, principal: { subject: address } }
            : { verified: false, reason: 'invalid', detail: 'unknown' },
      })
      .addSecurityRequirement({ peer: [] });

  it('is nothing but what the hook says', async () => {
    const headers = { 'x-forwarded-for': '10.0.0.1', 'x-real-ip': '10.0.0.1', forwarded: 'for=10.0.0.1' };
    for (const what of ['peerAddress', 'remoteAddress'] as const) {
      const other = what === 'peerAddress' ? 'remoteAddress' : 'peerAddress';
      const withHook = (connection?: CallerConnection) =>
        createFetchAgent({
          security: byConnection(what),
          handler: connection === undefined ? {} : { connection: () => connection },
        });
      expect((await list(withHook(), headers)).status).toBe(401);
      expect((await list(withHook({}), headers)).status).toBe(401);
      expect((await list(withHook({ [other]: '10.0.0.1' }), headers)).status).toBe(401);
      expect((await list(withHook({ [what]: '10.0.0.2' }), headers)).status).toBe(401);
      expect((await list(withHook({ [what]: '10.0.0.1' }))).status).toBe(200);
    }
  });

  it('brings the certificate of the caller', async () => {
    const security = new AgentSecurity()
      .addSecurityScheme('certificate', {
        declaration: { type: 'mutualTLS' },
        extract: (request) => request.clientCertificate,
        verify: ({ der }) => ({ verified: true, principal: { subject: Buffer.from(der).toString() } }),
      })
      .addSecurityRequirement({ certificate: [] });
    const connection = (request: Request): CallerConnection =>
      request.url.includes('tls') ? { clientCertificate: { der: new TextEncoder().encode('ada') } } : {};
    const agent = createFetchAgent({ security, handler: { connection } });
    expect((await agent.fetch(`${agent.restUrl}/tasks?tls`, { headers: v1 })).status).toBe(200);
    expect((await list(agent)).status).toBe(401);
  });

  it('is asked about once, and only when somebody wants to know', async () => {
    const connection = vi.fn(() => ({ peerAddress: '10.0.0.1', remoteAddress: '10.0.0.1' }));
    const known = createFetchAgent({ security: byConnection('peerAddress'), handler: { connection } });
    await list(known);
    expect(connection).toHaveBeenCalledOnce();
    connection.mockClear();
    await list(createFetchAgent({ handler: { connection } }), granted.partner);
    expect(connection).not.toHaveBeenCalled();
  });

  it('lets nobody in whose credential needs it when the hook fails', async () => {
    const connection = () => {
      throw new Error('The socket is gone.');
    };
    const agent = createFetchAgent({ security: byConnection('peerAddress'), handler: { connection } });
    expect((await list(agent)).status).toBe(401);
  });

  it('changes nothing for others when the hook fails, also where somebody listens', async () => {
    const connection = () => {
      throw new Error('The socket is gone.');
    };
    const events: unknown[] = [];
    const security = createSecurity({ onDecision: (event) => events.push(event) });
    const agent = createFetchAgent({ security, handler: { connection } });
    expect((await list(agent, granted.partner)).status).toBe(200);
    expect(events).toMatchObject([{ granted: true, remoteAddress: undefined }]);
  });

  it('can come from the server that Hono runs on', async () => {
    const { server, url } = await listen();
    const sockets = new WeakMap<Request, string | undefined>();
    const { requestHandler } = createAgent(agentCard(url));
    const addresses: (string | undefined)[] = [];
    const security = createSecurity({ onDecision: ({ remoteAddress }) => addresses.push(remoteAddress) });
    const handle = agentFetchHandler({
      security,
      requestHandler,
      connection: (request) => ({ remoteAddress: sockets.get(request) }),
    });
    const app = new Hono<{ Bindings: HttpBindings }>().all('/*', (context) => {
      sockets.set(context.req.raw, context.env.incoming.socket.remoteAddress);
      return handle(context.req.raw);
    });
    server.on('request', listenerOf(app.fetch));
    await fetch(`${url}/a2a/rest/tasks`, { headers: v1 });
    expect(addresses).toEqual(['127.0.0.1']);
  });
});

describe('a router of Hono', () => {
  it('serves the agent under a path of its own', async () => {
    const { server, url } = await listen();
    const agent = createFetchAgent({ url: `${url}/agents/one`, handler: { basePath: '/agents/one' } });
    const app = new Hono()
      .get('/health', (context) => context.text('well'))
      .all('/agents/one/*', (context) => agent.handle(context.req.raw));
    server.on('request', listenerOf(app.fetch));
    await expectProtected(agent, (path, init) => fetch(`${url}/agents/one${path}`, init), defaultPaths);
    expect((await fetch(`${url}/agents/one/.well-known/agent-card.json`)).status).toBe(200);
    expect(await (await fetch(`${url}/health`)).text()).toBe('well');
  });
});

it('the handler takes no notice of what frameworks pass besides the request', async () => {
  const { handle, cardUrl } = createFetchAgent();
  const GET = handle as (request: Request, context: unknown) => Promise<Response>;
  expect((await GET(new Request(cardUrl), { params: Promise.resolve({}) })).status).toBe(200);
});

it('what goes wrong in the agent itself is for the framework to answer', async () => {
  const agent = createFetchAgent();
  agent.requestHandler.getAgentCard = () => Promise.reject(new Error('The card is gone.'));
  await expect(agent.fetch(agent.cardUrl)).rejects.toThrow('The card is gone.');
  await expect(
    agent.fetch(`${agent.restUrl}/tasks`, { headers: { ...v1, ...granted.partner } }),
  ).rejects.toThrow('The card is gone.');
});

describe('options that would leave the agent deaf', () => {
  const { requestHandler } = createAgent(agentCard('http://agent.example'));
  const build = (options: object) => () =>
    agentFetchHandler({ security: createSecurity(), requestHandler, ...options });

  it.each([
    { jsonRpcPath: 'a2a' },
    { jsonRpcPath: '' },
    { httpJsonPath: 'rest' },
    { httpJsonPath: '/ä' },
    { httpJsonPath: '/rest?x' },
    { httpJsonPath: '/a/../b' },
    { basePath: 'agents' },
    { basePath: '//agents' },
    { bodyLimit: 0 },
    { bodyLimit: -1 },
    { bodyLimit: 1.5 },
    { bodyLimit: Number.NaN },
    { bodyLimit: '1mb' },
    { cardMaxAge: -1 },
    { cardMaxAge: Number.POSITIVE_INFINITY },
  ])('%j is refused', (options) => {
    expect(build(options)).toThrow(ConfigurationError);
  });

  it('no request handler is refused', () => {
    expect(build({ requestHandler: undefined })).toThrow(/request handler/);
  });

  it('a security without requirements is refused', () => {
    expect(build({ security: new AgentSecurity() })).toThrow(ConfigurationError);
  });
});

import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { deflateSync, gzipSync } from 'node:zlib';

import { AgentSecurity, httpBearer, type DecisionEvent } from '@a2a-auth/server';
import {
  agentCardRoute,
  agentRouter,
  authenticate,
  contextBuilder,
  userBuilder,
  type AuthenticateOptions,
} from '@a2a-auth/server/express';
import { jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { describe, expect, it } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { combinations, type Combination } from '../support/client.js';
import { createSecurity, denied, granted, type Headers } from '../support/credentials.js';
import { callsOf, jsonRpc, message, rowOf, send, type WireCall } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen, startAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

/** An agent whose application is put together by `build`. */
async function start(build: (app: Express, agent: ReturnType<typeof createAgent>) => void, path = '') {
  const { url, port, serve } = await listen();
  const agent = createAgent(agentCard(`${url}${path}`));
  const app = express();
  build(app, agent);
  serve(app);
  const urlOf = ({ binding }: Pick<Combination, 'binding'>) =>
    `${url}${path}/a2a/${binding === 'JSONRPC' ? 'jsonrpc' : 'rest'}`;
  return { ...agent, url, port, urlOf };
}

type Started = Awaited<ReturnType<typeof start>>;

interface Pieces {
  readonly security?: AgentSecurity<string>;
  readonly authenticate?: (options: AuthenticateOptions) => RequestHandler;
  readonly userBuilder?: typeof userBuilder;
  readonly protectedBy?: AgentSecurity<string>;
}

const passOn: RequestHandler = (_req, _res, next) => {
  next();
};

/** Everything that `agentRouter` does, by hand. */
function mountPieces(
  app: Express,
  { requestHandler }: ReturnType<typeof createAgent>,
  pieces: Pieces = {},
): void {
  const security = pieces.security ?? createSecurity();
  const handler = (pieces.protectedBy ?? security).protect(requestHandler);
  const sdkOptions = {
    requestHandler: handler,
    userBuilder: pieces.userBuilder ?? userBuilder,
    contextBuilder: contextBuilder(security),
    legacyCompat: { enabled: true },
  };
  const gate = (binding: Combination['binding']) =>
    (pieces.authenticate ?? authenticate)({ security, requestHandler: handler, binding });
  app.use('/.well-known/agent-card.json', agentCardRoute({ security, requestHandler: handler }));
  app.use('/a2a/jsonrpc', gate('JSONRPC'), jsonRpcHandler(sdkOptions));
  app.use('/a2a/rest', gate('HTTP+JSON'), restHandler(sdkOptions));
}

function sendMessage(combination: Combination): WireCall {
  const call = callsOf(combination).find((candidate) => rowOf(candidate) === 'SendMessage');
  if (call === undefined) throw new Error('There is no SendMessage.');
  return call;
}

/** A granted caller is answered by the agent, a denied one is not, on both bindings in both versions. */
async function expectProtected(running: Started, more: Headers = {}): Promise<void> {
  for (const combination of combinations) {
    const executions = running.executor.calls.length;
    const call = sendMessage(combination);
    const url = running.urlOf(combination);
    const refused = await send(url, combination, call, { ...denied.invalid, ...more });
    expect(await refused.text()).toMatch(/auth-required|AUTH_REQUIRED/);
    expect(running.executor.calls).toHaveLength(executions);
    const answered = await send(url, combination, call, { ...granted.partner, ...more });
    expect(await answered.text()).toContain('Done.');
    expect(running.executor.calls).toHaveLength(executions + 1);
  }
}

/** Not even a caller with good credentials gets to the agent. */
async function expectShut(running: Started): Promise<void> {
  for (const combination of combinations) {
    for (const call of callsOf(combination).filter(({ operation }) => operation !== 'unknown')) {
      const response = await send(running.urlOf(combination), combination, call, granted.partner);
      const body = await response.text();
      if (response.ok && rowOf(call) !== 'other') expect(body).toMatch(/auth-required|AUTH_REQUIRED/);
      else expect(body, `${call.name}, ${String(response.status)}`).toContain('The call is denied.');
      expect(response.status).toBeLessThan(500);
    }
  }
  expect(running.executor.calls).toHaveLength(0);
  expect(running.taskStore.saved).toBe(0);
}

describe('the pieces, used by hand', () => {
  it("protect the SDK's own handlers", async () => {
    await expectProtected(
      await start((app, agent) => {
        mountPieces(app, agent);
      }),
    );
  });

  it('serve the card', async () => {
    const { url } = await start((app, agent) => {
      mountPieces(app, agent);
    });
    const card = (await (await fetch(`${url}/.well-known/agent-card.json`)).json()) as Record<
      string,
      unknown
    >;
    expect(Object.keys(card.securitySchemes as object)).toEqual(['userToken', 'tenantKey', 'partnerKey']);
  });

  it('shut the agent when authenticate is forgotten', async () => {
    await expectShut(
      await start((app, agent) => {
        mountPieces(app, agent, { authenticate: () => passOn });
      }),
    );
  });

  it("shut the agent when the SDK's userBuilder is left in place", async () => {
    await expectShut(
      await start((app, agent) => {
        mountPieces(app, agent, { userBuilder: UserBuilder.noAuthentication });
      }),
    );
  });

  it('shut the agent when a userBuilder merely claims that the caller is authenticated', async () => {
    const anyone = () => Promise.resolve({ isAuthenticated: true, userName: 'scheme:partnerKey|partner' });
    await expectShut(
      await start((app, agent) => {
        mountPieces(app, agent, { userBuilder: anyone });
      }),
    );
  });

  it('shut the agent when another AgentSecurity let the caller in', async () => {
    await expectShut(
      await start((app, agent) => {
        mountPieces(app, agent, { protectedBy: createSecurity() });
      }),
    );
  });
});

describe('an answer to a caller who was let in', () => {
  it.each(combinations)('is kept by no cache, over $binding $version', async (combination) => {
    const running = await startAgent();
    const url = combination.binding === 'JSONRPC' ? running.jsonRpcUrl : running.restUrl;
    const known = callsOf(combination).filter(
      ({ operation }) => combination.binding === 'JSONRPC' || operation !== 'unknown',
    );
    const wrong = { method: 'POST', path: sendMessage(combination).path, body: [] } as const;
    for (const call of [...known, wrong]) {
      const response = await send(url, combination, call, granted.partner);
      expect(response.headers.get('cache-control')).toBe('no-store');
      await response.body?.cancel();
    }
  });

  it('is kept by none either where the handlers are those of the SDK', async () => {
    const running = await start((app, agent) => {
      mountPieces(app, agent);
    });
    for (const combination of combinations) {
      const url = running.urlOf(combination);
      const sent = await send(url, combination, sendMessage(combination), granted.partner);
      expect(sent.headers.get('cache-control')).toBe('no-store');
    }
    const list = { method: 'GET', path: '/tasks' } as const;
    const listed = await send(
      running.urlOf({ binding: 'HTTP+JSON' }),
      { version: '1.0' },
      list,
      granted.partner,
    );
    expect(listed.headers.get('cache-control')).toBe('no-store');
  });
});

describe('an agent behind a mount path', () => {
  it('is protected, and its card is there too', async () => {
    const running = await start((app, { requestHandler }) => {
      app.use('/agents/one', agentRouter({ security: createSecurity(), requestHandler }));
    }, '/agents/one');
    await expectProtected(running);
    expect((await fetch(`${running.url}/agents/one/.well-known/agent-card.json`)).status).toBe(200);
    expect((await fetch(`${running.url}/.well-known/agent-card.json`)).status).toBe(404);
  });

  it('has the paths that the options say', async () => {
    const running = await start((app, { requestHandler }) => {
      app.use(
        agentRouter({ security: createSecurity(), requestHandler, jsonRpcPath: '/rpc', httpJsonPath: '/' }),
      );
    });
    for (const combination of combinations) {
      const url = `${running.url}${combination.binding === 'JSONRPC' ? '/rpc' : ''}`;
      const call = sendMessage(combination);
      expect(await (await send(url, combination, call)).text()).toMatch(/auth-required|AUTH_REQUIRED/);
      expect(await (await send(url, combination, call, granted.partner)).text()).toContain('Done.');
    }
  });

  it.each([{ jsonRpcPath: '/rpc', httpJsonPath: '/' }, { jsonRpcPath: '/' }])(
    'has a card for everybody also with %j',
    async (paths) => {
      const { url } = await start((app, { requestHandler }) => {
        const security = createSecurity({ resource: 'https://agent.example' });
        app.use(agentRouter({ security, requestHandler, ...paths }));
      });
      for (const path of ['agent-card.json', 'oauth-protected-resource']) {
        expect((await fetch(`${url}/.well-known/${path}`)).status).toBe(200);
      }
    },
  );

  it('tells JSON-RPC from HTTP+JSON also where one is below the other', async () => {
    const { url } = await start((app, { requestHandler }) => {
      app.use(agentRouter({ security: createSecurity(), requestHandler, httpJsonPath: '/a2a' }));
    });
    for (const path of ['/a2a/jsonrpc', '/a2a/jsonrpc/', '/a2a/JSONRPC', '/a2a/jsonrpc?a=b']) {
      const answer = await send(`${url}${path}`, { version: '1.0' }, { method: 'POST', path: '', body: {} });
      expect(await answer.json()).toMatchObject({ jsonrpc: '2.0' });
    }
    const combination = { binding: 'HTTP+JSON', version: '1.0' } as const;
    const answer = await send(`${url}/a2a`, combination, sendMessage(combination), granted.partner);
    expect(await answer.text()).toContain('Done.');
  });

  it('answers JSON-RPC at the root, and takes nothing else for it', async () => {
    const running = await start((app, { requestHandler }) => {
      app.use(agentRouter({ security: createSecurity(), requestHandler, jsonRpcPath: '/' }));
      app.get('/health', (_req, res) => {
        res.send('healthy');
      });
    });
    for (const combination of combinations) {
      const url = `${running.url}${combination.binding === 'JSONRPC' ? '/?x' : '/a2a/rest'}`;
      const call = sendMessage(combination);
      const refused = await send(url, combination, call);
      expect(refused.headers.get('content-type')).toMatch(
        combination.binding === 'JSONRPC' || combination.version === '0.3'
          ? /^application\/json/
          : /a2a\+json/,
      );
      expect(await refused.text()).toMatch(/auth-required|AUTH_REQUIRED/);
      expect(await (await send(url, combination, call, granted.partner)).text()).toContain('Done.');
    }
    expect(await (await fetch(`${running.url}/health`)).text()).toBe('healthy');
  });

  it('lives next to another agent, whose callers it does not let in', async () => {
    const other = new AgentSecurity()
      .addSecurityScheme('key', {
        declaration: { type: 'apiKey', in: 'header', name: 'X-Other' },
        extract: (request) => request.header('x-other')[0],
        verify: () => ({ verified: true, principal: { subject: 'other' } }),
      })
      .addSecurityRequirement({ key: [] });
    const one = await start((app, { requestHandler }) => {
      app.use(
        '/other',
        agentRouter({
          security: other,
          requestHandler: createAgent(agentCard('http://o.example')).requestHandler,
        }),
      );
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
    });
    const [combination] = combinations;
    const call = sendMessage(combination);
    const both = async (headers: Headers) => {
      const paths = ['/a2a/jsonrpc', '/other/a2a/jsonrpc'];
      const answers = await Promise.all(
        paths.map((path) => send(`${one.url}${path}`, combination, call, headers)),
      );
      return Promise.all(answers.map(async (answer) => (await answer.text()).includes('Done.')));
    };
    expect(await both({ 'X-Other': 'x' })).toEqual([false, true]);
    expect(await both(granted.partner)).toEqual([true, false]);
  });
});

describe('behind a proxy', () => {
  const addressWith = async (trustProxy: boolean | string) => {
    const decisions: DecisionEvent[] = [];
    const running = await start((app, { requestHandler }) => {
      app.set('trust proxy', trustProxy);
      const security = createSecurity({ onDecision: (decision) => decisions.push(decision) });
      app.use(agentRouter({ security, requestHandler }));
    });
    await expectProtected(running, {
      'X-Forwarded-For': '203.0.113.7, 198.51.100.1',
      'X-Forwarded-Proto': 'https',
    });
    return [...new Set(decisions.map(({ remoteAddress }) => remoteAddress))];
  };

  it('that is trusted, the address is the one it forwards', async () => {
    expect(await addressWith(true)).toEqual(['203.0.113.7']);
  });

  it('that is trusted for one hop, the address is the last it forwards', async () => {
    expect(await addressWith('loopback')).toEqual(['198.51.100.1']);
  });

  it('that is not trusted, the address is that of the peer', async () => {
    expect(await addressWith(false)).toEqual(['127.0.0.1']);
  });
});

describe('with other middleware around', () => {
  const before: readonly [name: string, middleware: RequestHandler][] = [
    ['express.json()', express.json()],
    ['express.json() for any type', express.json({ type: () => true })],
    ['express.text() for any type', express.text({ type: () => true })],
    ['express.raw() for any type', express.raw({ type: () => true })],
    ['express.urlencoded()', express.urlencoded({ extended: true })],
  ];

  it.each(before)('%s before it', async (_name, middleware) => {
    await expectProtected(
      await start((app, { requestHandler }) => {
        app.use(middleware);
        app.use(agentRouter({ security: createSecurity(), requestHandler }));
      }),
    );
  });

  it.each(before)('%s before it, and a body that is not JSON', async (_name, middleware) => {
    const running = await start((app, { requestHandler }) => {
      app.use(middleware);
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
      app.use(((error: { status?: number }, _req, res, _next) => {
        res.status(error.status ?? 500).end();
      }) satisfies ErrorRequestHandler);
    });
    for (const combination of combinations) {
      const response = await fetch(`${running.urlOf(combination)}${sendMessage(combination).path}`, {
        method: 'POST',
        headers: {
          'A2A-Version': combination.version,
          'Content-Type': 'application/json',
          ...granted.partner,
        },
        body: '{"jsonrpc":',
      });
      expect(response.status).toBe(400);
    }
  });

  it('express.json() after it', async () => {
    await expectProtected(
      await start((app, { requestHandler }) => {
        app.use(agentRouter({ security: createSecurity(), requestHandler }));
        app.use(express.json());
      }),
    );
  });

  it('that sets headers before and listens for the end after', async () => {
    const statuses: number[] = [];
    const running = await start((app, { requestHandler }) => {
      app.disable('x-powered-by');
      app.use((_req, res, next) => {
        res.setHeader('X-Frame-Options', 'DENY');
        res.setHeader('Cache-Control', 'private');
        res.on('finish', () => statuses.push(res.statusCode));
        next();
      });
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
    });
    const response = await fetch(`${running.urlOf({ binding: 'HTTP+JSON' })}/tasks`);
    expect(response.headers.get('x-frame-options')).toBe('DENY');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(statuses).toEqual([401]);
  });

  it('that moves a credential from elsewhere into the header it belongs to', async () => {
    const running = await start((app, { requestHandler }) => {
      app.use((req, _res, next) => {
        const key = req.get('x-legacy-key');
        if (key !== undefined) req.headers['x-api-key'] = key;
        next();
      });
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
    });
    const [combination] = combinations;
    const headers = { 'X-Legacy-Key': granted.partner['X-API-Key'] };
    const response = await send(running.urlOf(combination), combination, sendMessage(combination), headers);
    expect(await response.text()).toContain('Done.');
  });

  it('that strips a credential: it is not found in the raw headers either', async () => {
    const running = await start((app, { requestHandler }) => {
      app.use((req, _res, next) => {
        delete req.headers['x-api-key'];
        next();
      });
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
    });
    const response = await fetch(`${running.urlOf({ binding: 'HTTP+JSON' })}/tasks`, {
      headers: { 'A2A-Version': '1.0', ...granted.partner },
    });
    expect(response.status).toBe(401);
  });

  it('what it does not know goes on to the rest of the application', async () => {
    const { url } = await start((app, { requestHandler }) => {
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
      app.get(['/health', '/a2a/rest/health', '/a2a/jsonrpc/health'], (_req, res) => void res.send('well'));
    });
    expect(await (await fetch(`${url}/health`)).text()).toBe('well');
    // Below JSON-RPC there is nothing of the agent's.
    expect(await (await fetch(`${url}/a2a/jsonrpc/health`)).text()).toBe('well');
    const ask = (headers: Headers) =>
      fetch(`${url}/a2a/rest/health`, { headers: { 'A2A-Version': '1.0', ...headers } });
    expect((await ask({})).status).toBe(401);
    expect(await (await ask(granted.partner)).text()).toBe('well');
  });

  it.each([false, 'simple', 'extended', () => ({})])(
    'the query is read as A2A has it, whatever parser the application has: %s',
    async (parser) => {
      const running = await start((app, { requestHandler }) => {
        app.set('query parser', parser);
        app.use(agentRouter({ security: createSecurity(), requestHandler }));
      });
      const list = (query: string) =>
        fetch(`${running.urlOf({ binding: 'HTTP+JSON' })}/tasks?${query}`, {
          headers: { 'A2A-Version': '1.0', ...granted.partner },
        });
      expect(await (await list('pageSize=7&b[a]=1')).json()).toMatchObject({ pageSize: 7 });
      expect((await list('pageSize=7&pageSize=8')).status).toBe(400);
      expect((await list('contextId=a&contextId=b')).status).toBe(400);
    },
  );
});

describe('the body', () => {
  const post = (url: string, combination: Combination, body: string | Uint8Array, headers: Headers) =>
    fetch(`${url}${sendMessage(combination).path}`, {
      method: 'POST',
      headers: { 'A2A-Version': combination.version, 'Content-Type': 'application/json', ...headers },
      body,
    });
  const padded = (combination: Combination, bytes: number) =>
    JSON.stringify({ padding: 'x'.repeat(bytes), ...(sendMessage(combination).body as object) });

  /** The code and message of an error, in the shape that the binding has for it. */
  const errorOf = async (response: Response, { binding, version }: Combination) => {
    const body = (await response.json()) as Record<string, unknown>;
    if (binding === 'JSONRPC') expect(body).toMatchObject({ jsonrpc: '2.0', id: null });
    const error = binding === 'HTTP+JSON' && version === '0.3' ? body : body.error;
    return error as { code: number; message: string; status?: string };
  };

  describe.each(combinations)('over $binding $version', (combination) => {
    const codes = (status: number, jsonRpcCode: number) =>
      combination.binding === 'HTTP+JSON' && combination.version === '1.0' ? status : jsonRpcCode;

    it('of a granted caller over the limit gets 413', async () => {
      const running = await startAgent({ router: { bodyLimit: 1000 } });
      const url = combination.binding === 'JSONRPC' ? running.jsonRpcUrl : running.restUrl;
      const ok = await post(url, combination, padded(combination, 100), granted.partner);
      expect(ok.ok).toBe(true);
      const response = await post(url, combination, padded(combination, 1000), granted.partner);
      expect(response.status).toBe(413);
      expect(await errorOf(response, combination)).toMatchObject({
        code: codes(413, -32600),
        message: 'The body is too large.',
      });
      expect(running.executor.calls).toHaveLength(1);
    });

    it('of a granted caller that cannot be parsed gets 400', async () => {
      const running = await startAgent();
      const url = combination.binding === 'JSONRPC' ? running.jsonRpcUrl : running.restUrl;
      const response = await post(url, combination, '{"jsonrpc"', granted.partner);
      expect(response.status).toBe(400);
      expect(await errorOf(response, combination)).toMatchObject({
        code: codes(400, -32700),
        message: 'The body cannot be read.',
      });
      expect(running.executor.calls).toHaveLength(0);
    });

    it('of a denied caller that cannot be read gets the denial', async () => {
      const running = await startAgent({ router: { bodyLimit: 1000 } });
      const url = combination.binding === 'JSONRPC' ? running.jsonRpcUrl : running.restUrl;
      for (const body of [padded(combination, 1000), '{"jsonrpc"']) {
        const response = await post(url, combination, body, denied.invalid);
        // Without its body, a JSON-RPC call has no method.
        expect(response.status).toBe(combination.binding === 'JSONRPC' ? 401 : 200);
        expect(response.headers.get('www-authenticate')).not.toBeNull();
      }
    });

    it('may be as large as the limit says, beyond what the SDK takes', async () => {
      const running = await startAgent({ router: { bodyLimit: '1mb' } });
      const url = combination.binding === 'JSONRPC' ? running.jsonRpcUrl : running.restUrl;
      const response = await post(url, combination, padded(combination, 500_000), granted.partner);
      expect(response.ok).toBe(true);
      expect(await response.text()).toContain('Done.');
    });

    it.each([
      ['gzip', gzipSync],
      ['deflate', deflateSync],
    ] as const)(
      'may be compressed with %s, and is measured as it is unpacked',
      async (encoding, compress) => {
        const running = await startAgent();
        const url = combination.binding === 'JSONRPC' ? running.jsonRpcUrl : running.restUrl;
        const headers = { ...granted.partner, 'Content-Encoding': encoding };
        const small = await post(url, combination, compress(padded(combination, 100)), headers);
        expect(await small.text()).toContain('Done.');
        const bomb = compress(padded(combination, 50_000_000));
        expect(bomb.length).toBeLessThan(100_000);
        const response = await post(url, combination, bomb, headers);
        expect(response.status).toBe(413);
      },
    );
  });

  it('that is aborted halfway reaches no agent, and the server goes on', async () => {
    const decisions: DecisionEvent[] = [];
    const decided = new EventEmitter();
    const running = await startAgent({
      security: createSecurity({
        onDecision: (decision) => {
          decisions.push(decision);
          decided.emit('decision');
        },
      }),
    });
    const socket = connect({ port: running.port, host: '127.0.0.1' });
    await once(socket, 'connect');
    const lines = [
      'POST /a2a/jsonrpc HTTP/1.1',
      'Host: agent',
      'A2A-Version: 1.0',
      'Content-Type: application/json',
      'Content-Length: 1000',
      `X-API-Key: ${granted.partner['X-API-Key']}`,
      '',
      '{"jsonrpc":"2.0",',
    ];
    const arrived = once(running.server, 'request');
    const decision = once(decided, 'decision');
    socket.write(lines.join('\r\n'));
    await arrived;
    socket.destroy();
    await decision;

    expect(decisions).toMatchObject([{ operation: 'unknown' }]);
    expect(running.executor.calls).toHaveLength(0);
    const [combination] = combinations;
    const next = await send(running.jsonRpcUrl, combination, sendMessage(combination), granted.partner);
    expect(await next.text()).toContain('Done.');
  });

  it('in many pieces is read whole', async () => {
    const running = await startAgent();
    const text = JSON.stringify(
      jsonRpc('SendMessage', {
        message: { ...message['1.0'], metadata: { noise: randomBytes(3000).toString('hex') } },
      }),
    );
    const pieces = text.match(/.{1,500}/gs) ?? [];
    const response = await fetch(running.jsonRpcUrl, {
      method: 'POST',
      headers: { 'A2A-Version': '1.0', 'Content-Type': 'application/json', ...granted.partner },
      body: ReadableStream.from(pieces.map((piece) => Buffer.from(piece))),
      duplex: 'half',
    });
    expect(await response.text()).toContain('Done.');
  });

  describe('that came with its headers, and is there before its caller is verified', () => {
    const slow = () =>
      new AgentSecurity()
        .addSecurityScheme(
          'user',
          httpBearer({
            async validator(token) {
              await setImmediate();
              return token === 'ada' ? { principal: token } : undefined;
            },
          }),
        )
        .addSecurityRequirement({ user: [] });

    /** All of it in one packet. */
    async function postAtOnce(port: number, path: string, body: unknown): Promise<string> {
      const text = JSON.stringify(body);
      const socket = connect({ port, host: '127.0.0.1' });
      socket.write(
        [
          `POST ${path} HTTP/1.1`,
          'Host: agent',
          'Connection: close',
          'A2A-Version: 1.0',
          'Content-Type: application/json',
          `Content-Length: ${String(Buffer.byteLength(text))}`,
          'Authorization: Bearer ada',
          '',
          text,
        ].join('\r\n'),
      );
      return (await socket.toArray()).join('');
    }

    const calls = combinations
      .filter(({ version }) => version === '1.0')
      .map((combination) => [combination.binding, combination] as const);

    it.each(calls)('is read by agentRouter: %s', async (binding, combination) => {
      const { port, urlOf } = await start((app, { requestHandler }) => {
        app.use(agentRouter({ security: slow(), requestHandler }));
      });
      const { path, body } = sendMessage(combination);
      expect(await postAtOnce(port, new URL(urlOf({ binding })).pathname + path, body)).toContain('Done.');
    });

    it.each(calls)("goes on to the SDK's own handlers: %s", async (binding, combination) => {
      const { port, urlOf } = await start((app, agent) => {
        mountPieces(app, agent, { security: slow() });
      });
      const { path, body } = sendMessage(combination);
      expect(await postAtOnce(port, new URL(urlOf({ binding })).pathname + path, body)).toContain('Done.');
    });

    it('goes on to the rest of the application', async () => {
      const { port } = await start((app, { requestHandler }) => {
        app.use(agentRouter({ security: slow(), requestHandler }));
        app.post('/a2a/rest/own', express.json(), (req, res) => void res.json({ got: req.body as unknown }));
      });
      expect(await postAtOnce(port, '/a2a/rest/own', { mine: 1 })).toContain('{"got":{"mine":1}}');
    });
  });
});

describe('HEAD', () => {
  const head = (url: string, headers: Headers) =>
    fetch(`${url}/tasks`, { method: 'HEAD', headers: { 'A2A-Version': '1.0', ...headers } });

  it('of a denied caller gets the headers of the denial, and no body', async () => {
    const { restUrl } = await startAgent();
    const response = await head(restUrl, {});
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('Bearer');
    expect(await response.text()).toBe('');
  });

  it('of a granted caller is answered by the SDK', async () => {
    const { restUrl } = await startAgent();
    expect((await head(restUrl, granted.partner)).status).toBe(200);
  });
});

describe('OPTIONS', () => {
  const options = (url: string) =>
    fetch(url, { method: 'OPTIONS', headers: { Origin: 'https://a.example' } });

  it('is denied like any other call', async () => {
    const { restUrl, jsonRpcUrl } = await startAgent();
    expect((await options(`${restUrl}/tasks`)).status).toBe(401);
    expect((await options(jsonRpcUrl)).status).toBe(401);
  });

  it('is answered by a middleware for cross-origin requests before the agent', async () => {
    const { urlOf } = await start((app, { requestHandler }) => {
      app.use((req, res, next) => {
        res.setHeader('Access-Control-Allow-Origin', 'https://a.example');
        if (req.method === 'OPTIONS') res.status(204).end();
        else next();
      });
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
    });
    const response = await options(`${urlOf({ binding: 'HTTP+JSON' })}/tasks`);
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('https://a.example');
  });
});

describe('error handlers', () => {
  const withHandler = async (build: Parameters<typeof start>[0]) => {
    const errors: unknown[] = [];
    const running = await start((app, agent) => {
      build(app, agent);
      app.use(((error, _req, res, _next) => {
        errors.push(error);
        res.status(500).send('handled');
      }) satisfies ErrorRequestHandler);
    });
    return { ...running, errors };
  };

  it('of the application get what goes wrong in the agent itself', async () => {
    const failure = new Error('The card is gone.');
    const { errors, url, urlOf, executor } = await withHandler((app, { requestHandler }) => {
      requestHandler.getAgentCard = () => Promise.reject(failure);
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
    });
    const card = await fetch(`${url}/.well-known/agent-card.json`);
    expect([card.status, await card.text()]).toEqual([500, 'handled']);
    for (const combination of combinations) {
      const response = await send(urlOf(combination), combination, sendMessage(combination), granted.partner);
      expect(response.status).toBe(500);
    }
    expect(errors).toEqual(Array.from({ length: 5 }, () => failure));
    expect(executor.calls).toHaveLength(0);
  });

  it('never see a failing scheme: that is a denial', async () => {
    const broken = (verifies: boolean) =>
      new AgentSecurity()
        .addSecurityScheme('broken', {
          declaration: { type: 'apiKey', in: 'header', name: 'X-Broken' },
          extract: () => {
            if (!verifies) throw new TypeError('extract is broken');
            return 'x';
          },
          verify: () => {
            throw new TypeError('verify is broken');
          },
        })
        .addSecurityRequirement({ broken: [] });
    for (const verifies of [true, false]) {
      const { errors, urlOf } = await withHandler((app, { requestHandler }) => {
        app.use(agentRouter({ security: broken(verifies), requestHandler }));
      });
      const response = await fetch(`${urlOf({ binding: 'HTTP+JSON' })}/tasks`, {
        headers: { 'A2A-Version': '1.0' },
      });
      expect(response.status).toBe(401);
      expect(errors).toEqual([]);
    }
  });

  it('never see a path that cannot be decoded', async () => {
    const { errors, urlOf } = await withHandler((app, { requestHandler }) => {
      app.use(agentRouter({ security: createSecurity(), requestHandler }));
    });
    for (const version of ['1.0', '0.3']) {
      const path = version === '1.0' ? '/tasks/%zz' : '/v1/tasks/%zz';
      const url = `${urlOf({ binding: 'HTTP+JSON' })}${path}`;
      const response = await fetch(url, { headers: { 'A2A-Version': version, ...granted.partner } });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject(
        version === '1.0' ? { error: { code: 400, status: 'INVALID_ARGUMENT' } } : { code: -32600 },
      );
      expect((await fetch(url, { headers: { 'A2A-Version': version } })).status).toBe(401);
    }
    expect(errors).toEqual([]);
  });
});

describe('wiring that would leave the agent open, or deaf', () => {
  const { requestHandler: unprotected } = createAgent(agentCard('http://agent.example'));
  const security = createSecurity();
  const binding = 'JSONRPC' as const;

  it.each([
    ['authenticate', () => authenticate({ security, requestHandler: unprotected, binding })],
    ['agentCardRoute', () => agentCardRoute({ security, requestHandler: unprotected })],
  ])('%s refuses a request handler that is not protected', (_what, wire) => {
    expect(wire).toThrow(expect.objectContaining({ code: 'UNPROTECTED_HANDLER' }));
  });

  it('authenticate refuses a binding that it does not know', () => {
    const requestHandler = security.protect(unprotected);
    expect(() => authenticate({ security, requestHandler, binding: undefined as never })).toThrow(/binding/);
  });

  it('agentRouter refuses a path that Express would never match', () => {
    expect(() => agentRouter({ security, requestHandler: unprotected, jsonRpcPath: 'a2a' })).toThrow(/slash/);
  });

  it('agentRouter refuses to be without a request handler', () => {
    expect(() => agentRouter({ security, requestHandler: undefined as never })).toThrow(/request handler/);
  });
});

import { AgentSecurity, type DecisionEvent } from '@a2a-auth/server';
import { agentCardRoute, agentRouter, authenticate } from '@a2a-auth/server/express';
import { UserBuilder } from '@a2a-js/sdk/server/express';
import express, { type ErrorRequestHandler, type RequestHandler } from 'express';
import { describe, expect, it } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { combinations } from '../support/client.js';
import { createSecurity, denied, granted, type Headers } from '../support/credentials.js';
import { callsOf, rowOf, send } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, startAgent } from '../support/server.js';
import { mountPieces, passOn, sendMessage, start, type Started } from './support.js';

closeServersAfterTests();
muteConsole();

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
        const security = createSecurity();
        const requestHandler = security.protect(agent.requestHandler);
        mountPieces(app, agent, {
          authenticate: ({ binding }) => authenticate({ security, requestHandler, binding }),
        });
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
  type Protected = ReturnType<typeof security.protect>;

  it.each([
    ['authenticate', () => authenticate({ security, requestHandler: unprotected, binding })],
    ['agentCardRoute', () => agentCardRoute({ security, requestHandler: unprotected })],
  ])('%s refuses a request handler that is not protected', (_what, wire) => {
    expect(wire).toThrow(expect.objectContaining({ code: 'UNPROTECTED_HANDLER' }));
  });

  it.each([
    ['authenticate', (requestHandler: Protected) => authenticate({ security, requestHandler, binding })],
    ['agentCardRoute', (requestHandler: Protected) => agentCardRoute({ security, requestHandler })],
  ])('%s refuses a request handler that another AgentSecurity protects', (_what, wire) => {
    const other = createSecurity().protect(unprotected);
    expect(() => wire(other)).toThrow(
      expect.objectContaining({
        code: 'UNPROTECTED_HANDLER',
        message: expect.stringContaining('another AgentSecurity') as string,
      }),
    );
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

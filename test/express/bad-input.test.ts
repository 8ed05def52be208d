import { AgentSecurity, apiKey, ConfigurationError } from '@a2a-auth/server';
import { beforeAll, describe, expect, it } from 'vitest';

import { combinations, type Combination } from '../support/client.js';
import { granted, type Headers } from '../support/credentials.js';
import { callsOf, jsonRpc, message, send, type WireCall } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { exchange, type RawRequest, type RawResponse } from '../support/raw-http.js';
import { closeServersAfterTests, startAgent, type RunningAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

let agent: RunningAgent;
beforeAll(async () => {
  agent = await startAgent({ lifetime: 'file' });
});

const urlOf = ({ binding }: Combination) => (binding === 'JSONRPC' ? agent.jsonRpcUrl : agent.restUrl);
const pathOf = ({ binding }: Combination) => (binding === 'JSONRPC' ? '/a2a/jsonrpc' : '/a2a/rest');

/** The calls that the bad input is put into: one that would get a task, and one that would get a status. */
const sendMessage = (combination: Combination) => callOf(combination, 'SendMessage');
const getTask = (combination: Combination) => callOf(combination, 'GetTask');
function callOf(combination: Combination, operation: WireCall['operation']): WireCall {
  const call = callsOf(combination).find((candidate) => candidate.operation === operation);
  if (call === undefined) throw new Error(`There is no ${operation}.`);
  return call;
}

const callers: { caller: string; headers: Headers; authenticated: boolean }[] = [
  { caller: 'an anonymous caller', headers: {}, authenticated: false },
  { caller: 'an authenticated caller', headers: granted.partner, authenticated: true },
];

/** Sends a call as bytes, with whatever header fields. */
function exchangeCall(
  combination: Combination,
  call: WireCall,
  headers: readonly (readonly [string, string])[],
): Promise<RawResponse> {
  const request: RawRequest = {
    method: call.method,
    target: `${pathOf(combination)}${call.path}`,
    headers: [
      ['A2A-Version', combination.version],
      ...(call.body === undefined ? [] : [['Content-Type', 'application/json'] as const]),
      ...headers,
    ],
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  };
  return exchange(agent.port, request);
}

/** The process lives, and serves whoever has a good credential. */
async function expectStillServing(running: RunningAgent = agent): Promise<void> {
  const response = await fetch(`${running.restUrl}/tasks`, {
    headers: { 'A2A-Version': '1.0', ...granted.partner },
  });
  expect(response.status).toBe(200);
}

/** Nothing was granted: an auth-required task for a message, 401 for anything else. */
function expectDenial(response: Pick<RawResponse, 'status' | 'body'>, executions: number): void {
  if (response.status === 200) expect(response.body).toMatch(/auth-required|TASK_STATE_AUTH_REQUIRED/);
  else expect(response.status).toBe(401);
  expect(agent.executor.calls).toHaveLength(executions);
}

/** The error body that a binding has for a bad request. */
async function expectClean4xx(response: Response, { binding, version }: Combination): Promise<void> {
  expect(response.status).toBeGreaterThanOrEqual(400);
  expect(response.status).toBeLessThan(500);
  const body: unknown = await response.json();
  const bare = { code: expect.any(Number) as number, message: expect.any(String) as string };
  if (binding === 'JSONRPC') expect(body).toMatchObject({ jsonrpc: '2.0', error: bare });
  else if (version === '0.3') expect(body).toMatchObject(bare);
  else expect(body).toMatchObject({ error: { code: response.status, message: bare.message } });
}

/** In JSON-RPC, wrong parameters are no matter of HTTP. */
async function expectWrongParameters(response: Response, combination: Combination): Promise<void> {
  if (combination.binding !== 'JSONRPC') {
    await expectClean4xx(response, combination);
    return;
  }
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    jsonrpc: '2.0',
    error: { code: -32602, message: expect.any(String) as string },
  });
}

describe.each(combinations)('over $binding $version', (combination) => {
  const { binding, version } = combination;

  describe.each(callers)('$caller', ({ headers, authenticated }) => {
    const credentials = Object.entries(headers);

    describe('who sends a malformed Authorization header', () => {
      it.each([
        ['without a token', 'Bearer'],
        ['with a blank for a token', 'Bearer '],
        ['with two tokens', 'Bearer ada ada'],
        ['with a list of tokens', 'Bearer ada, Bearer ada'],
        ['with a tab before the token', 'Bearer\tada'],
        ['with a character that no token has', 'Bearer ada{}'],
        ['with a non-ASCII token', 'Bearer adä'],
        ['with a token of 15 KiB and a blank', `Bearer ${'a'.repeat(15 * 1024)} a`],
      ])('%s is denied', async (_what, value) => {
        for (const call of [sendMessage(combination), getTask(combination)]) {
          const executions = agent.executor.calls.length;
          const response = await exchangeCall(combination, call, [['Authorization', value], ...credentials]);
          expectDenial(response, executions);
        }
        await expectStillServing();
      });

      it.each([
        ['with a control character', 'Bearer ada\u0001'],
        ['with a NUL', 'Bearer a\u0000da'],
        ['with a bare line feed', 'Bearer ada\n'],
        ['64 KiB long', `Bearer ${'a'.repeat(64 * 1024)}`],
      ])('%s never gets as far as the agent', async (_what, value) => {
        const executions = agent.executor.calls.length;
        const response = await exchangeCall(combination, getTask(combination), [
          ['Authorization', value],
          ...credentials,
        ]);
        expect([400, 401, 431]).toContain(response.status);
        expect(agent.executor.calls).toHaveLength(executions);
        await expectStillServing();
      });

      it.each([
        ['equal', ['Bearer ada', 'Bearer ada']],
        ['different', ['Bearer ada', 'Bearer nobody']],
        ['of two auth-schemes', ['Basic YTpi', 'Bearer ada']],
      ])('twice, %s, is denied', async (_what, values) => {
        for (const call of [sendMessage(combination), getTask(combination)]) {
          const executions = agent.executor.calls.length;
          const response = await exchangeCall(combination, call, [
            ...values.map((value) => ['Authorization', value] as const),
            ...credentials,
          ]);
          expectDenial(response, executions);
        }
        await expectStillServing();
      });

      it('twice, with the tenant key that goes with it, is denied', async () => {
        const executions = agent.executor.calls.length;
        const response = await exchangeCall(combination, sendMessage(combination), [
          ...Object.entries(granted.tenantAndUser),
          ['authorization', granted.tenantAndUser.Authorization],
        ]);
        expectDenial(response, executions);
      });
    });

    it('who sends an API key twice is denied', async () => {
      const executions = agent.executor.calls.length;
      const response = await exchangeCall(combination, sendMessage(combination), [
        ['X-API-Key', granted.partner['X-API-Key']],
        ['x-api-key', granted.partner['X-API-Key']],
        ...credentials,
      ]);
      expectDenial(response, executions);
    });

    it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'])(
      'who names a header, a cookie and a query parameter %s is treated like any other',
      async (name) => {
        const call = getTask(combination);
        const response = await exchangeCall(
          combination,
          { ...call, path: `${call.path}?${name}=x&${name}[y]=z&${name}[${name}]=z` },
          [[name, 'x'], ['Cookie', `${name}=x; ${name}[y]=z`], ['Cookie', name], ...credentials],
        );
        if (!authenticated) expect(response.status).toBe(401);
        else expect(response.body).toContain('Task not found');
        await expectStillServing();
      },
    );

    it.each([
      ['nonsense', 'nonsense'],
      ['a version to come', '99.0'],
      ['a negative version', '-1.0'],
      ['two versions', '1.0, 0.3'],
      ['a very long version', '1'.repeat(4096)],
      ['a prototype name', '__proto__'],
      ['almost 0.3', '0.3.beta'],
      ['a version in another script', '１.０'],
    ])('who sends an A2A-Version that is %s is refused', async (_what, value) => {
      for (const call of [sendMessage(combination), getTask(combination)]) {
        const executions = agent.executor.calls.length;
        const response = await exchange(agent.port, {
          method: call.method,
          target: `${pathOf(combination)}${call.path}`,
          headers: [
            ['A2A-Version', Buffer.from(value).toString('latin1')],
            ['Content-Type', 'application/json'],
            ...credentials,
          ],
          ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        });
        if (authenticated) {
          expect(response.status).toBe(400);
          // A2A 1.0 §9.5 and §11.6: the protocol's own errors have an ErrorInfo.
          if (!value.startsWith('0.3')) expect(response.body).toContain('"reason":"VERSION_NOT_SUPPORTED"');
        } else expectDenial(response, executions);
        expect(agent.executor.calls).toHaveLength(executions);
      }
      await expectStillServing();
    });

    describe('whose body', () => {
      const post = (body: string | Uint8Array, more: Headers = {}) =>
        fetch(`${urlOf(combination)}${sendMessage(combination).path}`, {
          method: 'POST',
          headers: { 'A2A-Version': version, 'Content-Type': 'application/json', ...headers, ...more },
          body,
        });

      /** A denied caller learns nothing about its body. */
      const expectRefused = async (response: Response) => {
        if (authenticated) await expectClean4xx(response, combination);
        else expectDenial({ status: response.status, body: await response.text() }, executionsBefore);
        expect(agent.executor.calls).toHaveLength(executionsBefore);
        await expectStillServing();
      };
      let executionsBefore = 0;
      const before = () => {
        executionsBefore = agent.executor.calls.length;
      };

      it.each(['5', '"text"', 'true', '[]', '[[]]', ...(binding === 'JSONRPC' ? ['null'] : [])])(
        'is no object but %s is refused',
        async (body) => {
          before();
          await expectRefused(await post(body));
        },
      );

      it.each([
        ['cut off', JSON.stringify(sendMessage(combination).body).slice(0, -1)],
        ['no JSON', 'jsonrpc=2.0&method=SendMessage'],
        ['a single brace', '{'],
        ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe])],
        ['empty', ''],
      ])('is %s is refused', async (_what, body) => {
        before();
        await expectRefused(await post(body));
      });

      it.each([
        ['arrays', '['.repeat(20_000) + ']'.repeat(20_000)],
        ['objects', '{"a":'.repeat(10_000) + '1' + '}'.repeat(10_000)],
        [
          'arrays inside a valid call',
          JSON.stringify(sendMessage(combination).body).replace(
            '"messageId"',
            `"metadata":{"deep":${'['.repeat(5000)}${']'.repeat(5000)}},"messageId"`,
          ),
        ],
      ])('is made of thousands of nested %s is refused', async (_what, body) => {
        before();
        await expectRefused(await post(body));
      });

      it('is larger than the limit is refused with 413', async () => {
        before();
        const response = await post(JSON.stringify({ ...jsonRpc('x'), padding: 'x'.repeat(200 * 1024) }));
        if (authenticated) expect(response.status).toBe(413);
        await expectRefused(response);
      });

      it.each(['gzip', 'br', 'deflate', 'nonsense'])(
        'claims the encoding %s and has none is refused',
        async (encoding) => {
          before();
          await expectRefused(await post('{}', { 'Content-Encoding': encoding }));
        },
      );

      it('has a charset that JSON cannot have is refused', async () => {
        before();
        await expectRefused(await post('{}', { 'Content-Type': 'application/json; charset=nonsense' }));
      });

      if (binding === 'JSONRPC') {
        it('is a batch is refused', async () => {
          const { body } = sendMessage(combination);
          for (const batch of [[body], [body, body], [{}], [[body]]]) {
            before();
            await expectRefused(await post(JSON.stringify(batch)));
          }
        });

        it.each([5, null, true, {}, [], ['SendMessage'], undefined])(
          'has the method %j is refused',
          async (method) => {
            before();
            await expectRefused(await post(JSON.stringify(jsonRpc(method, { message: message['1.0'] }))));
          },
        );
      }
    });
  });

  describe('an authenticated caller whose body nearly has the shape of the operation', () => {
    const own =
      version === '1.0' ? message['1.0'] : binding === 'JSONRPC' ? message['0.3'] : message['0.3 proto'];
    const parts = 'content' in own ? 'content' : 'parts';
    const hostile = { toString: 1, valueOf: 1 };
    const bytes = (value: unknown) =>
      version === '1.0'
        ? { raw: value }
        : binding === 'JSONRPC'
          ? { kind: 'file', file: { bytes: value } }
          : { file: { fileWithBytes: value } };

    const nearly: [what: string, request: unknown][] = [
      ['a part that is null', { message: { ...own, [parts]: [null] } }],
      ['a part that is a list', { message: { ...own, [parts]: [[]] } }],
      ['a part that is a text', { message: { ...own, [parts]: ['hello'] } }],
      ['parts that are an object', { message: { ...own, [parts]: { length: 1 } } }],
      ['a text that is an object', { message: { ...own, [parts]: [{ kind: 'text', text: hostile }] } }],
      ['bytes that are a number', { message: { ...own, [parts]: [bytes(5)] } }],
      ['bytes that are an object', { message: { ...own, [parts]: [bytes({})] } }],
      ['bytes that claim a length', { message: { ...own, [parts]: [bytes({ length: 1e6 })] } }],
      ['a message that is a text', { message: 'hello' }],
      ['a message that is a list', { message: [own] }],
      ['a messageId that is an object', { message: { ...own, messageId: hostile } }],
      ['a contextId that is a list', { message: { ...own, contextId: [hostile] } }],
      ['a taskId that is an object', { message: { ...own, taskId: {} } }],
      ['a role that is an object', { message: { ...own, role: hostile } }],
      ['extensions with an object', { message: { ...own, extensions: [hostile] } }],
      ['a configuration that is a list', { message: own, configuration: [] }],
      ['output modes with an object', { message: own, configuration: { acceptedOutputModes: [hostile] } }],
      ['a history length that is an object', { message: own, configuration: { historyLength: hostile } }],
      [
        'a push configuration whose url is an object',
        {
          message: own,
          configuration:
            version === '1.0'
              ? { taskPushNotificationConfig: { url: hostile } }
              : binding === 'JSONRPC'
                ? { pushNotificationConfig: { url: hostile } }
                : { pushNotification: { url: hostile } },
        },
      ],
    ];

    it.each(nearly)('with %s is refused', async (_what, request) => {
      const call = sendMessage(combination);
      const executions = agent.executor.calls.length;
      const body = binding === 'JSONRPC' ? { ...(call.body as object), params: request } : request;
      const response = await send(urlOf(combination), combination, { ...call, body }, granted.partner);
      await expectWrongParameters(response, combination);
      expect(agent.executor.calls).toHaveLength(executions);
      await expectStillServing();
    });

    it.each([
      ['a url that is an object', { url: hostile }],
      ['an id that is a list', { id: [hostile] }],
      ['an authentication that is a text', { authentication: 'Bearer' }],
      ['credentials that are an object', { authentication: { credentials: hostile } }],
      ['authentication schemes with an object', { authentication: { schemes: [hostile] } }],
    ])('of a push notification configuration with %s is refused', async (_what, config) => {
      const call = callOf(combination, 'CreateTaskPushNotificationConfig');
      const request = {
        name: 'tasks/t-1/pushNotificationConfigs/c-1',
        taskId: 't-1',
        ...(version === '1.0' ? config : { pushNotificationConfig: config }),
      };
      const body = binding === 'JSONRPC' ? { ...(call.body as object), params: request } : request;
      const response = await send(urlOf(combination), combination, { ...call, body }, granted.partner);
      await expectWrongParameters(response, combination);
      await expectStillServing();
    });
  });
});

describe('an authenticated caller of HTTP+JSON', () => {
  const combination = { binding: 'HTTP+JSON', version: '1.0' } as const;

  it.each(['5', 'true', '"text"', '[1]', '{"tenant":{"toString":1}}', '{"tenant":["a"]}'])(
    'who names a tenant in the path and sends the body %s is refused',
    async (body) => {
      for (const path of [
        '/my-tenant/message:send',
        '/my-tenant/tasks/t-1:cancel',
        '/my-tenant/tasks/t-1:subscribe',
      ]) {
        const response = await fetch(`${agent.restUrl}${path}`, {
          method: 'POST',
          headers: { 'A2A-Version': '1.0', 'Content-Type': 'application/json', ...granted.partner },
          body,
        });
        await expectClean4xx(response, combination);
      }
      await expectStillServing();
    },
  );

  it.each([
    'pageSize=x',
    'pageSize=0',
    'pageSize=101',
    'pageSize=1&pageSize=2',
    'pageSize[toString]=x',
    'status=NONSENSE',
    'status[toString]=x',
    'status[valueOf]=x&status[toString]=x',
    'pageToken=nonsense',
    'pageToken[toString]=x',
    'historyLength=x',
    'historyLength=-1',
    'historyLength[toString]=x',
    'statusTimestampAfter=yesterday',
    'statusTimestampAfter[toString]=x',
  ])('who lists tasks with ?%s is refused', async (query) => {
    const call = { method: 'GET', path: `/tasks?${query}` } as const;
    const response = await send(agent.restUrl, combination, call, granted.partner);
    // Without Express 4's nested parameters, a name with brackets is a name nobody knows.
    if (query.includes('[') && response.status === 200) return;
    await expectClean4xx(response, combination);
    await expectStillServing();
  });

  it.each(['historyLength[toString]=x', 'tenant[toString]=x', 'tenant[a]=b', 'tenant=a&tenant=b'])(
    'who gets a task with ?%s gets no server error',
    async (query) => {
      for (const [path, of] of [
        ['/tasks/t-1', combination],
        ['/my-tenant/tasks/t-1', combination],
        ['/v1/tasks/t-1', { ...combination, version: '0.3' }],
      ] as const) {
        const response = await send(
          agent.restUrl,
          of,
          { method: 'GET', path: `${path}?${query}` },
          granted.partner,
        );
        await expectClean4xx(response, of);
      }
      await expectStillServing();
    },
  );

  it.each(['/tasks/%zz', '/tasks/%', '/%c0%af/tasks', '/tasks/%00', '/tasks/..%2f..', '/tasks/%20'])(
    'who asks for the path %s is refused',
    async (path) => {
      const response = await exchange(agent.port, {
        method: 'GET',
        target: `/a2a/rest${path}`,
        headers: [['A2A-Version', '1.0'], ...Object.entries(granted.partner)],
      });
      expect([400, 404]).toContain(response.status);
      await expectStillServing();
    },
  );
});

describe('places of credentials with the names of what every object has', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
  const places = (['header', 'query', 'cookie'] as const)
    .flatMap((place) => names.map((name) => ({ place, name })))
    .filter(({ place, name }) => place !== 'header' || name !== '__proto__');
  const key = 'a-key-0123456789';

  it('a header of the name __proto__ is a configuration error, because Node drops it', () => {
    expect(() => apiKey({ in: 'header', name: '__proto__', keys: [key] })).toThrow(ConfigurationError);
  });

  it.each(places)(
    'a key in the $place $name lets nobody in who does not have it',
    async ({ place, name }) => {
      const running = await startAgent({
        security: new AgentSecurity()
          .addSecurityScheme('key', apiKey({ in: place, name, keys: [key] }))
          .addSecurityRequirement({ key: [] }),
      });
      const statusWith = async (value: string | undefined) => {
        const pair = value === undefined ? [] : [`${name}=${value}`];
        const { status } = await exchange(running.port, {
          method: 'GET',
          target: `/a2a/rest/tasks${place === 'query' ? `?${pair.join('&')}` : ''}`,
          headers: [
            ['A2A-Version', '1.0'],
            ...(value === undefined || place === 'query'
              ? []
              : [place === 'header' ? ([name, value] as const) : (['Cookie', pair.join('')] as const)]),
          ],
        });
        return status;
      };
      expect(await statusWith(undefined)).toBe(401);
      expect(await statusWith('wrong')).toBe(401);
      // Node itself keeps no header of this name, so nobody can present it.
      const lost = place === 'header' && name === '__proto__';
      expect(await statusWith(key)).toBe(lost ? 401 : 200);
    },
  );

  it.each([...names, 'valueOf', 'isPrototypeOf'])('no security scheme can be called %s', (id) => {
    const security = new AgentSecurity()
      .addSecurityScheme(id, apiKey({ in: 'header', name: 'X-Key', keys: [key] }))
      .addSecurityRequirement(JSON.parse(`{"${id}":[]}`) as Record<string, never[]>);
    expect(() => security.validate()).toThrow(
      expect.objectContaining({ name: 'ConfigurationError', code: 'INVALID_SCHEME_ID' }) as Error,
    );
  });
});

describe('a repeated credential', () => {
  const key = 'a-key-0123456789';
  const start = (place: 'query' | 'cookie') =>
    startAgent({
      security: new AgentSecurity()
        .addSecurityScheme('key', apiKey({ in: place, name: 'key', keys: [key] }))
        .addSecurityRequirement({ key: [] }),
    });

  it.each([
    ['once', `key=${key}`, 200],
    ['once, encoded', `key=${encodeURIComponent(key).replace('-', '%2d')}`, 200],
    ['among others', `a=1&key=${key}&b=2`, 200],
    ['twice', `key=${key}&key=${key}`, 401],
    ['twice, once wrong', `key=${key}&key=wrong`, 401],
    ['twice, once empty', `key=&key=${key}`, 401],
    ['twice, once encoded', `key=${key}&%6bey=${key}`, 401],
    ['in the wrong case', `Key=${key}`, 401],
    ['as a list', `key[]=${key}`, 401],
    ['as an object', `key[a]=${key}`, 401],
  ])('a key in the query %s', async (_what, query, status) => {
    const { port } = await start('query');
    const response = await exchange(port, {
      method: 'GET',
      target: `/a2a/rest/tasks?${query}`,
      headers: [['A2A-Version', '1.0']],
    });
    expect(response.status).toBe(status);
  });

  it.each([
    ['once', [`key=${key}`], 200],
    ['among others', [`a=1; key=${key}; b`], 200],
    ['twice', [`key=${key}; key=${key}`], 401],
    ['in two headers', [`key=${key}`, `key=${key}`], 401],
    ['in the wrong case', [`KEY=${key}`], 401],
  ])('a key in a cookie %s', async (_what, cookies, status) => {
    const { port } = await start('cookie');
    const response = await exchange(port, {
      method: 'GET',
      target: '/a2a/rest/tasks',
      headers: [['A2A-Version', '1.0'], ...cookies.map((cookie) => ['Cookie', cookie] as const)],
    });
    expect(response.status).toBe(status);
  });
});

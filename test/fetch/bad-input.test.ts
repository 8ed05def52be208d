import { gzipSync, deflateSync } from 'node:zlib';

import { AgentSecurity, apiKey } from '@a2a-auth/server';
import { beforeAll, describe, expect, it } from 'vitest';

import { combinations, type Combination } from '../support/client.js';
import { createSecurity, granted, type Headers } from '../support/credentials.js';
import { callsOf, jsonRpc, message, type WireCall } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { exchange, type RawResponse } from '../support/raw-http.js';
import { closeServersAfterTests } from '../support/server.js';
import { createFetchAgent, startFetchAgent } from './support.js';

closeServersAfterTests();
muteConsole();

type Running = Awaited<ReturnType<typeof startFetchAgent>>;
let agent: Running;
beforeAll(async () => {
  agent = await startFetchAgent({ lifetime: 'file' });
});

const callOf = (combination: Combination, operation: WireCall['operation']): WireCall => {
  const call = callsOf(combination).find((candidate) => candidate.operation === operation);
  if (call === undefined) throw new Error(`There is no ${operation}.`);
  return call;
};
const sendMessage = (combination: Combination) => callOf(combination, 'SendMessage');
const pathOf = ({ binding }: Combination) => (binding === 'JSONRPC' ? '/a2a/jsonrpc' : '/a2a/rest');

async function expectDenied(
  combination: Combination,
  headers: readonly (readonly [string, string])[],
  running = agent,
): Promise<void> {
  for (const call of [sendMessage(combination), callOf(combination, 'GetTask')]) {
    const executions = running.executor.calls.length;
    const response = await exchange(running.port, {
      method: call.method,
      target: `${pathOf(combination)}${call.path}`,
      headers: [
        ['A2A-Version', combination.version],
        ...(call.body === undefined ? [] : [['Content-Type', 'application/json'] as const]),
        ...headers,
      ],
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    });
    if (response.status === 200) expect(response.body).toMatch(/auth-required|TASK_STATE_AUTH_REQUIRED/);
    else expect(response.status).toBe(401);
    expect(running.executor.calls).toHaveLength(executions);
  }
}

const callers: { caller: string; headers: Headers; authenticated: boolean }[] = [
  { caller: 'an anonymous caller', headers: {}, authenticated: false },
  { caller: 'an authenticated caller', headers: granted.partner, authenticated: true },
];

describe.each(combinations)('over $binding $version', (combination) => {
  const { version } = combination;

  describe.each(callers)('$caller', ({ headers, authenticated }) => {
    const credentials = Object.entries(headers);

    it.each([
      ['equal', ['Bearer ada', 'Bearer ada']],
      ['different', ['Bearer ada', 'Bearer nobody']],
      ['of two auth-schemes, ours last', ['Basic YTpi', 'Bearer ada']],
      ['of two auth-schemes, ours first', ['Bearer ada', 'Basic YTpi']],
      ['the second without credentials', ['Bearer ada', 'Bearer']],
      ['the second empty', ['Bearer ada', '']],
      ['the first empty', ['', 'Bearer ada']],
      ['the second a parameter', ['Bearer ada', 'a=b']],
      ['in one field', ['Bearer ada, Bearer ada']],
      ['in one field without a blank', ['Bearer ada,Bearer ada']],
      ['hidden in a string that nobody closed', ['Bearer "ada', 'Bearer ada']],
    ])('who sends Authorization twice, %s, is denied', async (_what, values) => {
      await expectDenied(combination, [
        ...values.map((value) => ['Authorization', value] as const),
        ...credentials,
      ]);
    });

    it('who sends an API key twice is denied', async () => {
      for (const values of [
        [granted.partner['X-API-Key'], granted.partner['X-API-Key']],
        [granted.partner['X-API-Key'], 'wrong-key-0123456789'],
        ['', granted.partner['X-API-Key']],
        [granted.partner['X-API-Key'], ''],
      ]) {
        const twice = values.map((value) => ['x-api-key', value] as const);
        await expectDenied(combination, [...twice, ...Object.entries(granted.tenantAndUser)]);
      }
    });

    describe('whose body', () => {
      const post = (body: string | Uint8Array, more: Headers = {}) =>
        fetch(`${agent.url}${pathOf(combination)}${sendMessage(combination).path}`, {
          method: 'POST',
          headers: { 'A2A-Version': version, 'Content-Type': 'application/json', ...headers, ...more },
          body,
        });
      /** A denied caller learns nothing about its body. */
      async function expectRefused(asked: () => Promise<Response>, status: number): Promise<void> {
        const executions = agent.executor.calls.length;
        const response = await asked();
        if (authenticated) {
          expect(response.status).toBe(status);
          const error: unknown = await response.json();
          const bare = { code: expect.any(Number) as number, message: expect.any(String) as string };
          const shape = combination.binding === 'HTTP+JSON' && version === '0.3' ? bare : { error: bare };
          expect(error).toMatchObject(shape);
        } else {
          expect([200, 401]).toContain(response.status);
          expect(response.headers.get('www-authenticate')).toContain('Bearer');
        }
        expect(agent.executor.calls).toHaveLength(executions);
      }

      it.each([
        ['cut off', JSON.stringify(sendMessage(combination).body).slice(0, -1)],
        ['no JSON', 'jsonrpc=2.0'],
        ['not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
        ['UTF-16', Buffer.from('{}', 'utf16le')],
        ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
        ['deep', '['.repeat(20_000) + ']'.repeat(20_000)],
        ['a number', '5'],
      ])('is %s is refused with 400', async (_what, body) => {
        await expectRefused(() => post(body), 400);
      });

      it('begins with a byte order mark is read', async () => {
        const response = await post(`\uFEFF${JSON.stringify(sendMessage(combination).body)}`);
        if (authenticated) expect(await response.text()).toContain('Done.');
      });

      it('is larger than the limit is refused with 413, and the answer arrives', async () => {
        for (const size of [150_000, 5_000_000]) {
          const body = JSON.stringify({ ...jsonRpc('x'), padding: 'x'.repeat(size) });
          await expectRefused(() => post(body), 413);
        }
      });

      it.each([
        'text/plain',
        'application/x-www-form-urlencoded',
        'application/json; charset=utf-16',
        'application/json; charset="iso-8859-1"',
        'application/jsonp',
        '',
      ])('is sent as %j is refused with 415', async (type) => {
        await expectRefused(() => post('{}', { 'Content-Type': type }), 415);
      });

      it.each(['br', 'nonsense', 'gzip, gzip'])(
        'is sent with the encoding %j is refused with 415',
        async (encoding) => {
          await expectRefused(() => post('{}', { 'Content-Encoding': encoding }), 415);
        },
      );

      it.each(['gzip', 'deflate'])(
        'claims the encoding %s and has none is refused with 400',
        async (encoding) => {
          await expectRefused(() => post('{}', { 'Content-Encoding': encoding }), 400);
        },
      );

      it.each([
        ['gzip', gzipSync],
        ['deflate', deflateSync],
      ] as const)('is packed with %s is measured as it is unpacked', async (encoding, pack) => {
        const packed = (padding: string) =>
          pack(JSON.stringify({ ...(sendMessage(combination).body as object), padding }));
        const small = await post(packed('x'), { 'Content-Encoding': encoding });
        if (authenticated) expect(await small.text()).toContain('Done.');
        const bomb = packed('x'.repeat(50_000_000));
        expect(bomb.length).toBeLessThan(100_000);
        await expectRefused(() => post(bomb, { 'Content-Encoding': encoding }), 413);
      });
    });
  });
});

describe('the body of a denied caller', () => {
  const body = (padding: number) =>
    JSON.stringify({ ...jsonRpc('SendMessage', { message: message['1.0'] }), padding: 'x'.repeat(padding) });

  it('is not read beyond 100 KiB, however large the agent’s own limit is', async () => {
    const large = createFetchAgent({ handler: { bodyLimit: 50_000_000 } });
    let pulled = 0;
    const endless = () =>
      new ReadableStream({
        pull(controller) {
          pulled += 10_000;
          controller.enqueue(new Uint8Array(10_000).fill(32));
        },
      });
    const init = { method: 'POST', headers: { 'content-type': 'application/json', 'a2a-version': '1.0' } };
    const denied = await large.fetch(large.jsonRpcUrl, { ...init, body: endless(), duplex: 'half' });
    expect(denied.status).toBe(401);
    expect(pulled).toBeLessThan(200_000);

    const headers = { ...init.headers, ...granted.partner };
    expect((await large.fetch(large.jsonRpcUrl, { ...init, headers, body: body(200_000) })).status).toBe(200);
    pulled = 0;
    const refused = await large.fetch(large.jsonRpcUrl, {
      ...init,
      headers,
      body: endless(),
      duplex: 'half',
    });
    expect(refused.status).toBe(413);
    expect(pulled).toBeLessThan(51_000_000);
  });

  it('matters for the shape of the denial alone', async () => {
    const small = createFetchAgent({ handler: { bodyLimit: 10 } });
    const init = { method: 'POST', headers: { 'content-type': 'application/json', 'a2a-version': '1.0' } };
    // Without its body, a call has no method, and is no message to answer with a task.
    expect((await small.fetch(small.jsonRpcUrl, { ...init, body: body(0) })).status).toBe(401);
  });
});

describe('a form on another site', () => {
  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])(
    'cannot send a message with the caller’s cookies as %j',
    async (type) => {
      const security = new AgentSecurity()
        .addSecurityScheme('session', apiKey({ in: 'cookie', name: 'session', keys: ['a-session-key'] }))
        .addSecurityRequirement({ session: [] });
      const { executor, ...victim } = createFetchAgent({ security });
      // Each of them is a message, if it is read.
      for (const [url, body] of [
        [victim.jsonRpcUrl, jsonRpc('message/send', { message: message['0.3'] })],
        [`${victim.restUrl}/message:send`, { message: message['1.0'] }],
        [`${victim.restUrl}/v1/message:send`, { message: message['0.3 proto'] }],
      ] as const) {
        const request = (contentType: string) =>
          new Request(url, {
            method: 'POST',
            headers: { 'content-type': contentType, cookie: 'session=a-session-key' },
            body: JSON.stringify(body),
          });
        const executions = executor.calls.length;
        expect((await victim.handle(request(type))).status).toBe(415);
        expect(executor.calls).toHaveLength(executions);
        expect((await victim.handle(request('application/json'))).ok).toBe(true);
        expect(executor.calls).toHaveLength(executions + 1);
      }
    },
  );
});

describe('a key in a cookie or in the query', () => {
  const key = 'a-key-0123456789';
  const start = (place: 'query' | 'cookie') =>
    startFetchAgent({
      security: new AgentSecurity()
        .addSecurityScheme('key', apiKey({ in: place, name: 'key', keys: [key] }))
        .addSecurityRequirement({ key: [] }),
    });
  const list = (port: number, query: string, cookies: readonly string[]): Promise<RawResponse> =>
    exchange(port, {
      method: 'GET',
      target: `/a2a/rest/tasks${query}`,
      headers: [['A2A-Version', '1.0'], ...cookies.map((cookie) => ['Cookie', cookie] as const)],
    });

  it.each([
    ['once', `?key=${key}`, 200],
    ['encoded', `?key=${key.replace('-', '%2d')}`, 200],
    ['among others', `?a=1&key=${key}&b=2`, 200],
    ['twice', `?key=${key}&key=${key}`, 401],
    ['twice, once wrong', `?key=${key}&key=wrong`, 401],
    ['twice, once empty', `?key=&key=${key}`, 401],
    ['twice, once encoded', `?key=${key}&%6bey=${key}`, 401],
    ['in the wrong case', `?Key=${key}`, 401],
    ['as a list', `?key[]=${key}`, 401],
  ])('in the query, %s', async (_what, query, status) => {
    const { port } = await start('query');
    expect((await list(port, query, [])).status).toBe(status);
  });

  it.each([
    ['once', [`key=${key}`], 200],
    ['among others', [`a=1; key=${key}; b`], 200],
    ['twice', [`key=${key}; key=${key}`], 401],
    ['in two headers', [`key=${key}`, `key=${key}`], 401],
    ['in the wrong case', [`KEY=${key}`], 401],
  ])('in a cookie, %s', async (_what, cookies, status) => {
    const { port } = await start('cookie');
    expect((await list(port, '', cookies)).status).toBe(status);
  });
});

it('a request whose body somebody has read is nobody’s to answer, and says so', async () => {
  const { handle, jsonRpcUrl, executor } = createFetchAgent({ security: createSecurity() });
  const request = new Request(jsonRpcUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0', ...granted.partner },
    body: JSON.stringify(jsonRpc('SendMessage', { message: message['1.0'] })),
  });
  await request.text();
  await expect(handle(request)).rejects.toThrow('was read before');
  expect(executor.calls).toHaveLength(0);
});

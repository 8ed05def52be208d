import { beforeAll, describe, expect, it } from 'vitest';

import { combinations, type Combination } from '../support/client.js';
import { createSecurity, denied, granted, type Headers } from '../support/credentials.js';
import { callsOf, send, type WireCall } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, startAgent } from '../support/server.js';
import { expectSame } from '../support/comparison.js';
import type { createFetchAgent } from './support.js';
import { startFetchAgent } from './support.js';

closeServersAfterTests();
muteConsole();

type Agent = Pick<
  ReturnType<typeof createFetchAgent>,
  'jsonRpcUrl' | 'restUrl' | 'cardUrl' | 'executor' | 'taskStore'
>;

let express: Agent;
let hono: Agent;
let strict: { express: Agent; hono: Agent };
beforeAll(async () => {
  express = await startAgent({ lifetime: 'file' });
  hono = await startFetchAgent({ lifetime: 'file' });
  const security = () =>
    createSecurity({
      denials: { messages: 'http', others: 'jsonrpc' },
      agentCardUrl: 'https://agent.example/card',
    });
  strict = {
    express: await startAgent({ lifetime: 'file', security: security() }),
    hono: await startFetchAgent({ lifetime: 'file', security: security() }),
  };
});

const urlOf = (agent: Agent, { binding }: Combination) =>
  binding === 'JSONRPC' ? agent.jsonRpcUrl : agent.restUrl;

describe.each(combinations)('over $binding $version', (combination) => {
  const both = (
    agents: { express: Agent; hono: Agent },
    call: Pick<WireCall, 'method' | 'path' | 'body'>,
    headers: Headers,
  ) =>
    Promise.all([
      send(urlOf(agents.hono, combination), combination, call, headers),
      send(urlOf(agents.express, combination), combination, call, headers),
    ]);

  describe.each(Object.entries(denied))('a caller whose credential is %s', (_wrong, headers) => {
    it.each(callsOf(combination))('gets the same denial: $operation ($name)', async (call) => {
      const executions = hono.executor.calls.length;
      const [actual, expected] = await both({ express, hono }, call, headers);
      await expectSame(actual, expected);
      expect(hono.executor.calls).toHaveLength(executions);
      expect(hono.taskStore.saved).toBe(express.taskStore.saved);
    });

    it.each(callsOf(combination))('gets the same as the agent wants it: $operation ($name)', async (call) => {
      const [actual, expected] = await both(strict, call, headers);
      await expectSame(actual, expected);
    });
  });

  describe.each(Object.entries(granted))('a caller who is let in: %s', (_who, headers) => {
    // To others, Express has an answer of its own.
    const known = callsOf(combination).filter(
      ({ operation }) => combination.binding === 'JSONRPC' || operation !== 'unknown',
    );

    it.each(known)('gets the same answer: $operation ($name)', async (call) => {
      const [actual, expected] = await both({ express, hono }, call, headers);
      expect(actual.headers.get('cache-control')).toBe('no-store');
      await expectSame(actual, expected);
      expect(hono.executor.calls).toHaveLength(express.executor.calls.length);
    });
  });

  it('denies a message that is not sent by POST as any other operation', async () => {
    const message = callsOf(combination).find(({ operation }) => operation === 'SendMessage');
    const call = { ...message, method: 'PUT', path: message?.path ?? '' } as const;
    const [actual, expected] = await both({ express, hono }, call, {});
    expect(actual.status).toBe(401);
    await expectSame(actual, expected);
  });

  it('says the same to a POST without a body', async () => {
    const call = { method: 'POST', path: callsOf(combination)[0]?.path ?? '' } as const;
    for (const headers of [{}, granted.partner]) {
      const ask = (agent: Agent) => send(urlOf(agent, combination), combination, call, headers);
      const actual = await ask(hono);
      // Nothing in it is a request, so that HTTP 200 would be wrong.
      if (headers === granted.partner) expect(actual.status).toBe(400);
      await expectSame(actual, await ask(express));
    }
  });

  it('asks a caller without credentials for the same', async () => {
    for (const call of callsOf(combination)) {
      const [actual, expected] = await both({ express, hono }, call, {});
      expect(actual.headers.get('www-authenticate')).toBe(expected.headers.get('www-authenticate'));
    }
  });
});

describe('the card', () => {
  it.each([{}, { 'A2A-Version': '1.0' }, { 'A2A-Version': '0.3' }, { 'A2A-Version': 'x' }] as Headers[])(
    'is the same for %j',
    async (headers) => {
      await expectSame(await fetch(hono.cardUrl, { headers }), await fetch(express.cardUrl, { headers }));
    },
  );

  it.each(['HEAD', 'POST', 'PUT', 'DELETE'])('is answered the same by %s', async (method) => {
    await expectSame(await fetch(hono.cardUrl, { method }), await fetch(express.cardUrl, { method }));
  });

  it('has an ETag, with which it is not sent twice', async () => {
    const first = await fetch(hono.cardUrl);
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    for (const value of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await fetch(hono.cardUrl, { headers: { 'If-None-Match': value } });
      expect(again.status).toBe(304);
      expect(await again.text()).toBe('');
      expect(again.headers.get('vary')).toBe('A2A-Version');
    }
    expect((await fetch(hono.cardUrl, { headers: { 'If-None-Match': '"other"' } })).status).toBe(200);
  });
});

it.each(combinations.filter(({ binding }) => binding === 'HTTP+JSON'))(
  'a path of A2A $version that cannot be decoded gets the same answer',
  async (combination) => {
    const path = combination.version === '1.0' ? '/tasks/%zz' : '/v1/tasks/%zz';
    const ask = (agent: Agent) => send(agent.restUrl, combination, { method: 'GET', path }, granted.partner);
    const actual = await ask(hono);
    expect(await actual.clone().text()).toContain('The path cannot be decoded.');
    await expectSame(actual, await ask(express));
  },
);

import { createServer } from 'node:https';
import { readFile, rm } from 'node:fs/promises';

import {
  InMemoryPushNotificationStore,
  ServerCallContext,
  STATE_HEADERS_KEY,
  type PushNotificationStore,
} from '@a2a-js/sdk/server';

import {
  generatePushKey,
  pushKeys,
  pushNotificationSender,
  type AuthenticatedPushSender,
  type PushFailure,
  type PushNotificationSenderOptions,
} from '@a2a-auth/server/push';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';

import {
  closeWebhooksAfterTests,
  configFor,
  contextOf,
  listen,
  recorder,
  statusUpdate,
  taskOf,
  textsOf,
  until,
  webhook,
  type Received,
} from './support.js';
import { callerCredential, CallerUser, principalOf } from '../../src/caller.js';
import { headerScheme, securityOf } from '../support/agent.js';
import { authRequest } from '../support/auth-request.js';
import { createDevelopmentPki } from '../../src/certificates/development-pki.js';

closeWebhooksAfterTests();
const senders: AuthenticatedPushSender[] = [];
afterEach(() => {
  for (const sender of senders.splice(0)) sender.close();
});

const alice = contextOf('alice');

async function setUp(
  url: string,
  options: PushNotificationSenderOptions = {},
  changes: Parameters<typeof configFor>[1] = {},
) {
  const store = new InMemoryPushNotificationStore();
  await store.save('task-1', alice, configFor(url, { id: 'w', ...changes }));
  const failures: PushFailure[] = [];
  const sender = pushNotificationSender(store, {
    allowLoopback: true,
    retryDelay: 5,
    onFailure: (failure) => failures.push(failure),
    ...options,
  });
  senders.push(sender);
  return { store, sender, failures };
}

describe('credentials', () => {
  const both = Buffer.from('user:pass').toString('base64');
  it.each([
    ['Bearer', { scheme: 'Bearer', credentials: 'abc' }, { authorization: 'Bearer abc' }],
    ['any spelling of a scheme', { scheme: 'bEARER', credentials: 'abc' }, { authorization: 'Bearer abc' }],
    ['Basic, encoded', { scheme: 'Basic', credentials: both }, { authorization: `Basic ${both}` }],
    ['Basic, not encoded', { scheme: 'Basic', credentials: 'user:pass' }, { authorization: `Basic ${both}` }],
    ['API keys', { scheme: 'ApiKey', credentials: 'k 1' }, { 'x-api-key': 'k 1' }],
    ['nothing', undefined, {}],
  ])('sends %s', async (_, authentication, expected) => {
    const { received, url } = await webhook();
    const { sender } = await setUp(url, {}, { authentication });
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    const { authorization, 'x-api-key': key } = received[0]?.headers ?? {};
    expect(JSON.parse(JSON.stringify({ authorization, 'x-api-key': key }))).toEqual(expected);
  });

  it('sends an API key in the header that the agent chose', async () => {
    const { received, url } = await webhook();
    const authentication = { scheme: 'ApiKey', credentials: 'k' };
    const { sender } = await setUp(url, { apiKeyHeader: 'X-Hook-Key' }, { authentication });
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    expect(received[0]?.headers).toMatchObject({ 'x-hook-key': 'k' });
  });

  it('sends the older token beside the credentials', async () => {
    const { received, url } = await webhook();
    const authentication = { scheme: 'Bearer', credentials: 'abc' };
    const { sender } = await setUp(url, {}, { authentication, token: 'legacy' });
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    expect(received[0]?.headers).toMatchObject({
      authorization: 'Bearer abc',
      'x-a2a-notification-token': 'legacy',
    });
  });

  it.each([
    ['Bearer without credentials', { scheme: 'Bearer', credentials: '' }],
    ['no authentication', undefined],
  ])('signs for a client that gives %s', async (_, authentication) => {
    const { received, url } = await webhook();
    const keys = pushKeys({ issuer: 'https://agent.example', keys: [await generatePushKey()] });
    const { sender } = await setUp(url, { keys }, { authentication });
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    const [, token = ''] = received[0]?.headers.authorization?.split(' ') ?? [];
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys.jwks()), {
      issuer: 'https://agent.example',
      audience: url.replace('?secret=in-query', ''),
      typ: 'a2a-notification+jwt',
    });
    expect(payload).toMatchObject({ taskId: 'task-1', jti: received[0]?.headers['x-a2a-notification-id'] });
  });

  it('does not sign for a client that gives credentials', async () => {
    const { received, url } = await webhook();
    const keys = pushKeys({ issuer: 'https://agent.example', keys: [await generatePushKey()] });
    const authentication = { scheme: 'Bearer', credentials: 'abc' };
    const { sender } = await setUp(url, { keys }, { authentication });
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    expect(received[0]?.headers.authorization).toBe('Bearer abc');
  });
});

describe('the notification', () => {
  it('has the form of the version in which the webhook was registered', async () => {
    const { received, url } = await webhook();
    const { store, sender } = await setUp(url);
    await store.save('task-1', contextOf('alice', '0.3'), configFor(url, { id: 'old' }));
    await sender.send(statusUpdate('a'), alice, taskOf('a'));
    await sender.flush();
    const bodies = received.map(({ body }) => JSON.parse(body) as object);
    expect(bodies).toContainEqual(expect.objectContaining({ kind: 'task', id: 'task-1' }));
    expect(bodies).toContainEqual({ statusUpdate: expect.objectContaining({ taskId: 'task-1' }) as object });
    expect(received.map(({ headers }) => headers['content-type']).sort()).toEqual([
      'application/a2a+json',
      'application/json',
    ]);
  });

  it('tells of the task as it was at the time of the event', async () => {
    const { received, url } = await webhook();
    const { store, sender } = await setUp(url, {}, { id: 'unused' });
    await store.delete('task-1', alice, 'unused');
    await store.save('task-1', contextOf('alice', '0.3'), configFor(url));
    const task = taskOf('then');
    const sent = sender.send(statusUpdate('then'), alice, task);
    if (task.status) task.status.timestamp = 'later';
    await sent;
    await sender.flush();
    expect(JSON.parse(received[0]?.body ?? '')).toMatchObject({ status: { timestamp: 'then' } });
  });

  it('is not sent for a message without a task', async () => {
    const { received, url } = await webhook();
    const { sender } = await setUp(url);
    const { payload } = statusUpdate('a', '');
    await sender.send({ payload }, alice);
    await sender.flush();
    expect(received).toEqual([]);
  });

  it('goes over TLS to a host that the operator named', async () => {
    const pki = await createDevelopmentPki();
    const received: Received[] = [];
    const server = createServer(
      { cert: await readFile(pki.server.certificate), key: await readFile(pki.server.key) },
      recorder(received),
    );
    const port = await listen(server);
    const { sender, failures } = await setUp(`https://localhost:${port}/hook`, {
      allowLoopback: false,
      origins: [`https://localhost:${port}`],
      ca: await readFile(pki.ca),
    });
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    await rm(pki.folder, { recursive: true });
    expect({ failures, received: textsOf(received) }).toEqual({ failures: [], received: ['a'] });
  });
});

describe('delivery', () => {
  it('tries again after 5xx, 429 and a broken connection, with the same id', async () => {
    const answers = [503, 429, 0, 500, 200];
    const { received, url } = await webhook((_, res) => {
      const status = answers.shift() ?? 200;
      if (status === 0) res.destroy();
      else res.writeHead(status).end();
    });
    const { sender, failures } = await setUp(url);
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    expect(received).toHaveLength(5);
    expect(new Set(received.map(({ headers }) => headers['x-a2a-notification-id'])).size).toBe(1);
    expect(failures).toEqual([]);
  });

  it.each([400, 401, 403, 404, 410])('does not try again after %i', async (status) => {
    const { received, url } = await webhook((_, res) => res.writeHead(status).end());
    const { sender, failures } = await setUp(url);
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    expect(received).toHaveLength(1);
    expect(failures).toMatchObject([{ reason: 'failed', detail: `it answered HTTP ${status}` }]);
  });

  it('gives up after the last attempt', async () => {
    const { received, url } = await webhook((_, res) => res.writeHead(500).end());
    const { sender, failures } = await setUp(url, { attempts: 3 });
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    expect(received).toHaveLength(3);
    expect(failures).toHaveLength(1);
  });

  it.each([
    ['in seconds', () => '86400'],
    ['as a date', () => new Date(Date.now() + 86_400_000).toUTCString()],
  ])('gives up when Retry-After, %s, is longer than anybody cares', async (_, retryAfter) => {
    const { received, url } = await webhook((_, res) => {
      res.writeHead(503, { 'retry-after': retryAfter() }).end();
    });
    const { sender, failures } = await setUp(url);
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    expect({ calls: received.length, failures: failures.length }).toEqual({ calls: 1, failures: 1 });
  });

  it('keeps the order of the events of a task', async () => {
    let calls = 0;
    const { received, url } = await webhook((_, res) => {
      calls += 1;
      setTimeout(() => res.writeHead(calls === 1 ? 500 : 200).end(), calls === 1 ? 30 : 0);
    });
    const { sender } = await setUp(url);
    // As the SDK calls it: without waiting.
    const sent = ['a', 'b', 'c', 'd'].map((text) => sender.send(statusUpdate(text), alice));
    await Promise.all(sent);
    await sender.flush();
    expect(textsOf(received)).toEqual(['a', 'a', 'b', 'c', 'd']);
  });

  it('keeps the order of the events when the store answers out of order', async () => {
    const { received, url } = await webhook();
    const { store } = await setUp(url);
    const gates: (() => void)[] = [];
    const slow: PushNotificationStore = {
      save: () => Promise.resolve(),
      delete: () => Promise.resolve(),
      load: async (taskId, context) => {
        await new Promise<void>((resolve) => gates.push(resolve));
        return store.load(taskId, context);
      },
    };
    const sender = pushNotificationSender(slow, { allowLoopback: true });
    senders.push(sender);
    const context = contextOf('alice');
    const sent = ['a', 'b'].map((text) => sender.send(statusUpdate(text), context));
    await until(() => gates.length > 0);
    // The second look-up, if there is one already, is the first to be answered.
    for (let open = gates.pop(); open !== undefined || received.length < 2; open = gates.pop()) {
      open?.();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(sent);
    expect(textsOf(received)).toEqual(['a', 'b']);
  });

  it('does not let a slow webhook delay the agent or another webhook', async () => {
    const stuck = await webhook(() => undefined);
    const { received, url } = await webhook();
    const { store, sender } = await setUp(stuck.url);
    await store.save('task-1', alice, configFor(url, { id: 'quick' }));
    await sender.send(statusUpdate('a'), alice);
    await sender.send(statusUpdate('b'), alice);
    await until(() => received.length === 2);
    expect(stuck.received).toHaveLength(1);
  });

  it('sends nothing more once the webhook is deleted', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const { received, url } = await webhook((_, res) => {
        void store.delete('task-1', alice, 'w').then(() => {
          vi.setSystemTime(Date.now() + 2_000);
          res.writeHead(500).end();
        });
      });
      const { store, sender, failures } = await setUp(url);
      await sender.send(statusUpdate('a'), alice);
      await sender.flush();
      expect({ calls: received.length, failures }).toEqual({ calls: 1, failures: [] });
    } finally {
      vi.useRealTimers();
    }
  });

  it('signs each attempt anew', async () => {
    const { received, url } = await webhook((_, res) => res.writeHead(received.length < 2 ? 500 : 200).end());
    const keys = pushKeys({ issuer: 'https://agent.example', keys: [await generatePushKey()] });
    const { sender } = await setUp(url, { keys });
    await sender.send(statusUpdate('a'), alice);
    await sender.flush();
    expect(new Set(received.map(({ headers }) => headers.authorization)).size).toBe(2);
  });
});

describe('the end', () => {
  it('drops on close() what is waiting, and says so', async () => {
    const { url, received } = await webhook(() => undefined);
    const { sender, failures } = await setUp(url);
    await sender.send(statusUpdate('a'), alice);
    await sender.send(statusUpdate('b'), alice);
    await until(() => received.length === 1);
    sender.close();
    await sender.send(statusUpdate('c'), alice);
    await sender.flush();
    expect(failures.map(({ reason }) => reason)).toEqual(['dropped', 'dropped', 'dropped']);
  });
});

describe('options', () => {
  const store = new InMemoryPushNotificationStore();
  it.each([
    [{ timeout: 0 }],
    [{ attempts: 0 }],
    [{ retryDelay: -1 }],
    [{ origins: ['https://hooks.example/path'] }],
    [{ origins: ['http://hooks.example'] }],
    [{ apiKeyHeader: 'Host' }],
    [{ apiKeyHeader: 'Authorization' }],
    [{ maxWebhooks: 0 }],
    [{ keys: {} }],
    [{ onFailure: 'log' }],
  ])('refuses %j', (options) => {
    expect(() => pushNotificationSender(store, options as PushNotificationSenderOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });
});

describe('a listener that fails later', () => {
  it('does not bring the process down, and is warned of', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockReturnValue();
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    try {
      const onFailure = vi.fn().mockRejectedValue(new Error('disk full'));
      const { sender } = await setUp('http://192.0.2.1/hook', { onFailure });
      await sender.send(statusUpdate('a'), alice);
      await new Promise(setImmediate);
      expect(unhandled).not.toHaveBeenCalled();
      expect(warnings).toHaveBeenCalledWith(expect.stringContaining('disk full'), { code: 'A2A_AUTH_PUSH' });
    } finally {
      process.off('unhandledRejection', unhandled);
      warnings.mockRestore();
    }
  });
});

describe('what the store is asked with', () => {
  it('is the caller and the tenant, without the headers, the credential and the request', async () => {
    const request = authRequest({ header: { 'x-a': 'a-secret' } });
    const security = securityOf({
      a: headerScheme('x-a', () => ({ verified: true, principal: { subject: 'alice' } })),
    });
    const decision = await security.conclude(await security.authenticate(request), {
      operation: 'SendMessage',
      binding: 'JSONRPC',
    });
    const context = new ServerCallContext({
      user: new CallerUser(decision),
      tenant: 'north',
      requestedVersion: '1.0',
      state: new Map<string, unknown>([
        [STATE_HEADERS_KEY, { cookie: 'large' }],
        ['own', 'kept'],
      ]),
    });
    const asked: ServerCallContext[] = [];
    const store: PushNotificationStore = {
      save: () => Promise.resolve(),
      delete: () => Promise.resolve(),
      load: (_, given) => {
        asked.push(given ?? new ServerCallContext());
        return Promise.resolve([]);
      },
    };
    const sender = pushNotificationSender(store, { allowLoopback: true });
    senders.push(sender);
    await sender.send(statusUpdate('a'), context);
    const [given] = asked;
    expect(given).toMatchObject({ tenant: 'north', requestedVersion: '1.0' });
    expect(given?.user).toMatchObject({ isAuthenticated: true, userName: 'scheme:a|alice' });
    expect([...(given?.state ?? [])]).toEqual([['own', 'kept']]);
    expect(principalOf(given as ServerCallContext).subject).toBe('alice');
    expect(callerCredential(context, 'a')).toBe('a-secret');
    expect(callerCredential(given as ServerCallContext, 'a')).toBeUndefined();
  });
});

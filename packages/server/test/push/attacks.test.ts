import { readFile, rm } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';

import { InMemoryPushNotificationStore } from '@a2a-js/sdk/server';
import {
  guardedPushStore,
  pushNotificationSender,
  type AuthenticatedPushSender,
  type PushFailure,
  type PushNotificationSenderOptions,
} from '@a2a-auth/server/push';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { createDevelopmentPki } from '../../src/certificates/development-pki.js';
import {
  closeWebhooksAfterTests,
  configFor,
  contextOf,
  listen,
  recorder,
  statusUpdate,
  until,
  webhook,
  type Received,
} from './support.js';

closeWebhooksAfterTests();
const senders: AuthenticatedPushSender[] = [];
afterEach(() => {
  for (const sender of senders.splice(0)) sender.close();
  vi.restoreAllMocks();
});

const eve = contextOf('eve');

/** A sender whose store let everything in. */
async function setUp(
  url: string,
  options: PushNotificationSenderOptions = {},
  changes: Parameters<typeof configFor>[1] = {},
) {
  const store = new InMemoryPushNotificationStore();
  await store.save('task-1', eve, configFor(url, { id: 'w', ...changes }));
  const failures: PushFailure[] = [];
  const sender = pushNotificationSender(store, {
    retryDelay: 5,
    attempts: 2,
    onFailure: (failure) => failures.push(failure),
    ...options,
  });
  senders.push(sender);
  return { store, sender, failures };
}

const publicAddress = async () => ['203.1.113.5'];

describe('addresses that are refused', () => {
  const urls = [
    'http://hooks.example/',
    'ftp://hooks.example/',
    'file:///etc/passwd',
    'https://user:pass@hooks.example/',
    'https://user@hooks.example/',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0177.0.0.1/',
    'https://127.0.0.1./',
    'https://①②⑦.0.0.1/',
    'https://0/',
    'https://10.0.0.1/',
    'https://172.16.5.4/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://100.64.0.1/',
    'https://168.63.129.16/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    'https://[::]/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:a9fe:a9fe]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[64:ff9b:1::1]/',
    'https://[2002:7f00:1::]/',
    'https://[2001::1]/',
    'https://[fd00:ec2::254]/',
    'https://[fe80::1]/',
    'https://[ff02::1]/',
    'http://127.0.0.1/',
    'http://localhost/',
    'no url',
    `https://hooks.example/${'a'.repeat(2048)}`,
  ];
  it.each(urls)('refuses to register %s', async (url) => {
    const inner = new InMemoryPushNotificationStore();
    const store = guardedPushStore(inner, { resolve: publicAddress });
    await expect(store.save('task-1', eve, configFor(url))).rejects.toThrow(
      expect.objectContaining({ name: 'RequestMalformedError' }),
    );
    expect(await inner.load('task-1', eve)).toEqual([]);
  });

  it.each(urls)('does not call %s', async (url) => {
    const { sender, failures } = await setUp(url, { resolve: publicAddress });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    expect(failures).toMatchObject([{ reason: 'refused' }]);
  });

  it.each([
    'ftp://127.0.0.1/',
    'ws://localhost/',
    'https://u:p@127.0.0.1/',
    'https://0.0.0.0/',
    'https://10.0.0.1/',
  ])('refuses to register %s, even where the loopback is allowed', async (url) => {
    const store = guardedPushStore(new InMemoryPushNotificationStore(), { allowLoopback: true });
    await expect(store.save('task-1', eve, configFor(url))).rejects.toThrow(
      expect.objectContaining({ name: 'RequestMalformedError' }),
    );
  });

  it.each([
    ['private', ['10.0.0.1']],
    ['the metadata service', ['169.254.169.254']],
    ['public and private', ['203.1.113.5', '10.0.0.1']],
    ['mapped', ['::ffff:10.0.0.1']],
    ['none', []],
    ['no address', ['hooks.example']],
  ])('refuses to register a name whose addresses are %s', async (_, addresses) => {
    const store = guardedPushStore(new InMemoryPushNotificationStore(), { resolve: async () => addresses });
    await expect(store.save('task-1', eve, configFor('https://hooks.example/'))).rejects.toThrow(
      /no address on the public network/,
    );
  });

  it('answers for a name that the DNS does not know as for one that is internal', async () => {
    const messageFor = async (resolve: () => Promise<readonly string[]>) => {
      const store = guardedPushStore(new InMemoryPushNotificationStore(), { resolve });
      return store.save('t', eve, configFor('https://db.internal/')).catch((error: unknown) => error);
    };
    const unknown = await messageFor(() => Promise.reject(new Error('queryA ENOTFOUND db.internal')));
    expect(unknown).toEqual(await messageFor(async () => ['10.0.0.1']));
  });

  it('calls nothing but the named origins, where there are any', async () => {
    const { sender, failures } = await setUp('https://hooks.example/', {
      origins: ['https://other.example'],
      resolve: publicAddress,
    });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    expect(failures).toMatchObject([{ reason: 'refused' }]);
  });

  it('does not call the loopback by a name, even where the loopback is allowed', async () => {
    const { port, received } = await webhook();
    const { sender, failures } = await setUp(`https://hooks.example:${port}/`, {
      allowLoopback: true,
      resolve: async () => ['127.0.0.1'],
    });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    expect({ failures: failures.map(({ reason }) => reason), received }).toEqual({
      failures: ['refused'],
      received: [],
    });
  });
});

describe('DNS rebinding', () => {
  it('does not connect when the name was public and is private now', async () => {
    const pki = await createDevelopmentPki({ hostNames: ['hooks.example'] });
    const received: Received[] = [];
    let connections = 0;
    const server = createHttpsServer(
      { cert: await readFile(pki.server.certificate), key: await readFile(pki.server.key) },
      recorder(received),
    ).on('connection', () => connections++);
    const port = await listen(server);
    const answers = [['203.1.113.5'], ['127.0.0.1'], ['127.0.0.1']];
    const resolve = vi.fn(async () => answers.shift() ?? ['127.0.0.1']);
    const policy = { resolve, ca: await readFile(pki.ca) };

    const inner = new InMemoryPushNotificationStore();
    await guardedPushStore(inner, policy).save('task-1', eve, configFor(`https://hooks.example:${port}/`));
    const failures: PushFailure[] = [];
    const sender = pushNotificationSender(inner, { ...policy, onFailure: (f) => failures.push(f) });
    senders.push(sender);
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    await rm(pki.folder, { recursive: true });

    expect({ connections, received }).toEqual({ connections: 0, received: [] });
    expect(failures).toMatchObject([{ reason: 'refused', origin: `https://hooks.example:${port}` }]);
  });
});

describe('hostile answers', () => {
  it.each([301, 302, 303, 307, 308])('does not follow a redirect with %i', async (status) => {
    const internal = await webhook();
    const { received, url } = await webhook((_, res) => {
      res.writeHead(status, { location: internal.url }).end();
    });
    const authentication = { scheme: 'Bearer', credentials: 'secret' };
    const { sender, failures } = await setUp(url, { allowLoopback: true }, { authentication });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    expect({ calls: received.length, internal: internal.received }).toEqual({ calls: 1, internal: [] });
    expect(failures).toMatchObject([{ reason: 'failed' }]);
  });

  it('ends an answer that is too large', async () => {
    let written = 0;
    let ended = false;
    const { url } = await webhook((_, res) => {
      const chunk = Buffer.alloc(64 * 1024);
      const pour = () => {
        while (!res.destroyed && written < 1e9) {
          written += chunk.byteLength;
          if (!res.write(chunk)) return;
        }
      };
      res.on('drain', pour).on('close', () => (ended = true));
      pour();
    });
    const { sender, failures } = await setUp(url, { allowLoopback: true });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    await until(() => ended);
    expect(written).toBeLessThan(1e9);
    expect(failures).toEqual([]);
  });

  it('ends an answer that never comes to its end', async () => {
    let ended = false;
    const { url } = await webhook((_, res) => {
      res.on('close', () => (ended = true)).write('.');
    });
    const { sender } = await setUp(url, { allowLoopback: true, timeout: 50 });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    await until(() => ended);
    expect(ended).toBe(true);
  });

  it('does not wait for an answer that never begins', async () => {
    const { url, received } = await webhook(() => undefined);
    const { sender, failures } = await setUp(url, { allowLoopback: true, timeout: 50 });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    expect(received).toHaveLength(2);
    expect(failures).toMatchObject([{ reason: 'failed', detail: 'it did not answer in time' }]);
  });

  it('does not wait for a name server that never answers', async () => {
    const resolve = () => new Promise<string[]>(() => undefined);
    const { sender, failures } = await setUp('https://hooks.example/', { resolve, timeout: 50 });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    expect(failures).toMatchObject([{ reason: 'failed', detail: 'it did not answer in time' }]);
  });

  it('is not shaken by an answer that is no HTTP', async () => {
    const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n')).listen(0, '127.0.0.1');
    await until(() => server.listening);
    const { port } = server.address() as AddressInfo;
    const { sender, failures } = await setUp(`http://127.0.0.1:${port}/`, { allowLoopback: true });
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    server.close();
    expect(failures).toMatchObject([{ reason: 'failed' }]);
  });
});

describe('hostile configurations', () => {
  it.each([
    ['another scheme', { scheme: 'Digest', credentials: 'x' }],
    ['a scheme that is a name of every object', { scheme: '__proto__', credentials: 'x' }],
    ['a header in the credentials', { scheme: 'Bearer', credentials: 'x\r\nMetadata-Flavor: Google' }],
    ['two credentials in one', { scheme: 'Bearer', credentials: 'x, Basic y' }],
    ['Basic without credentials', { scheme: 'Basic', credentials: '' }],
    ['Bearer without credentials where nothing is signed', { scheme: 'Bearer', credentials: '' }],
    ['credentials without a scheme', { scheme: '', credentials: 'x' }],
    ['credentials that fill the memory', { scheme: 'Bearer', credentials: 'x'.repeat(5000) }],
    ['credentials that are no text', { scheme: 'Bearer', credentials: { a: 1 } as unknown as string }],
  ])('refuses %s, and does not repeat it', async (_, authentication) => {
    const store = guardedPushStore(new InMemoryPushNotificationStore(), { resolve: publicAddress });
    const saving = store.save('t', eve, configFor('https://hooks.example/', { authentication }));
    const error = await saving.catch((error: unknown) => error as Error);
    expect(error).toMatchObject({ name: 'RequestMalformedError' });
    expect(String(error)).not.toMatch(/Metadata|xxx|Digest/);
  });

  it('refuses a token that is no header value', async () => {
    const store = guardedPushStore(new InMemoryPushNotificationStore(), { resolve: publicAddress });
    const config = configFor('https://hooks.example/', { token: 'a\nb' });
    await expect(store.save('t', eve, config)).rejects.toThrow(/token/);
  });

  it('refuses an id that fills the memory', async () => {
    const store = guardedPushStore(new InMemoryPushNotificationStore(), { resolve: publicAddress });
    const config = configFor('https://hooks.example/', { id: 'i'.repeat(300) });
    await expect(store.save('t', eve, config)).rejects.toThrow(/id of the webhook/);
  });

  it('refuses one webhook too many for a task, but not a change of one', async () => {
    const policy = { resolve: publicAddress, maxWebhooks: 2 };
    const store = guardedPushStore(new InMemoryPushNotificationStore(), policy);
    const save = (id: string) => store.save('t', eve, configFor('https://hooks.example/', { id }));
    await save('a');
    await save('b');
    await expect(save('c')).rejects.toThrow(/2 webhooks/);
    await save('b');
  });

  it('refuses those that are too many also when all come at once', async () => {
    const inner = new InMemoryPushNotificationStore();
    const store = guardedPushStore(inner, { resolve: publicAddress, maxWebhooks: 2 });
    const saving = Array.from({ length: 20 }, (_, n) =>
      store.save('t', eve, configFor('https://hooks.example/', { id: `w${n}` })),
    );
    const results = await Promise.allSettled(saving);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect(await inner.load('t', eve)).toHaveLength(2);
  });

  it('lets no more than a hundred wait for a store that never answers', async () => {
    const inner = new InMemoryPushNotificationStore();
    vi.spyOn(inner, 'load').mockReturnValue(new Promise(() => undefined));
    const store = guardedPushStore(inner, { allowLoopback: true });
    const refused = vi.fn();
    for (let n = 0; n < 150; n++)
      store.save('t', eve, configFor('http://127.0.0.1/', { id: `w${n}` })).catch(refused);
    await until(() => refused.mock.calls.length >= 50);
    expect(refused).toHaveBeenCalledTimes(50);
    expect(refused).toHaveBeenCalledWith(expect.objectContaining({ name: 'RequestMalformedError' }));
  });

  it('goes on with the next webhook when the store failed with one', async () => {
    const inner = new InMemoryPushNotificationStore();
    vi.spyOn(inner, 'save').mockRejectedValueOnce(new Error('no'));
    const store = guardedPushStore(inner, { resolve: publicAddress });
    const save = (id: string) => store.save('t', eve, configFor('https://hooks.example/', { id }));
    const results = await Promise.allSettled([save('a'), save('b')]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  });

  it('calls no more webhooks than a task may have, however many were stored', async () => {
    const { received, url } = await webhook();
    const { store, sender, failures } = await setUp(url, { allowLoopback: true, maxWebhooks: 3 });
    for (let n = 0; n < 20; n++) await store.save('task-1', eve, configFor(url, { id: `w${n}` }));
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    expect({ calls: received.length, refused: failures.length }).toEqual({ calls: 3, refused: 18 });
  });
});

describe('what is told', () => {
  it('holds neither credentials nor the path of the webhook', async () => {
    const { url } = await webhook((_, res) => res.writeHead(500, 'c0ffee').end('c0ffee'));
    const { sender, failures } = await setUp(
      url.replace('/hook', '/services/c0ffee'),
      { allowLoopback: true },
      { authentication: { scheme: 'Bearer', credentials: 'c0ffee' }, token: 'c0ffee' },
    );
    await sender.send(statusUpdate('a'), eve);
    await sender.flush();
    expect(failures).toHaveLength(1);
    expect(JSON.stringify(failures)).not.toMatch(/c0ffee|in-query/);
  });

  it('is one warning a minute where nobody listens', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const store = new InMemoryPushNotificationStore();
    await store.save('task-1', eve, configFor('https://10.0.0.1/'));
    const sender = pushNotificationSender(store);
    senders.push(sender);
    for (let n = 0; n < 50; n++) await sender.send(statusUpdate('a'), eve);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  it('does not fail with a listener that throws', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { sender } = await setUp('https://10.0.0.1/', {
      onFailure() {
        throw new Error('no');
      },
    });
    await sender.send(statusUpdate('a'), eve);
    expect(warn).toHaveBeenCalledTimes(1);
  });
});

describe('a caller', () => {
  it('is the user, however many tenants it names', async () => {
    const store = new InMemoryPushNotificationStore();
    const resolve = vi.fn(() => new Promise<string[]>(() => undefined));
    const sender = pushNotificationSender(store, { resolve, onFailure: () => undefined });
    senders.push(sender);
    for (let n = 0; n < 40; n++) {
      const context = contextOf('eve');
      context.setTenant(`tenant-${n}`);
      await store.save('task-1', context, configFor('https://hooks.example/', { id: 'w' }));
      await sender.send(statusUpdate('a'), context);
    }
    await until(() => resolve.mock.calls.length >= 8);
    expect(resolve).toHaveBeenCalledTimes(8);
  });
});

describe('the agent', () => {
  it('is not disturbed by a store that throws', async () => {
    const { sender, store, failures } = await setUp('https://hooks.example/');
    vi.spyOn(store, 'loadWithMetadata').mockRejectedValue(new Error('c0ffee'));
    await sender.send(statusUpdate('a'), eve);
    expect(failures).toMatchObject([{ reason: 'dropped' }]);
    expect(JSON.stringify(failures)).not.toContain('c0ffee');
  });

  it('does not fill its memory for a store that never answers', async () => {
    const { sender, store, failures } = await setUp('https://hooks.example/');
    vi.spyOn(store, 'loadWithMetadata').mockReturnValue(new Promise(() => undefined));
    for (let n = 0; n < 1_100; n++) void sender.send(statusUpdate('a'), eve);
    expect(failures).toHaveLength(100);
  });

  it('loses no events of a lively task while the store answers', async () => {
    const { sender, store, failures } = await setUp('https://hooks.example/');
    await store.delete('task-1', eve, 'w');
    const load = vi.spyOn(store, 'loadWithMetadata');
    // Always two that wait, and never more: the next event comes when one was read.
    const tell = async () => {
      for (let n = 0; n < 1_000; n++) await sender.send(statusUpdate('a'), eve);
    };
    await Promise.all([tell(), tell()]);
    expect(failures).toEqual([]);
    expect(load).toHaveBeenCalledTimes(2_000);
  });

  it('counts what a notification keeps of its webhook and its tenant', async () => {
    const authentication = { scheme: 'Bearer', credentials: 'c'.repeat(4096) };
    const url = `https://hooks.example/${'p'.repeat(2000)}`;
    const config = configFor(url, { token: 't'.repeat(4096), authentication });
    const webhooks = Array.from({ length: 10 }, (_, n) => ({ ...config, id: `w${n}` }));
    const store = { load: async () => webhooks, save: async () => undefined, delete: async () => undefined };
    let dropped = 0;
    const sender = pushNotificationSender(store, {
      resolve: () => new Promise<string[]>(() => undefined),
      onFailure: () => dropped++,
    });
    senders.push(sender);
    const context = contextOf('eve');
    context.setTenant('n'.repeat(4096));
    for (let task = 0; task < 5; task++)
      for (let n = 0; n < 100; n++) await sender.send(statusUpdate('a', `task-${task}`), context);
    const kept = 5 * 100 * 10 - dropped;
    expect(kept * (2000 + 3 * 4096)).toBeLessThan(64 * 1024 * 1024);
  });

  it('sends a thousand notifications to a dead webhook and keeps a hundred', async () => {
    const { url, received } = await webhook(() => undefined);
    const { sender, failures } = await setUp(url, { allowLoopback: true });
    for (let n = 0; n < 1_000; n++) await sender.send(statusUpdate(String(n)), eve);
    await until(() => received.length === 1);
    expect(failures.map(({ reason }) => reason)).toEqual(new Array(899).fill('dropped'));
  });
});

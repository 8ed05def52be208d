import { memoryPushRegistrations, type PushNotificationReceiverOptions } from '@a2a-auth/client/push';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { bodyFor, credentialHeaders, legacyBodyFor, post, setUp, signer, url } from './support.js';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('credentials', () => {
  it.each(['Bearer', 'Basic', 'ApiKey', 'token'] as const)('takes a notification with %s', async (scheme) => {
    const { receiver, notifications } = setUp({ scheme });
    const { config } = await receiver.register();
    expect((await receiver.handle(post(credentialHeaders(config)))).status).toBe(200);
    expect(notifications).toHaveLength(1);
  });

  it('gives each registration secrets of its own', async () => {
    const { receiver } = setUp();
    const configs = await Promise.all([receiver.register(), receiver.register()]);
    expect(new Set(configs.map(({ config }) => config.authentication?.credentials)).size).toBe(2);
    expect(new Set(configs.map(({ config }) => config.id)).size).toBe(2);
  });

  it('keeps no secret', async () => {
    const registrations = memoryPushRegistrations();
    const add = vi.spyOn(registrations, 'add');
    const { receiver } = setUp({ registrations });
    const { config } = await receiver.register();
    const [, secret = '-'] = config.authentication?.credentials?.split('.') ?? [];
    expect(secret.length).toBeGreaterThan(40);
    expect(JSON.stringify(add.mock.calls)).not.toContain(secret);
  });

  it('asks an agent that signs for a signature and a token', async () => {
    const agent = await signer();
    const { receiver } = setUp({ agents: [agent] });
    const { config } = await receiver.register();
    expect(config).toMatchObject({ url, authentication: { scheme: 'Bearer', credentials: '' } });
    expect(config.token).not.toBe('');
  });
});

describe('notifications', () => {
  it('are told with their event, task and version', async () => {
    const { receiver, notifications } = setUp();
    const { config } = await receiver.register();
    const headers = { ...credentialHeaders(config), 'x-a2a-notification-id': 'n-1' };
    await receiver.handle(post(headers));
    expect(notifications).toMatchObject([
      {
        id: 'n-1',
        taskId: 'task-1',
        protocolVersion: '1.0',
        issuer: undefined,
        event: { payload: { $case: 'statusUpdate', value: { taskId: 'task-1' } } },
      },
    ]);
  });

  it('of 0.3 have the form of 1.0', async () => {
    const { receiver, notifications } = setUp();
    const { config } = await receiver.register();
    const headers = { ...credentialHeaders(config), 'content-type': 'application/json; charset=utf-8' };
    await receiver.handle(post(headers, legacyBodyFor()));
    expect(notifications).toMatchObject([
      {
        taskId: 'task-1',
        protocolVersion: '0.3',
        event: { payload: { $case: 'task', value: { id: 'task-1' } } },
      },
    ]);
  });

  it('that are signed name the agent', async () => {
    const agent = await signer();
    const { receiver, notifications } = setUp({ agents: [agent] });
    const { config } = await receiver.register();
    const authorization = `Bearer ${await agent.sign(bodyFor())}`;
    const { status } = await receiver.handle(post({ ...credentialHeaders(config), authorization }));
    expect(status).toBe(200);
    expect(notifications).toMatchObject([{ id: 'n-1', issuer: agent.issuer }]);
  });

  it('that are signed need no registration where the task is known otherwise', async () => {
    const agent = await signer();
    const isKnownTask = vi.fn((taskId: string) => taskId === 'task-1');
    const { receiver, notifications } = setUp({ agents: [agent], isKnownTask });
    const authorization = `Bearer ${await agent.sign(bodyFor())}`;
    expect((await receiver.handle(post({ authorization }))).status).toBe(200);
    expect(isKnownTask).toHaveBeenCalledWith('task-1', agent.issuer);
    expect(notifications).toHaveLength(1);
  });

  it('are asked for again when onNotification throws', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const onNotification = vi.fn<() => void>();
    onNotification.mockImplementationOnce(() => {
      throw new Error('no');
    });
    const { receiver } = setUp({ onNotification });
    const { config } = await receiver.register();
    const headers = { ...credentialHeaders(config), 'x-a2a-notification-id': 'n-1' };
    const statuses = [];
    for (let n = 0; n < 3; n++) statuses.push((await receiver.handle(post(headers))).status);
    expect(statuses).toEqual([500, 200, 200]);
    expect(onNotification).toHaveBeenCalledTimes(2);
  });
});

describe('the task', () => {
  it('is that of the first notification when none was named', async () => {
    const { receiver, notifications } = setUp();
    const { config, bind } = await receiver.register();
    await receiver.handle(post(credentialHeaders(config)));
    expect(await bind('task-1')).toBe(true);
    expect(await bind('task-2')).toBe(false);
    expect(notifications).toHaveLength(1);
  });

  it('is no longer listened to once the webhook is removed', async () => {
    const { receiver } = setUp();
    const { config, remove } = await receiver.register();
    await remove();
    expect((await receiver.handle(post(credentialHeaders(config)))).status).toBe(401);
  });

  it('is no longer listened to once the registration has ended', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { receiver } = setUp();
    const { config } = await receiver.register({ expiresIn: 60 });
    vi.setSystemTime(Date.now() + 60_000);
    expect((await receiver.handle(post(credentialHeaders(config)))).status).toBe(401);
  });
});

describe('options', () => {
  const agent = { issuer: 'https://agent.example', jwksUri: 'https://agent.example/keys' };
  it.each<[string, Partial<PushNotificationReceiverOptions>]>([
    ['http', { url: 'http://client.example/' }],
    ['a URL with a password', { url: 'https://u:p@client.example/' }],
    ['no URL', { url: 'hook' }],
    ['an unknown scheme', { scheme: 'constructor' as 'Bearer' }],
    ['a signature and a bearer token', { agents: [agent], scheme: 'Bearer' }],
    ['an agent without keys', { agents: [{ issuer: 'x' }] }],
    ['an agent with keys over http', { agents: [{ ...agent, jwksUri: 'http://agent.example/keys' }] }],
    ['two agents with one name', { agents: [agent, agent] }],
    ['keys that are none', { agents: [{ issuer: 'x', jwks: {} as { keys: [] } }] }],
    ['no body at all', { maxBytes: 0 }],
    ['no callback', { onNotification: 1 as unknown as () => void }],
  ])('refuse %s', (_, options) => {
    expect(() => setUp(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });

  it('ask for the issuer where there are several agents', async () => {
    const { receiver } = setUp({ agents: [agent, { ...agent, issuer: 'https://other.example' }] });
    await expect(receiver.register()).rejects.toThrow(/issuer/);
    await expect(receiver.register({ issuer: 'https://third.example' })).rejects.toThrow(/issuer/);
    await receiver.register({ issuer: 'https://other.example' });
  });
});

it('answers, and goes on, when the log of refusals fails later', async () => {
  const warnings = vi.spyOn(process, 'emitWarning').mockReturnValue();
  const { receiver } = setUp({ onRefused: vi.fn().mockRejectedValue(new Error('disk full')) });
  expect((await receiver.handle(post({}))).status).toBe(401);
  await new Promise(setImmediate);
  expect(warnings).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('disk full'), expect.anything());
});

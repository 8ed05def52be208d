import { DefaultRequestHandler, InMemoryPushNotificationStore, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { TaskState, type SendMessageConfiguration, type TaskPushNotificationConfig } from '@a2a-js/sdk';
import {
  pushNotificationReceiver,
  type PushNotification,
  type PushNotificationReceiverOptions,
} from '@a2a-auth/client/push';
import { agentRouter } from '@a2a-auth/server/express';
import {
  generatePushKey,
  guardedPushStore,
  jwksRoute,
  pushKeys,
  pushNotificationSender,
  type AuthenticatedPushSender,
  type PushFailure,
  type WebhookPolicy,
} from '@a2a-auth/server/push';
import express from 'express';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { agentCard, createAgent, textMessage } from '../support/agent.js';
import { combinations, connect, type Combination } from '../support/client.js';
import { createSecurity, granted } from '../support/credentials.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen } from '../support/server.js';

closeServersAfterTests();
muteConsole();
const senders: AuthenticatedPushSender[] = [];
afterEach(() => {
  for (const sender of senders.splice(0)) sender.close();
});

/** An agent whose caller is known by an API key. */
async function startAgent(policy: WebhookPolicy = { allowLoopback: true }) {
  const { url, serve } = await listen();
  const card = agentCard(url);
  const failures: PushFailure[] = [];
  const store = guardedPushStore(new InMemoryPushNotificationStore(), policy);
  const sender = pushNotificationSender(store, {
    ...policy,
    retryDelay: 5,
    onFailure: (failure) => failures.push(failure),
  });
  senders.push(sender);
  const { executor } = createAgent(card);
  const requestHandler = new DefaultRequestHandler(
    card,
    new InMemoryTaskStore(),
    executor,
    undefined,
    store,
    sender,
  );
  const app = express();
  if (policy.keys !== undefined) app.use(jwksRoute(policy.keys));
  const security = createSecurity();
  app.use(agentRouter({ security, requestHandler: security.protect(requestHandler) }));
  serve(app);
  return { url, sender, store, failures };
}

async function startReceiver(options: Partial<PushNotificationReceiverOptions> = {}) {
  const { url, serve } = await listen();
  const notifications: PushNotification[] = [];
  const refusals: object[] = [];
  const receiver = pushNotificationReceiver({
    url: `${url}/hook`,
    onNotification: (notification) => {
      notifications.push(notification);
    },
    onRefused: (refusal) => refusals.push(refusal),
    ...options,
  });
  const app = express();
  app.use('/hook', receiver.middleware);
  app.use(express.json());
  serve(app);
  return { url, receiver, notifications, refusals };
}

function send(
  client: Awaited<ReturnType<typeof connect>>,
  config: TaskPushNotificationConfig,
  text = 'hello',
) {
  const configuration: SendMessageConfiguration = {
    acceptedOutputModes: [],
    taskPushNotificationConfig: config,
    historyLength: undefined,
    returnImmediately: false,
  };
  return client.sendMessage({ tenant: '', message: textMessage(text), configuration, metadata: undefined });
}

const connectAs = (url: string, combination: Combination) => connect(url, combination, granted.partner);

/** The states that were told, in order. */
function statesOf(notifications: readonly PushNotification[]): (TaskState | undefined)[] {
  return notifications.map(({ event: { payload } }) =>
    payload?.$case === 'task' || payload?.$case === 'statusUpdate' ? payload.value.status?.state : undefined,
  );
}

describe.each(combinations)('over $binding $version', (combination) => {
  it.each(['Bearer', 'Basic', 'ApiKey', 'token'] as const)(
    'the client is told of its task, authenticated with %s',
    async (scheme) => {
      const agent = await startAgent();
      const { receiver, notifications, refusals } = await startReceiver({ scheme });
      const client = await connectAs(agent.url, combination);
      const { config, bind } = await receiver.register();
      const task = await send(client, config);
      await agent.sender.flush();

      const taskId = 'status' in task ? task.id : '';
      expect({ failures: agent.failures, refusals }).toEqual({ failures: [], refusals: [] });
      expect(new Set(notifications.map((told) => told.taskId))).toEqual(new Set([taskId]));
      expect(new Set(notifications.map((told) => told.protocolVersion))).toEqual(
        new Set([combination.version]),
      );
      expect(statesOf(notifications).at(-1)).toBe(TaskState.TASK_STATE_COMPLETED);
      expect(new Set(notifications.map(({ id }) => id)).size).toBe(notifications.length);
      expect(await bind(taskId)).toBe(true);
    },
  );

  it('the client is told of its task, signed by the agent', async () => {
    const keys = pushKeys({ issuer: 'https://agent.example', keys: [await generatePushKey()] });
    const agent = await startAgent({ allowLoopback: true, keys });
    const { receiver, notifications, refusals } = await startReceiver({
      agents: [{ issuer: 'https://agent.example', jwksUri: `${agent.url}/.well-known/jwks.json` }],
    });
    const client = await connectAs(agent.url, combination);
    const { config } = await receiver.register();
    await send(client, config);
    await agent.sender.flush();
    expect({ failures: agent.failures, refusals }).toEqual({ failures: [], refusals: [] });
    expect(notifications.at(-1)?.issuer).toBe('https://agent.example');
  });

  it('the client registers a webhook for a task that is there already', async () => {
    const agent = await startAgent();
    const { receiver, notifications } = await startReceiver();
    const client = await connectAs(agent.url, combination);
    const configuration = {
      acceptedOutputModes: [],
      taskPushNotificationConfig: undefined,
      historyLength: undefined,
      returnImmediately: true,
    };
    const task = await client.sendMessage({
      tenant: '',
      message: textMessage('hold'),
      configuration,
      metadata: undefined,
    });
    if (!('status' in task)) throw new Error('The answer is no task.');
    const { config } = await receiver.register({ taskId: task.id });
    await client.createTaskPushNotificationConfig(config);
    await client.cancelTask({ tenant: '', id: task.id, metadata: undefined });
    await agent.sender.flush();
    expect(statesOf(notifications)).toContain(TaskState.TASK_STATE_CANCELED);
  });

  it.each([
    ['an internal address', { url: 'https://169.254.169.254/latest/meta-data/' }],
    [
      'an authentication that the agent does not know',
      { authentication: { scheme: 'Digest', credentials: 'x' } },
    ],
  ])('a webhook with %s is refused at once, and nothing is done', async (_, changes) => {
    const agent = await startAgent();
    const { receiver, notifications } = await startReceiver();
    const client = await connectAs(agent.url, combination);
    const { config } = await receiver.register();
    await expect(send(client, { ...config, ...changes })).rejects.toThrow(
      expect.objectContaining({ name: expect.stringContaining('RequestMalformedError') as string }),
    );
    expect(notifications).toEqual([]);
  });
});

describe('a webhook', () => {
  const combination = combinations[0];

  it('gets no notifications of another caller’s agent that has learned its address alone', async () => {
    const agent = await startAgent();
    const { receiver, notifications, refusals } = await startReceiver();
    const client = await connectAs(agent.url, combination);
    const { config } = await receiver.register();
    await send(client, { ...config, authentication: undefined });
    await agent.sender.flush();
    expect(notifications).toEqual([]);
    expect(refusals).toMatchObject([{ status: 401 }, { status: 401 }]);
  });

  it('is called by a rotated key at once', async () => {
    const keys = pushKeys({ issuer: 'https://agent.example', keys: [await generatePushKey()] });
    const agent = await startAgent({ allowLoopback: true, keys });
    const { receiver, notifications } = await startReceiver({
      agents: [{ issuer: 'https://agent.example', jwksUri: `${agent.url}/.well-known/jwks.json` }],
    });
    const client = await connectAs(agent.url, combination);
    await send(client, (await receiver.register()).config);
    await agent.sender.flush();
    const before = notifications.length;
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      vi.setSystemTime(Date.now() + 10_000);
      keys.rotate([await generatePushKey()]);
      await send(client, (await receiver.register()).config);
      await agent.sender.flush();
    } finally {
      vi.useRealTimers();
    }
    expect(before).toBeGreaterThan(0);
    expect(notifications).toHaveLength(2 * before);
  });
});

describe('the middleware', () => {
  it('says what is wrong when something before it has read the body', async () => {
    const { url, serve } = await listen();
    const receiver = pushNotificationReceiver({ url: `${url}/hook`, onNotification: () => undefined });
    const app = express();
    app.use(express.json());
    app.use('/hook', receiver.middleware);
    const errors: unknown[] = [];
    app.use(((error, _req, res, _next) => {
      errors.push(error);
      res.status(500).end();
    }) as express.ErrorRequestHandler);
    serve(app);
    const { status } = await fetch(`${url}/hook`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect(status).toBe(500);
    expect(errors).toMatchObject([{ code: 'INVALID_OPTION' }]);
  });

  it('does not wait for the body of a stranger', async () => {
    const { url } = await startReceiver();
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(10));
      },
    });
    const response = await fetch(`${url}/hook`, { method: 'POST', body, duplex: 'half' });
    expect([response.status, response.headers.get('connection')]).toEqual([401, 'close']);
  });

  it('answers a request without a body', async () => {
    const { url, receiver } = await startReceiver();
    const { config } = await receiver.register();
    const headers = {
      authorization: `Bearer ${config.authentication?.credentials ?? ''}`,
      'content-type': 'application/json',
    };
    expect((await fetch(`${url}/hook`, { method: 'POST', headers })).status).toBe(400);
    expect((await fetch(`${url}/hook`, { headers })).status).toBe(405);
  });
});

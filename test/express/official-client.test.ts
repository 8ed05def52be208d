import { TaskState, type StreamResponse } from '@a2a-js/sdk';
import { callerCredential, principalOf, principalsOf } from '@a2a-auth/server';
import { ClientFactory, type Client } from '@a2a-js/sdk/client';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';

import { textOf } from '../support/agent.js';
import { collect, combinations, connect, request, sendForTask } from '../support/client.js';
import { denied, granted, secrets } from '../support/credentials.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, startAgent, type RunningAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

let agent: RunningAgent;
beforeAll(async () => {
  agent = await startAgent({ lifetime: 'file' });
});

const denials = Object.entries({
  missing: { headers: denied.missing, reason: 'missing_credential' },
  invalid: { headers: denied.invalid, reason: 'invalid_credential' },
  malformed: { headers: denied.malformed, reason: 'invalid_credential' },
  'half an AND, the tenant': { headers: denied['only the tenant'], reason: 'missing_credential' },
  'half an AND, the user': { headers: denied['only the user'], reason: 'missing_credential' },
  'an AND with a wrong user': {
    headers: denied['the tenant and a wrong user'],
    reason: 'invalid_credential',
  },
  'an AND with a wrong tenant': {
    headers: denied['a wrong tenant and the user'],
    reason: 'invalid_credential',
  },
  'too few scopes': { headers: denied.insufficient_scope, reason: 'insufficient_scope' },
  'a user who may not': { headers: denied.not_permitted, reason: 'not_permitted' },
}).map(([name, denial]) => ({ name, ...denial }));

const stateOf = ({ payload }: StreamResponse) =>
  payload?.$case === 'task' || payload?.$case === 'statusUpdate' ? payload.value.status?.state : undefined;

const dataOf = (message: Parameters<typeof textOf>[0]) =>
  message?.parts.map(({ content }) =>
    content?.$case === 'data' ? (content.value as unknown) : undefined,
  )[1];

/** Every operation but the message operations, as the official client has them. */
const otherOperations: readonly [name: string, call: (client: Client) => Promise<unknown>][] = [
  ['getTask', (client) => client.getTask({ tenant: '', id: 'any' })],
  ['cancelTask', (client) => client.cancelTask({ tenant: '', id: 'any', metadata: undefined })],
  ['resubscribeTask', (client) => collect(client.resubscribeTask({ tenant: '', id: 'any' }))],
  [
    'createTaskPushNotificationConfig',
    (client) => client.createTaskPushNotificationConfig(pushConfig('any')),
  ],
  [
    'getTaskPushNotificationConfig',
    (client) => client.getTaskPushNotificationConfig({ tenant: '', taskId: 'any', id: 'any' }),
  ],
  [
    'listTaskPushNotificationConfig',
    (client) =>
      client.listTaskPushNotificationConfig({ tenant: '', taskId: 'any', pageSize: 0, pageToken: '' }),
  ],
  [
    'deleteTaskPushNotificationConfig',
    (client) => client.deleteTaskPushNotificationConfig({ tenant: '', taskId: 'any', id: 'any' }),
  ],
  ['getAgentCard (extended)', (client) => client.getAgentCard()],
];

const listTasks = (client: Client) =>
  client.listTasks({
    tenant: '',
    contextId: '',
    status: TaskState.TASK_STATE_UNSPECIFIED,
    pageToken: '',
    pageSize: undefined,
    historyLength: undefined,
    statusTimestampAfter: undefined,
    includeArtifacts: undefined,
  });

const pushConfig = (taskId: string) => ({
  tenant: '',
  taskId,
  id: 'config-1',
  url: 'https://client.example/notify',
  token: 'notify-token',
  authentication: undefined,
});

describe.each(combinations)('the official client over $binding $version', (combination) => {
  const { version } = combination;
  const connected = (headers: Record<string, string>) => connect(agent.url, combination, headers);

  describe('a granted caller', () => {
    it.each(Object.entries(granted))('is let in as %s', async (_name, headers) => {
      const task = await sendForTask(await connected(headers), 'hello');
      expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
      expect(textOf(task.status?.message)).toBe('Done.');
    });

    it('is let in with a wrong credential for the alternative it does not need', async () => {
      const task = await sendForTask(
        await connected({ ...granted.partner, ...denied['the tenant and a wrong user'] }),
        'hello',
      );
      expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    });

    it('streams a message', async () => {
      const client = await connected(granted.partner);
      const events = await collect(client.sendMessageStream(request('hello')));
      expect(events.map(stateOf)).toEqual([TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED]);
    });

    it('gets its task', async () => {
      const client = await connected(granted.partner);
      const { id } = await sendForTask(client, 'hello');
      const task = await client.getTask({ tenant: '', id });
      expect(task).toMatchObject({ id, status: { state: TaskState.TASK_STATE_COMPLETED } });
    });

    it('cancels its task, and a resubscribed stream sees it', async () => {
      const client = await connected(granted.partner);
      const sent = client.sendMessageStream(request('hold'));
      const id = taskIdOf(await sent.next());
      const resubscribed = client.resubscribeTask({ tenant: '', id });
      expect(taskIdOf(await resubscribed.next())).toBe(id);

      const canceled = await client.cancelTask({ tenant: '', id, metadata: undefined });
      expect(canceled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
      for (const stream of [sent, resubscribed]) {
        expect((await collect(stream)).map(stateOf)).toContain(TaskState.TASK_STATE_CANCELED);
      }
    });

    // 0.3 has no such operation.
    if (version === '1.0') {
      it('lists its tasks', async () => {
        const client = await connected(granted.partner);
        const { id } = await sendForTask(client, 'hello');
        const { tasks } = await listTasks(client);
        expect(tasks.map((task) => task.id)).toContain(id);
      });
    }

    it('creates, gets, lists and deletes a push notification configuration', async () => {
      const client = await connected(granted.partner);
      const { id: taskId } = await sendForTask(client, 'hello');
      const config = pushConfig(taskId);
      const list = async () =>
        (await client.listTaskPushNotificationConfig({ tenant: '', taskId, pageSize: 0, pageToken: '' }))
          .configs;

      expect(await client.createTaskPushNotificationConfig(config)).toMatchObject({ url: config.url });
      expect(await client.getTaskPushNotificationConfig({ tenant: '', taskId, id: config.id })).toMatchObject(
        { id: config.id, token: config.token },
      );
      expect(await list()).toHaveLength(1);
      await client.deleteTaskPushNotificationConfig({ tenant: '', taskId, id: config.id });
      expect(await list()).toHaveLength(0);
    });

    it('gets the extended card, with the security on it', async () => {
      const client = await connected(granted.partner);
      const card = await client.getAgentCard();
      expect(card.description).toBe('Answers trusted callers.');
      expect(Object.keys(card.securitySchemes)).toEqual(['userToken', 'tenantKey', 'partnerKey']);
      expect(card.securityRequirements).toHaveLength(2);
    });

    it('cannot see the tasks of another', async () => {
      const client = await connected(granted.partner);
      const stream = client.sendMessageStream(request('hold'));
      const id = taskIdOf(await stream.next());
      await client.createTaskPushNotificationConfig(pushConfig(id));

      for (const headers of [granted.otherPartner, granted.tenantAndUser]) {
        const other = await connected(headers);
        const calls: (() => Promise<unknown>)[] = [
          () => other.getTask({ tenant: '', id }),
          () => other.cancelTask({ tenant: '', id, metadata: undefined }),
          () => collect(other.resubscribeTask({ tenant: '', id })),
          () => other.sendMessage(request('hello', { taskId: id })),
          () => other.createTaskPushNotificationConfig(pushConfig(id)),
          () => other.getTaskPushNotificationConfig({ tenant: '', taskId: id, id: 'config-1' }),
          () => other.listTaskPushNotificationConfig({ tenant: '', taskId: id, pageSize: 0, pageToken: '' }),
          () => other.deleteTaskPushNotificationConfig({ tenant: '', taskId: id, id: 'config-1' }),
        ];
        for (const call of calls) await expect(call()).rejects.toThrow(/not found/i);
        if (version === '1.0') {
          const { tasks } = await listTasks(other);
          expect(tasks.map((task) => task.id)).not.toContain(id);
        }
      }

      await client.cancelTask({ tenant: '', id, metadata: undefined });
      await collect(stream);
    });
  });

  describe.each(denials)('a caller with $name', ({ headers, reason }) => {
    it('gets an auth-required task for a message', async () => {
      const executions = agent.executor.calls.length;
      const task = await sendForTask(await connected(headers), 'hello', { contextId: 'my-context' });
      expect(task.contextId).toBe('my-context');
      expect(task.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
      expect(dataOf(task.status?.message)).toMatchObject({ reason, agentCardUrl: agent.cardUrl });
      expect(agent.executor.calls).toHaveLength(executions);
    });

    it('gets one event for a streamed message, and the stream ends', async () => {
      const executions = agent.executor.calls.length;
      const client = await connected(headers);
      const events = await collect(client.sendMessageStream(request('hello', { contextId: 'my-context' })));
      expect(events.map(stateOf)).toEqual([TaskState.TASK_STATE_AUTH_REQUIRED]);
      expect(events[0]?.payload?.$case).toBe(version === '1.0' ? 'task' : 'statusUpdate');
      expect(events[0]?.payload?.value).toMatchObject({ contextId: 'my-context' });
      expect(agent.executor.calls).toHaveLength(executions);
    });

    it.each(version === '1.0' ? [...otherOperations, ['listTasks', listTasks] as const] : otherOperations)(
      'is refused %s',
      async (_operation, call) => {
        const client = await connected(headers);
        await expect(call(client)).rejects.toThrow(/[Aa]uthentication|credentials/);
      },
    );
  });

  it.each(['unavailable', 'too_many_attempts'] as const)(
    'is told to try again later when the verifier is %s',
    async (reason) => {
      const client = await connected(denied[reason]);
      await expect(client.sendMessage(request('hello'))).rejects.toThrow('Try again later.');
      await expect(collect(client.sendMessageStream(request('hello')))).rejects.toThrow('Try again later.');
    },
  );

  describe('the executor', () => {
    const lastCall = () => {
      const call = agent.executor.calls.at(-1);
      if (call === undefined) throw new Error('The executor was not called.');
      return call;
    };

    it('sees the one principal of a partner, and its key when it asks for it', async () => {
      await sendForTask(await connected(granted.partner), 'hello');
      const context = lastCall();
      expect(principalOf(context)).toMatchObject({
        id: 'scheme:partnerKey|partner',
        subject: 'partner',
        schemeId: 'partnerKey',
      });
      expect([...principalsOf(context).keys()]).toEqual(['partnerKey']);
      expect(callerCredential(context, 'partnerKey')).toBe(granted.partner['X-API-Key']);
      expect(context.context.user).toMatchObject({
        isAuthenticated: true,
        userName: 'scheme:partnerKey|partner',
      });
    });

    it('sees the user and the tenant, the user first', async () => {
      await sendForTask(await connected(granted.tenantAndUser), 'hello');
      const context = lastCall();
      expect(principalOf(context)).toMatchObject({
        id: 'https://users.example|ada',
        scopes: ['call'],
        schemeId: 'userToken',
      });
      expect([...principalsOf(context)].map(([id, { subject }]) => [id, subject])).toEqual([
        ['userToken', 'ada'],
        ['tenantKey', 'acme'],
      ]);
      expect(callerCredential(context, 'userToken')).toBe('ada');
      expect(callerCredential(context, 'tenantKey')).toBe(granted.tenantAndUser['X-Tenant-Key']);
      expect(callerCredential(context, 'partnerKey')).toBeUndefined();
    });

    it('finds the headers in its state, and no credential anywhere in it', async () => {
      const headers = { ...granted.partner, ...granted.tenantAndUser, Cookie: 'session=a-session-secret' };
      await sendForTask(await connected({ ...headers, 'X-Trace': 'trace-1' }), 'hello');
      const { context } = lastCall();
      expect(context.state.get('headers')).toMatchObject({ 'x-trace': 'trace-1' });
      const seen = inspect(context, { depth: Infinity, showHidden: true });
      expect(seen).toContain('trace-1');
      for (const secret of [...secrets, 'a-session-secret']) expect(seen).not.toContain(secret);
    });
  });
});

function taskIdOf(result: IteratorResult<StreamResponse>): string {
  const payload = result.done === true ? undefined : result.value.payload;
  if (payload?.$case !== 'task') throw new Error('The first event is no task.');
  return payload.value.id;
}

it('lets the official client in with nothing but the URL of the agent', async () => {
  const client = await new ClientFactory().createFromUrl(agent.url);
  const task = await sendForTask(client, 'hello');
  expect(task.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
});

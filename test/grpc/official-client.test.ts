import { TaskState, type StreamResponse } from '@a2a-js/sdk';
import {
  AgentSecurity,
  apiKey,
  callerCredential,
  oauth2DeviceCode,
  principalOf,
  principalsOf,
} from '@a2a-auth/server';
import type { Client } from '@a2a-js/sdk/client';
import { status } from '@grpc/grpc-js';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';

import { textOf } from '../support/agent.js';
import { collect, request, sendForTask } from '../support/client.js';
import { denied, granted, secrets, type Headers } from '../support/credentials.js';
import {
  closeGrpcAfterTests,
  connectGrpc,
  startGrpcAgent,
  versions,
  type RunningGrpcAgent,
} from '../support/grpc.js';

closeGrpcAfterTests();

let agent: RunningGrpcAgent;
beforeAll(async () => {
  agent = await startGrpcAgent({ lifetime: 'file' });
});

const stateOf = ({ payload }: StreamResponse) =>
  payload?.$case === 'task' || payload?.$case === 'statusUpdate' ? payload.value.status?.state : undefined;

function taskIdOf(result: IteratorResult<StreamResponse>): string {
  const payload = result.done === true ? undefined : result.value.payload;
  if (payload?.$case !== 'task') throw new Error('The first event is no task.');
  return payload.value.id;
}

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

describe.each(versions)('the official client over gRPC %s', (version) => {
  const connected = (headers: Headers) => connectGrpc(agent.card, version, headers);

  describe('a granted caller', () => {
    it.each(Object.entries(granted))('is let in as %s', async (_name, headers) => {
      const task = await sendForTask(await connected(headers), 'hello');
      expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
      expect(textOf(task.status?.message)).toBe('Done.');
    });

    it('is let in with a wrong credential for the alternative it does not need', async () => {
      const headers = { ...granted.partner, ...denied['the tenant and a wrong user'] };
      const task = await sendForTask(await connected(headers), 'hello');
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
      expect(await client.getTask({ tenant: '', id })).toMatchObject({ id });
    });

    it('cancels its task, and a subscription sees it', async () => {
      const client = await connected(granted.partner);
      const sent = client.sendMessageStream(request('hold'));
      const id = taskIdOf(await sent.next());
      const subscribed = client.resubscribeTask({ tenant: '', id });
      expect(taskIdOf(await subscribed.next())).toBe(id);

      const canceled = await client.cancelTask({ tenant: '', id, metadata: undefined });
      expect(canceled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
      for (const stream of [sent, subscribed]) {
        expect((await collect(stream)).map(stateOf)).toContain(TaskState.TASK_STATE_CANCELED);
      }
    });

    it('creates, gets, lists and deletes a push notification configuration', async () => {
      const client = await connected(granted.partner);
      const { id: taskId } = await sendForTask(client, 'hello');
      const config = pushConfig(taskId);
      const list = async () =>
        (await client.listTaskPushNotificationConfig({ tenant: '', taskId, pageSize: 0, pageToken: '' }))
          .configs;
      await client.createTaskPushNotificationConfig(config);
      expect(await client.getTaskPushNotificationConfig({ tenant: '', taskId, id: config.id })).toMatchObject(
        { url: config.url },
      );
      expect(await list()).toHaveLength(1);
      await client.deleteTaskPushNotificationConfig({ tenant: '', taskId, id: config.id });
      expect(await list()).toHaveLength(0);
    });

    it('gets the extended card, with the security on it', async () => {
      const card = await (await connected(granted.partner)).getAgentCard();
      expect(card.description).toBe('Answers trusted callers.');
      expect(new Set(Object.keys(card.securitySchemes))).toEqual(
        new Set(['userToken', 'tenantKey', 'partnerKey']),
      );
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
      }

      await client.cancelTask({ tenant: '', id, metadata: undefined });
      await collect(stream);
    });
  });

  it('a denied caller gets an auth-required task for a message', async () => {
    const task = await sendForTask(await connected(denied.missing), 'hello', { contextId: 'my-context' });
    expect(task).toMatchObject({
      contextId: 'my-context',
      status: { state: TaskState.TASK_STATE_AUTH_REQUIRED },
    });
  });

  it('a denied caller gets one event for a streamed message, and the stream ends', async () => {
    const client = await connected(denied.insufficient_scope);
    const events = await collect(client.sendMessageStream(request('hello')));
    expect(events.map(stateOf)).toEqual([TaskState.TASK_STATE_AUTH_REQUIRED]);
  });

  it('a denied caller gets the status of any other operation', async () => {
    const refusal = (await connected(denied.not_permitted)).getTask({ tenant: '', id: 'any' });
    await expect(refusal).rejects.toMatchObject({ status: status.PERMISSION_DENIED });
  });

  it('a caller without credentials is let in where {} is an alternative, but not to the extended card', async () => {
    const open = await startGrpcAgent({
      security: new AgentSecurity()
        .addSecurityScheme('key', apiKey({ in: 'header', name: 'X-Key', keys: ['a-key'] }))
        .addSecurityRequirement({ key: [] })
        .addSecurityRequirement({}),
    });
    const anonymous = await connectGrpc(open.card, version);
    const task = await sendForTask(anonymous, 'hello');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    await expect(anonymous.getAgentCard()).rejects.toMatchObject({ status: status.UNAUTHENTICATED });
    const named = await connectGrpc(open.card, version, { 'x-key': 'a-key' });
    expect((await named.getAgentCard()).description).toBe('Answers trusted callers.');
  });

  describe('the executor', () => {
    const lastCall = () => {
      const call = agent.executor.calls.at(-1);
      if (call === undefined) throw new Error('The executor was not called.');
      return call;
    };

    it('sees the user and the tenant, the user first', async () => {
      await sendForTask(await connected(granted.tenantAndUser), 'hello');
      const context = lastCall();
      expect(principalOf(context)).toMatchObject({ id: 'https://users.example|ada', scopes: ['call'] });
      expect([...principalsOf(context).keys()]).toEqual(['userToken', 'tenantKey']);
      expect(callerCredential(context, 'userToken')).toBe('ada');
    });

    it('finds the metadata in its state, and no credential anywhere in it', async () => {
      const headers = { ...granted.partner, ...granted.tenantAndUser, Cookie: 'session=a-session-secret' };
      await sendForTask(await connected({ ...headers, 'X-Trace': 'trace-1' }), 'hello');
      const { context } = lastCall();
      expect(context.state.get('headers')).toMatchObject({ 'x-trace': 'trace-1' });
      const seen = inspect(context, { depth: Infinity, showHidden: true });
      expect(seen).toContain('trace-1');
      for (const secret of [...secrets, 'a-session-secret']) expect(seen).not.toContain(secret);
    });
  });

  it('gets the extended card of an agent with a device code flow', async () => {
    const security = new AgentSecurity()
      .addSecurityScheme('key', apiKey({ in: 'header', name: 'X-Key', keys: ['a-key'] }))
      .addSecurityScheme(
        'device',
        oauth2DeviceCode({
          deviceAuthorizationUrl: 'https://as.example/device',
          tokenUrl: 'https://as.example/token',
          scopes: { ask: 'To ask' },
          verifier: { verify: () => Promise.reject(new Error('unused')) },
        }),
      )
      .addSecurityRequirement({ key: [] })
      .addSecurityRequirement({ device: ['ask'] });
    const { card } = await startGrpcAgent({ security });
    const extended = await (await connectGrpc(card, version, { 'x-key': 'a-key' })).getAgentCard();
    // The protocol buffers of 0.3 have no such flow.
    expect(new Set(Object.keys(extended.securitySchemes))).toEqual(
      new Set(version === '1.0' ? ['key', 'device'] : ['key']),
    );
  });
});

it('lists the tasks of the caller alone', async () => {
  const client = await connectGrpc(agent.card, '1.0', granted.partner);
  const { id } = await sendForTask(client, 'hello');
  const idsOf = async (caller: Client) => (await listTasks(caller)).tasks.map((task) => task.id);
  expect(await idsOf(client)).toContain(id);
  expect(await idsOf(await connectGrpc(agent.card, '1.0', granted.otherPartner))).not.toContain(id);
});

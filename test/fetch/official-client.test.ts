import { TaskState, type StreamResponse } from '@a2a-js/sdk';
import { callerCredential, principalOf } from '@a2a-auth/server';
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
  type Client,
} from '@a2a-js/sdk/client';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';

import { textOf } from '../support/agent.js';
import { collect, combinations, request, sendForTask, type Combination } from '../support/client.js';
import { denied, granted, secrets, type Headers } from '../support/credentials.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests } from '../support/server.js';
import { createFetchAgent, startFetchAgent } from './support.js';

closeServersAfterTests();
muteConsole();

type Agent = ReturnType<typeof createFetchAgent>;
const agents: Record<string, Agent> = {};
beforeAll(async () => {
  agents['behind Hono, on a real server'] = await startFetchAgent({ lifetime: 'file' });
  agents['called without any server'] = createFetchAgent();
});

/** The official client, made from the agent's own card, for one binding and version, with this `fetch`. */
async function connect(agent: Agent, fetchImpl: typeof fetch, { binding, version }: Combination) {
  const card = await new DefaultAgentCardResolver({ fetchImpl }).resolve(agent.url);
  const supportedInterfaces = card.supportedInterfaces.filter(
    ({ protocolBinding, protocolVersion }) => protocolBinding === binding && protocolVersion === version,
  );
  const options: unknown = { fetchImpl, legacyCompat: { enabled: true } };
  const transports = [JsonRpcTransportFactory, RestTransportFactory].map(
    (Factory) =>
      new Factory(options as NonNullable<ConstructorParameters<typeof JsonRpcTransportFactory>[0]>),
  );
  return new ClientFactory({ transports }).createFromAgentCard({ ...card, supportedInterfaces });
}

const stateOf = ({ payload }: StreamResponse) =>
  payload?.$case === 'task' || payload?.$case === 'statusUpdate' ? payload.value.status?.state : undefined;

function taskIdOf(result: IteratorResult<StreamResponse>): string {
  const payload = result.done === true ? undefined : result.value.payload;
  if (payload?.$case !== 'task') throw new Error('The first event is no task.');
  return payload.value.id;
}

describe.each(['behind Hono, on a real server', 'called without any server'])('an agent %s', (where) => {
  describe.each(combinations)('and the official client over $binding $version', (combination) => {
    function connected(headers: Headers): Promise<Client> {
      const agent = agents[where];
      if (agent === undefined) throw new Error('There is no agent.');
      const through = where === 'called without any server' ? agent.fetch : fetch;
      return connect(
        agent,
        (input, init) =>
          through(input, { ...init, headers: { ...(init?.headers as Headers | undefined), ...headers } }),
        combination,
      );
    }

    it.each(Object.entries(granted))('let in as %s: sends a message', async (_who, headers) => {
      const task = await sendForTask(await connected(headers), 'hello');
      expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
      expect(textOf(task.status?.message)).toBe('Done.');
    });

    it('streams a message', async () => {
      const client = await connected(granted.partner);
      const events = await collect(client.sendMessageStream(request('hello')));
      expect(events.map(stateOf)).toEqual([TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED]);
    });

    it('cancels a task, and a resubscribed stream sees it', async () => {
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

    it('gets its task, and nobody else does', async () => {
      const client = await connected(granted.partner);
      const { id } = await sendForTask(client, 'hello');
      expect(await client.getTask({ tenant: '', id })).toMatchObject({ id });
      const other = await connected(granted.otherPartner);
      await expect(other.getTask({ tenant: '', id })).rejects.toThrow(/not found/i);
    });

    it('creates, gets, lists and deletes a push notification configuration', async () => {
      const client = await connected(granted.partner);
      const { id: taskId } = await sendForTask(client, 'hello');
      const config = {
        tenant: '',
        taskId,
        id: 'config-1',
        url: 'https://client.example/notify',
        token: 'notify-token',
        authentication: undefined,
      };
      const list = async () =>
        (await client.listTaskPushNotificationConfig({ tenant: '', taskId, pageSize: 0, pageToken: '' }))
          .configs;
      expect(await client.createTaskPushNotificationConfig(config)).toMatchObject({ url: config.url });
      expect(await client.getTaskPushNotificationConfig({ tenant: '', taskId, id: config.id })).toMatchObject(
        {
          token: config.token,
        },
      );
      expect(await list()).toHaveLength(1);
      await client.deleteTaskPushNotificationConfig({ tenant: '', taskId, id: config.id });
      expect(await list()).toHaveLength(0);
    });

    it('gets the extended card, with the security on it', async () => {
      const card = await (await connected(granted.partner)).getAgentCard();
      expect(card.description).toBe('Answers trusted callers.');
      expect(Object.keys(card.securitySchemes)).toEqual(['userToken', 'tenantKey', 'partnerKey']);
    });

    it('gets an auth-required task when it is not let in, and a stream of one event', async () => {
      const client = await connected(denied.invalid);
      const task = await sendForTask(client, 'hello', { contextId: 'my-context' });
      expect(task.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
      const events = await collect(client.sendMessageStream(request('hello')));
      expect(events.map(stateOf)).toEqual([TaskState.TASK_STATE_AUTH_REQUIRED]);
      await expect(client.getTask({ tenant: '', id: 'any' })).rejects.toThrow(/[Aa]uthentication/);
    });

    it('leaves the principal and the credential to the executor, and the secrets out of its state', async () => {
      const cookie = { Cookie: 'session=a-session-secret', 'X-Trace': 'trace-1' };
      await sendForTask(await connected({ ...granted.tenantAndUser, ...cookie }), 'hello');
      const context = agents[where]?.executor.calls.at(-1);
      if (context === undefined) throw new Error('The executor was not called.');
      expect(principalOf(context)).toMatchObject({ id: 'https://users.example|ada' });
      expect(callerCredential(context, 'userToken')).toBe('ada');
      const seen = inspect(context.context, { depth: Infinity, showHidden: true });
      expect(seen).toContain('trace-1');
      for (const secret of [...secrets, 'a-session-secret']) expect(seen).not.toContain(secret);
    });
  });
});

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Operation } from '@a2a-auth/server';
import { TaskState } from '@a2a-js/sdk';
import { AgentEvent } from '@a2a-js/sdk/server';
import { describe, expect, it, vi } from 'vitest';

import { combinations, connect, type Combination } from './support/client.js';
import { granted } from './support/credentials.js';
import { countListeners } from './support/listeners.js';
import { callsOf } from './support/operations.js';
import { muteConsole } from './support/quiet.js';
import { closeServersAfterTests, startAgent, type RunningAgent } from './support/server.js';

closeServersAfterTests();
muteConsole();

/** Works on a message until it is told to go on, with several events to come. */
function workInSteps(agent: RunningAgent) {
  let goOn: () => void = () => undefined;
  const told = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let taskId = '';
  let listening = () => 0;
  vi.spyOn(agent.executor, 'execute').mockImplementation(async (context, bus) => {
    ({ taskId } = context);
    listening = countListeners(bus);
    const status = { state: TaskState.TASK_STATE_WORKING, message: undefined, timestamp: undefined };
    const { contextId } = context;
    const task = { id: taskId, contextId, status, artifacts: [], history: [], metadata: undefined };
    bus.publish(AgentEvent.task(task));
    await told;
    for (let step = 0; step < 3; step++) {
      bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status, metadata: undefined }));
    }
    const completed = { ...status, state: TaskState.TASK_STATE_COMPLETED };
    bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status: completed, metadata: undefined }));
    bus.finished();
  });
  return {
    goOn: () => {
      goOn();
    },
    taskId: () => taskId,
    /** How many wait for events of the task since it began. */
    listening: () => listening(),
  };
}

/** Calls an operation, and leaves its stream after the first event. */
async function askAndLeave(
  agent: RunningAgent,
  combination: Combination,
  operation: Operation = 'SendStreamingMessage',
  taskId = 't-1',
): Promise<void> {
  const call = callsOf(combination).find((given) => given.operation === operation);
  if (call === undefined) throw new Error('There is no stream.');
  const ofTask = (text: string) => text.replaceAll('t-1', taskId);
  const leaving = new AbortController();
  const requests = once(agent.server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
  const { body } = await fetch(
    `${combination.binding === 'JSONRPC' ? agent.jsonRpcUrl : agent.restUrl}${ofTask(call.path)}`,
    {
      method: call.method,
      headers: {
        'A2A-Version': combination.version,
        'Content-Type': 'application/json',
        ...granted.partner,
      },
      ...(call.body === undefined ? {} : { body: ofTask(JSON.stringify(call.body)) }),
      signal: leaving.signal,
    },
  );
  await body?.getReader().read();
  const [, response] = await requests;
  const closed = once(response, 'close');
  leaving.abort();
  await closed;
}

describe.each(combinations)('over $binding $version', (combination) => {
  it('the task of a caller who left goes on, and is there when the caller comes back', async () => {
    const agent = await startAgent();
    const work = workInSteps(agent);
    await askAndLeave(agent, combination);
    work.goOn();

    const client = await connect(agent.url, combination, granted.partner);
    await vi.waitFor(async () => {
      const { status } = await client.getTask({ tenant: '', id: work.taskId(), historyLength: undefined });
      expect(status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    });
  });

  it('subscriptions of a caller who left leave no more behind than one of them', async () => {
    const agent = await startAgent();
    const work = workInSteps(agent);
    await askAndLeave(agent, combination);
    const subscribe = () => askAndLeave(agent, combination, 'SubscribeToTask', work.taskId());
    await subscribe();
    const afterOne = work.listening();
    expect(afterOne).toBeGreaterThan(0);
    for (let count = 0; count < 5; count++) await subscribe();
    await vi.waitFor(() => {
      expect(work.listening()).toBe(afterOne);
    });
    work.goOn();
    await vi.waitFor(() => {
      expect(work.listening()).toBeLessThanOrEqual(0);
    });
  });
});

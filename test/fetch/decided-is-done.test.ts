import { AgentSecurity, type DecisionEvent } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import express from 'express';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { exchange } from '../support/raw-http.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen } from '../support/server.js';
import { listenerOf } from './support.js';

closeServersAfterTests();
muteConsole();

// A credential may permit some operations and no others. So what the gate takes a path for has to be what is done for it.

const operations: Readonly<Record<string, string>> = {
  getAuthenticatedExtendedAgentCard: 'GetExtendedAgentCard',
  sendMessage: 'SendMessage',
  sendMessageStream: 'SendStreamingMessage',
  resubscribe: 'SubscribeToTask',
  getTask: 'GetTask',
  listTasks: 'ListTasks',
  cancelTask: 'CancelTask',
  createTaskPushNotificationConfig: 'CreateTaskPushNotificationConfig',
  getTaskPushNotificationConfig: 'GetTaskPushNotificationConfig',
  listTaskPushNotificationConfigs: 'ListTaskPushNotificationConfigs',
  deleteTaskPushNotificationConfig: 'DeleteTaskPushNotificationConfig',
};

function watched(card: ReturnType<typeof agentCard>) {
  const decided: string[] = [];
  const done: string[] = [];
  const security = new AgentSecurity({
    onDecision: ({ operation }: DecisionEvent) => decided.push(operation),
  })
    .addSecurityScheme('anybody', {
      declaration: { type: 'apiKey', in: 'header', name: 'X-Name' },
      extract: (request) => request.header('x-name')[0],
      verify: (subject: string) => ({ verified: true, principal: { subject } }),
    })
    .addSecurityRequirement({ anybody: [] });
  const { requestHandler } = createAgent(card);
  const noting = new Proxy<A2ARequestHandler>(requestHandler, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      const operation = operations[String(name)];
      if (operation === undefined || typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        done.push(operation);
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { decided, done, security, requestHandler: noting };
}

const start = {
  async express() {
    const { port, url, serve } = await listen('file');
    const agent = watched(agentCard(url));
    const app = express();
    app.use(agentRouter({ security: agent.security, requestHandler: agent.requestHandler }));
    serve(app);
    return { ...agent, port };
  },
  async fetch() {
    const { server, port, url } = await listen('file');
    const agent = watched(agentCard(url));
    const { security, requestHandler } = agent;
    server.on('request', listenerOf(agentFetchHandler({ security, requestHandler })));
    return { ...agent, port };
  },
};

const segment = fc.constantFrom(
  ...[
    'tasks',
    'Tasks',
    't-1',
    'v1',
    'V1',
    'card',
    'extendedAgentCard',
    'pushNotificationConfigs',
    'mine',
    '',
  ],
  ...['message:send', 'message:stream', 't-1:cancel', 't-1:subscribe', 'tasks:cancel', 'tasks:subscribe'],
  ...['%74asks', 't%2f1', 'message%3Asend'],
);
const request = fc.record({
  method: fc.constantFrom('GET', 'GET', 'POST', 'DELETE', 'HEAD'),
  path: fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => `/${segments.join('/')}`),
  version: fc.constantFrom('1.0', '0.3', ''),
});

describe.each(['express', 'fetch'] as const)('with %s', (binding) => {
  let agent: Awaited<ReturnType<typeof start.express>>;
  beforeAll(async () => {
    agent = await start[binding]();
  });
  beforeEach(() => {
    agent.decided.length = 0;
    agent.done.length = 0;
  });

  async function ask(method: string, path: string, version: string) {
    agent.decided.length = 0;
    agent.done.length = 0;
    await exchange(agent.port, {
      method,
      target: `/a2a/rest${path}`,
      headers: [
        ['X-Name', 'ada'],
        ...(version === '' ? [] : [['A2A-Version', version] as const]),
        ...(method === 'POST' ? [['Content-Type', 'application/json'] as const] : []),
      ],
      ...(method === 'POST' ? { body: '{}' } : {}),
    });
    return { decided: [...agent.decided], done: [...agent.done] };
  }

  it.each([
    ['GET', '/tasks/extendedAgentCard', 'GetExtendedAgentCard'],
    ['GET', '/tasks/tasks/pushNotificationConfigs', 'GetTask'],
    ['GET', '/tasks/tasks', 'GetTask'],
    ['GET', '/tasks/tasks/t-1:subscribe', 'SubscribeToTask'],
    ['DELETE', '/tasks/tasks/pushNotificationConfigs/c-1', 'DeleteTaskPushNotificationConfig'],
  ])('%s %s is decided on and done as %s', async (method, path, operation) => {
    expect(await ask(method, path, '1.0')).toEqual({ decided: [operation], done: [operation] });
  });

  it('whatever the path, nothing is done but what was decided on', { timeout: 120_000 }, async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(request, async ({ method, path, version }) => {
        const { decided, done } = await ask(method, path, version);
        for (const operation of done) {
          seen.add(operation);
          expect(decided).toEqual([operation]);
        }
      }),
      { seed: 1, numRuns: 3000 },
    );
    // Without a message, its operations are refused before.
    expect(seen.size).toBeGreaterThanOrEqual(8);
  });
});

import { connect } from 'node:net';

import {
  AgentSecurity,
  principalOf,
  type Operation,
  type Permission,
  type SecurityScheme,
  type Verification,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import { agentServices } from '@a2a-auth/server/grpc';
import type { A2ARequestHandler, RequestContext } from '@a2a-js/sdk/server';
import { status } from '@grpc/grpc-js';
import express from 'express';
import { describe, expect, it, vi } from 'vitest';

import { listenerOf } from '../fetch/support.js';
import { agentCard, createAgent, textOf } from '../support/agent.js';
import { combinations } from '../support/client.js';
import {
  callGrpc,
  channel,
  closeGrpcAfterTests,
  grpcCard,
  listenGrpc,
  methods,
  startCall,
  versions,
  type GrpcMethod,
} from '../support/grpc.js';
import { callsOf, jsonRpc, message, send } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen } from '../support/server.js';

closeGrpcAfterTests();
closeServersAfterTests();
muteConsole();

const operations: Readonly<Record<string, Operation>> = {
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

/** Whoever says a name has it. It is looked up later for some than for others, and may allow one operation alone. */
const names: SecurityScheme<string> = {
  declaration: { type: 'apiKey', in: 'header', name: 'X-Name' },
  extract: (request) => request.header('x-name')[0],
  async verify(name): Promise<Verification> {
    for (let turn = 0; turn < (name.length * 7919) % 13; turn++) await nextTurn();
    const [subject = '', only] = name.split(' for ');
    const permits = async ({ operation }: { operation: Operation }): Promise<Permission> => {
      await nextTurn();
      return operation === only ? { permitted: true } : { permitted: false, detail: 'Another operation.' };
    };
    return { verified: true, principal: { subject }, ...(only === undefined ? {} : { permits }) };
  },
};

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

type Start = () => Promise<{
  readonly agent: ReturnType<typeof createAgent>;
  /** What was done at the agent. */
  readonly done: Operation[];
  readonly url: string;
  readonly port: number;
}>;

function createWatched(card: ReturnType<typeof agentCard>) {
  const done: Operation[] = [];
  const agent = createAgent(card);
  const requestHandler = new Proxy<A2ARequestHandler>(agent.requestHandler, {
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
  const security = new AgentSecurity().addSecurityScheme('name', names).addSecurityRequirement({ name: [] });
  return { agent, done, served: { security, requestHandler } };
}

const startGrpc: Start = async () => {
  const { server, port, address } = await listenGrpc();
  const { agent, done, served } = createWatched(grpcCard(address));
  for (const { definition, implementation } of agentServices(served))
    server.addService(definition, implementation);
  return { agent, done, url: address, port };
};

const http: Readonly<Record<'express' | 'fetch', Start>> = {
  async express() {
    const { port, url, serve } = await listen();
    const { agent, done, served } = createWatched(agentCard(url));
    serve(express().use(agentRouter(served)));
    return { agent, done, url, port };
  },
  async fetch() {
    const { server, port, url } = await listen();
    const { agent, done, served } = createWatched(agentCard(url));
    server.on('request', listenerOf(agentFetchHandler(served)));
    return { agent, done, url, port };
  },
};

/** Who called, and whom the message says. */
function callers(calls: readonly RequestContext[]): readonly (readonly [string, string])[] {
  return calls.map((call) => [principalOf(call).subject, textOf(call.userMessage)]);
}

const people = Array.from({ length: 100 }, (_, index) => `caller-${'x'.repeat(index % 11)}-${String(index)}`);
const everybody = people.map((name) => [name, name] as const);

describe('a hundred callers at once', () => {
  it.each(versions)('over one gRPC connection, in %s, are each taken for who they are', async (version) => {
    const { agent, url } = await startGrpc();
    const client = channel(url);
    const outcomes = await Promise.all(
      people.map((name, index) => {
        const { method, request } = methods[version][index % 2] as GrpcMethod;
        const named = JSON.parse(JSON.stringify(request).replace('"hello"', JSON.stringify(name))) as unknown;
        return startCall(client, version, method, named, { 'x-name': name }).outcome;
      }),
    );
    expect(new Set(outcomes.map(({ code }) => code))).toEqual(new Set([status.OK]));
    expect([...callers(agent.executor.calls)].sort()).toEqual([...everybody].sort());
  });

  it.each(Object.entries(http))('down one pipe over HTTP, with %s, likewise', async (_binding, start) => {
    const { agent, port } = await start();
    const requests = people.map((name) => {
      const body = JSON.stringify(
        jsonRpc('SendMessage', { message: { ...message['1.0'], parts: [{ text: name }] } }),
      );
      const head = [
        'POST /a2a/jsonrpc HTTP/1.1',
        'Host: agent.example',
        'A2A-Version: 1.0',
        'Content-Type: application/json',
        `X-Name: ${name}`,
        `Content-Length: ${String(body.length)}`,
      ];
      return `${head.join('\r\n')}\r\n\r\n${body}`;
    });
    const socket = connect(port, '127.0.0.1').resume();
    socket.write(requests.join(''));
    await vi.waitFor(
      () => {
        expect(agent.executor.calls).toHaveLength(people.length);
      },
      { timeout: 10_000 },
    );
    socket.destroy();
    expect([...callers(agent.executor.calls)].sort()).toEqual([...everybody].sort());
  });
});

describe('a credential for one operation', () => {
  const wanted = Object.values(operations);

  it.each(versions)('does no other over gRPC %s', async (version) => {
    const { done, url } = await startGrpc();
    for (const only of wanted) {
      for (const { method, operation, request } of methods[version]) {
        done.length = 0;
        await callGrpc(url, version, method, request, { 'x-name': `ada for ${only}` });
        expect(new Set(done)).toEqual(new Set(operation === only ? [only] : []));
      }
    }
  });

  const ways = Object.entries(http).flatMap(([binding, start]) =>
    combinations.map((combination) => ({ ...combination, combination, with: binding, start })),
  );
  it.each(ways)('does no other over $binding $version with $with', async ({ combination, start }) => {
    const { done, url } = await start();
    const interfaceUrl = `${url}${combination.binding === 'JSONRPC' ? '/a2a/jsonrpc' : '/a2a/rest'}`;
    for (const only of wanted) {
      for (const call of callsOf(combination)) {
        for (const version of ['1.0', '0.3'] as const) {
          done.length = 0;
          const response = await send(interfaceUrl, { version }, call, { 'x-name': `ada for ${only}` });
          await response.body?.cancel();
          expect(done.filter((operation) => operation !== only)).toEqual([]);
          if (call.operation === only && version === combination.version) expect(done).toContain(only);
        }
      }
    }
  });
});

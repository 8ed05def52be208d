import { once } from 'node:events';

import {
  AgentSecurity,
  apiKey,
  httpBearer,
  type AgentSecurityOptions,
  type DecisionEvent,
  type Verification,
} from '@a2a-auth/server';
import { TaskState } from '@a2a-js/sdk';
import { AgentEvent } from '@a2a-js/sdk/server';
import { A2AService } from '@a2a-js/sdk/server/grpc';
import { credentials, Metadata, status, type Client } from '@grpc/grpc-js';
import { describe, expect, it, vi } from 'vitest';

import { createSecurity, granted } from '../support/credentials.js';
import { countListeners } from '../support/listeners.js';
import { muteConsole } from '../support/quiet.js';
import {
  callGrpc,
  channel,
  closeGrpcAfterTests,
  metadataOf,
  methods,
  startCall,
  startGrpcAgent,
  versions,
  type GrpcMethod,
  type StartGrpcOptions,
  type Version,
} from '../support/grpc.js';
import { sendRaw } from '../support/grpc-raw.js';

closeGrpcAfterTests();
muteConsole();

const [sendMessage] = methods['1.0'] as [GrpcMethod];

/** An agent that tells its decisions. */
async function startWatched(options: Omit<StartGrpcOptions, 'security'> = {}) {
  const decisions: DecisionEvent[] = [];
  const security = createSecurity({ onDecision: (decision) => decisions.push(decision) });
  return { ...(await startGrpcAgent({ ...options, security })), decisions };
}

/** A bearer token that is verified when the test says so. */
function securityOnHold(options: AgentSecurityOptions = {}) {
  const { promise: asked, resolve: ask } = promiseWithResolvers<undefined>();
  const { promise: verification, resolve: answer } = promiseWithResolvers<Verification>();
  const security = new AgentSecurity(options)
    .addSecurityScheme(
      'token',
      httpBearer({
        verifier: {
          verify: () => {
            ask(undefined);
            return verification;
          },
        },
      }),
    )
    .addSecurityRequirement({ token: [] });
  return { security, asked, answer };
}

function promiseWithResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

describe('a credential that is sent twice', () => {
  const path = A2AService.sendMessage.path;
  const message = A2AService.sendMessage.requestSerialize(sendMessage.request as never);
  const partnerKey = granted.partner['X-API-Key'];
  const user = granted.tenantAndUser;

  async function decisionOn(...fields: [string, string][]) {
    const agent = await startWatched();
    const hangUp = sendRaw(agent.port, path, [['a2a-version', '1.0'], ...fields], message);
    await vi.waitFor(() => {
      expect(agent.decisions).toHaveLength(1);
    });
    hangUp();
    return agent.decisions[0]?.granted;
  }

  it('is let in when it is there once, so that the rest means something', async () => {
    expect(await decisionOn(['x-api-key', partnerKey])).toBe(true);
    expect(
      await decisionOn(['x-tenant-key', user['X-Tenant-Key']], ['authorization', user.Authorization]),
    ).toBe(true);
  });

  it.each([
    ['a wrong key after it', [partnerKey, 'no-such-key']],
    ['a wrong key before it', ['no-such-key', partnerKey]],
    ['itself', [partnerKey, partnerKey]],
    ['nothing', [partnerKey, '']],
  ] as const)('is refused as an API key with %s', async (_with, keys) => {
    expect(await decisionOn(...keys.map((key): [string, string] => ['x-api-key', key]))).toBe(false);
  });

  it('is never taken from the second authorization', async () => {
    const tenant: [string, string] = ['x-tenant-key', user['X-Tenant-Key']];
    expect(
      await decisionOn(tenant, ['authorization', 'Bearer nobody'], ['authorization', user.Authorization]),
    ).toBe(false);
  });
});

describe.each(versions)('metadata over gRPC %s', (version) => {
  const [{ request }] = methods[version] as [GrpcMethod];

  it('in binary is no credential', async () => {
    const agent = await startWatched();
    const metadata = new Metadata();
    for (const name of ['authorization-bin', 'x-api-key-bin']) {
      metadata.set(name, Buffer.from(granted.partner['X-API-Key']));
    }
    await callGrpc(agent.address, version, 'sendMessage', request, metadata);
    expect(agent.decisions).toMatchObject([{ granted: false, reason: 'missing_credential' }]);
  });

  it('with the names of an object’s own parts does no harm, and no good', async () => {
    const agent = await startWatched();
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__definegetter__'];
    const odd = Object.fromEntries(names.map((name) => [name.toLowerCase(), 'x']));
    await callGrpc(agent.address, version, 'sendMessage', request, metadataOf(odd));
    const outcome = await callGrpc(
      agent.address,
      version,
      'sendMessage',
      request,
      metadataOf({ ...odd, ...granted.partner }),
    );
    expect(agent.decisions.map((decision) => decision.granted)).toEqual([false, true]);
    expect(outcome.code).toBe(status.OK);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  it('beyond 64 KiB is refused before anybody is asked, and the server lives on', async () => {
    const agent = await startWatched();
    const outcome = await callGrpc(agent.address, version, 'sendMessage', request, {
      ...granted.partner,
      'x-padding': 'x'.repeat(100_000),
    });
    expect(outcome.code).not.toBe(status.OK);
    expect(agent.decisions).toEqual([]);
    const next = await callGrpc(agent.address, version, 'sendMessage', request, granted.partner);
    expect(next.code).toBe(status.OK);
  });

  it('of nearly 64 KiB is read like any other', async () => {
    const agent = await startWatched();
    const long = { 'x-api-key': 'k'.repeat(30_000), authorization: `Bearer ${'t'.repeat(30_000)}` };
    const outcome = await callGrpc(agent.address, version, 'getTask', methods[version][2]?.request, long);
    expect(outcome.code).toBe(status.UNAUTHENTICATED);
    expect(agent.decisions).toMatchObject([{ granted: false, reason: 'invalid_credential' }]);
  });
});

/** When another call was answered, the server has read what was sent before it, and done what was to be done at once. */
async function catchUp(client: Client, version: Version): Promise<void> {
  const { outcome } = startCall(client, version, 'getTask', methods[version][2]?.request);
  expect((await outcome).code).toBe(status.UNAUTHENTICATED);
}

describe.each(versions)('a call over gRPC %s that ends before its credential is verified', (version) => {
  const bearer = { authorization: 'Bearer a-token' };

  it.each(
    methods[version].slice(0, 2).flatMap(({ method, request }) => [
      { method, request, end: 'by its deadline', code: status.DEADLINE_EXCEEDED },
      { method, request, end: 'cancelled', code: status.CANCELLED },
    ]),
  )('reaches nobody: $method, $end', async ({ method, request, code }) => {
    const decisions: DecisionEvent[] = [];
    const { security, asked, answer } = securityOnHold({
      onDecision: (decision) => decisions.push(decision),
    });
    const agent = await startGrpcAgent({ security });
    const client = channel(agent.address);
    const { call, outcome } = startCall(client, version, method, request, bearer, {
      ...(code === status.DEADLINE_EXCEEDED ? { deadline: Date.now() + 300 } : {}),
    });
    await asked;
    if (code === status.CANCELLED) call.cancel();
    expect((await outcome).code).toBe(code);
    await catchUp(client, version);

    answer({ verified: true, principal: { subject: 'late' } });
    await vi.waitFor(() => {
      expect(decisions.map((decision) => decision.granted)).toEqual([false, true]);
    });
    await catchUp(client, version);
    expect(agent.executor.calls).toHaveLength(0);
    expect(agent.taskStore.saved).toBe(0);
  });

  it('is unavailable when the verification never ends', async () => {
    const { security } = securityOnHold({ verificationTimeout: 50 });
    const agent = await startGrpcAgent({ security });
    for (const { method, request } of methods[version]) {
      const { code } = await callGrpc(agent.address, version, method, request, bearer);
      expect(code).toBe(status.UNAVAILABLE);
    }
    expect(agent.executor.calls).toHaveLength(0);
  });
});

describe.each(versions)('a caller over gRPC %s who leaves a stream', (version) => {
  it('finds its task finished when it comes back', async () => {
    const agent = await startGrpcAgent();
    const left = promiseWithResolvers<undefined>();
    vi.spyOn(agent.executor, 'execute').mockImplementation(async ({ taskId, contextId }, bus) => {
      const statusOf = (state: TaskState) => ({ state, message: undefined, timestamp: undefined });
      const parts = { id: taskId, contextId, artifacts: [], history: [], metadata: undefined };
      bus.publish(AgentEvent.task({ ...parts, status: statusOf(TaskState.TASK_STATE_WORKING) }));
      await left.promise;
      for (const state of [TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED]) {
        bus.publish(
          AgentEvent.statusUpdate({ taskId, contextId, status: statusOf(state), metadata: undefined }),
        );
      }
      bus.finished();
    });
    const client = channel(agent.address);
    const { method, request } = methods[version][1] as GrpcMethod;
    const { call, outcome } = startCall(client, version, method, request, granted.partner);
    const [first] = (await once(call, 'data')) as [{ payload: { value: { id: string } } }];
    const { id } = first.payload.value;
    call.cancel();
    expect((await outcome).code).toBe(status.CANCELLED);
    await catchUp(client, version);
    left.resolve(undefined);

    const byId = version === '1.0' ? { tenant: '', id } : { name: `tasks/${id}`, historyLength: 0 };
    await vi.waitFor(async () => {
      const { messages } = await startCall(client, version, 'getTask', byId, granted.partner).outcome;
      // Completed, in both versions.
      expect(messages).toMatchObject([{ id, status: { state: 3 } }]);
    });
  });

  it('leaves no more subscriptions behind than one, however often it comes', async () => {
    const agent = await startGrpcAgent();
    const done = promiseWithResolvers<undefined>();
    let listening = () => 0;
    vi.spyOn(agent.executor, 'execute').mockImplementation(async ({ taskId, contextId }, bus) => {
      listening = countListeners(bus);
      const working = { state: TaskState.TASK_STATE_WORKING, message: undefined, timestamp: undefined };
      const parts = { id: taskId, contextId, artifacts: [], history: [], metadata: undefined };
      bus.publish(AgentEvent.task({ ...parts, status: working }));
      await done.promise;
      bus.finished();
    });
    const client = channel(agent.address);
    const { method, request } = methods[version][1] as GrpcMethod;
    const { call } = startCall(client, version, method, request, granted.partner);
    const [first] = (await once(call, 'data')) as [{ payload: { value: { id: string } } }];
    const { id } = first.payload.value;
    const byId = version === '1.0' ? { tenant: '', id } : { name: `tasks/${id}` };
    const subscribe = methods[version].find(({ operation }) => operation === 'SubscribeToTask') as GrpcMethod;
    const comeAndGo = async () => {
      const subscription = startCall(client, version, subscribe.method, byId, granted.partner);
      await once(subscription.call, 'data');
      subscription.call.cancel();
      await subscription.outcome;
      await catchUp(client, version);
    };
    await comeAndGo();
    const afterOne = listening();
    expect(afterOne).toBeGreaterThan(0);
    for (let count = 0; count < 5; count++) await comeAndGo();
    await vi.waitFor(() => {
      expect(listening()).toBe(afterOne);
    });
    done.resolve(undefined);
  });

  it('is not subscribed any more', async () => {
    const agent = await startGrpcAgent();
    const [ended, wentOn] = [vi.fn(), vi.fn()];
    const left = promiseWithResolvers<undefined>();
    const task = {
      id: 't-1',
      contextId: '',
      status: undefined,
      artifacts: [],
      history: [],
      metadata: undefined,
    };
    const event = { payload: { $case: 'task' as const, value: task } };
    vi.spyOn(agent.requestHandler, 'resubscribe').mockImplementation(async function* () {
      try {
        yield event;
        await left.promise;
        yield event;
        wentOn();
      } finally {
        ended();
      }
    });
    const subscribe = methods[version].find(({ operation }) => operation === 'SubscribeToTask') as GrpcMethod;
    const client = channel(agent.address);
    const { method, request } = subscribe;
    const { call, outcome } = startCall(client, version, method, request, granted.partner);
    await once(call, 'data');
    call.cancel();
    await outcome;
    await catchUp(client, version);
    left.resolve(undefined);
    await vi.waitFor(() => {
      expect(ended).toHaveBeenCalledOnce();
    });
    expect(wentOn).not.toHaveBeenCalled();
  });
});

describe.each(versions)('what goes wrong over gRPC %s', (version) => {
  const [{ request }] = methods[version] as [GrpcMethod];

  it('in the agent is an error, and no grant', async () => {
    const agent = await startGrpcAgent();
    vi.spyOn(agent.requestHandler, 'sendMessage').mockRejectedValue(new Error('broken'));
    const outcome = await callGrpc(agent.address, version, 'sendMessage', request, granted.partner);
    expect(outcome).toMatchObject({ code: status.UNKNOWN, messages: [] });
    const denied = await callGrpc(agent.address, version, 'sendMessage', request);
    expect(denied.code).toBe(status.OK);
    expect(agent.executor.calls).toHaveLength(0);
  });

  it.each(['sendMessage', 'sendStreamingMessage', 'getTask'])(
    'in the gate is an internal error that says nothing: %s',
    async (method) => {
      const agent = await startGrpcAgent();
      vi.spyOn(agent.requestHandler, 'getAgentCard').mockRejectedValue(new Error('a-secret'));
      const asked = methods[version].find((known) => known.method === method)?.request;
      const outcome = await callGrpc(agent.address, version, method, asked);
      expect(outcome).toMatchObject({
        code: status.INTERNAL,
        details: 'Internal server error',
        messages: [],
      });
    },
  );

  it('in a scheme is a denial', async () => {
    const agent = await startGrpcAgent({
      security: new AgentSecurity()
        .addSecurityScheme('odd', {
          extract: () => {
            throw new TypeError('broken');
          },
          verify: () => ({ verified: true, principal: { subject: 'nobody' } }),
        })
        .addSecurityRequirement({ odd: [] }),
    });
    const outcome = await callGrpc(agent.address, version, 'getTask', methods[version][2]?.request);
    expect(outcome.code).toBe(status.UNAUTHENTICATED);
  });

  it('in the encoding of a message is for gRPC to say, and the server lives on', async () => {
    const agent = await startWatched();
    const client = channel(agent.address, credentials.createInsecure());
    const path = version === '1.0' ? A2AService.sendMessage.path : '/a2a.v1.A2AService/SendMessage';
    const answer = await new Promise<number | undefined>((resolve) => {
      client.makeUnaryRequest(
        path,
        (bytes: Buffer) => bytes,
        (bytes) => bytes,
        Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff]),
        metadataOf(granted.partner),
        (error) => {
          resolve(error?.code);
        },
      );
    });
    expect(answer).toBe(status.INTERNAL);
    expect(agent.decisions).toEqual([]);
    const next = await callGrpc(agent.address, version, 'sendMessage', request, granted.partner);
    expect(next.code).toBe(status.OK);
  });

  it('in the size of a message is for gRPC to say', async () => {
    const agent = await startWatched({ server: { 'grpc.max_receive_message_length': 1000 } });
    const large = JSON.parse(JSON.stringify(request).replace('"hello"', `"${'x'.repeat(2000)}"`)) as unknown;
    const outcome = await callGrpc(agent.address, version, 'sendMessage', large, granted.partner);
    expect(outcome.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(agent.decisions).toEqual([]);
  });

  it('in the name of a method is for gRPC to say', async () => {
    const agent = await startWatched();
    const client = channel(agent.address);
    for (const method of ['NoSuchMethod', 'constructor', '__proto__', 'sendMessage']) {
      const code = await new Promise<number | undefined>((resolve) => {
        const service = version === '1.0' ? 'lf.a2a.v1.A2AService' : 'a2a.v1.A2AService';
        client.makeUnaryRequest(
          `/${service}/${method}`,
          () => Buffer.alloc(0),
          (bytes) => bytes,
          {},
          metadataOf(granted.partner),
          (error) => {
            resolve(error?.code);
          },
        );
      });
      expect(code).toBe(status.UNIMPLEMENTED);
    }
    expect(agent.decisions).toEqual([]);
  });
});

it('a message nested a hundred thousand levels deep ends in an error, and the server lives on', async () => {
  const agent = await startWatched();
  const client = channel(agent.address);
  // Each level is a Value with a ListValue; sizes are filled in from the innermost one.
  const parts: Buffer[] = [];
  let size = 0;
  const wrap = (tag: number) => {
    const length: number[] = [];
    let rest = size;
    for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
    const head = Buffer.of(tag, ...length, rest);
    parts.push(head);
    size += head.length;
  };
  for (let level = 0; level < 100_000; level++) {
    wrap(0x0a); // ListValue.values
    wrap(0x32); // Value.list_value
  }
  wrap(0x22); // Part.data
  wrap(0x2a); // Message.parts
  wrap(0x12); // SendMessageRequest.message
  const bytes = Buffer.concat(parts.reverse());
  const code = await new Promise<number | undefined>((resolve) => {
    client.makeUnaryRequest(
      A2AService.sendMessage.path,
      () => bytes,
      (answer) => answer,
      {},
      metadataOf({ ...granted.partner, 'a2a-version': '1.0' }),
      (error) => {
        resolve(error?.code);
      },
    );
  });
  expect(code).toBe(status.INTERNAL);
  const next = await callGrpc(agent.address, '1.0', 'sendMessage', sendMessage.request, granted.partner);
  expect(next.code).toBe(status.OK);
});

it('a key in the query or a cookie is looked for in neither, where a header may stand in for it', async () => {
  const agent = await startGrpcAgent({
    security: new AgentSecurity()
      .addSecurityScheme('query', apiKey({ in: 'query', name: 'key', keys: ['a-query-key'] }))
      .addSecurityScheme('cookie', apiKey({ in: 'cookie', name: 'session', keys: ['a-cookie-key'] }))
      .addSecurityScheme('header', apiKey({ in: 'header', name: 'X-Key', keys: ['a-header-key'] }))
      .addSecurityRequirement({ query: [] })
      .addSecurityRequirement({ cookie: [] })
      .addSecurityRequirement({ header: [] }),
  });
  const getTask = (headers: Record<string, string>) =>
    callGrpc(agent.address, '1.0', 'getTask', { tenant: '', id: 'any' }, headers);
  const misplaced = { key: 'a-query-key', cookie: 'session=a-cookie-key', session: 'a-cookie-key' };
  expect((await getTask(misplaced)).code).toBe(status.UNAUTHENTICATED);
  expect((await getTask({ 'x-key': 'a-header-key' })).code).toBe(status.NOT_FOUND);
});

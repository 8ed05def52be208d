import { TaskState } from '@a2a-js/sdk';
import { encodeGrpcStatusDetails } from '@a2a-js/sdk/errors/grpc';
import { bearer, planAuthentication, type AgentResponse } from '@a2a-auth/client';
import { authenticatingInterceptor, type AuthenticatingInterceptorOptions } from '@a2a-auth/client/grpc';
import { InterceptingCall, status, type CallOptions, type Interceptor } from '@grpc/grpc-js';
import { describe, expect, it, vi } from 'vitest';

import { collect, request } from '../../../../test/support/client.js';
import {
  channel,
  closeGrpcAfterTests,
  startCall,
  versions,
  type Version,
} from '../../../../test/support/grpc.js';
import {
  bearerScheme,
  cardJson,
  cookieKey,
  headerKey,
  mtlsScheme,
  oauthScheme,
  queryKey,
} from '../support/card.js';
import {
  asTask,
  asUpdate,
  clientWith,
  messageOf,
  scriptedGrpc,
  tokenAgent,
  tokenOf,
  tokensOf,
  waitingTask,
  type GrpcAnswer,
} from '../support/grpc-agent.js';
import { countingSource } from '../support/source.js';

closeGrpcAfterTests();

const challenge = { 'www-authenticate': 'Bearer realm="a2a", error="invalid_token"' };
const denialData = { reason: 'invalid_credential', alternatives: [] };
const unauthenticated: GrpcAnswer = { code: status.UNAUTHENTICATED, trailers: challenge };
const sent = { messageId: 'm-1' };
const working = { state: 2, message: undefined, update: undefined };
const completed = { ...working, state: 3 };
const done: GrpcAnswer = { messages: [asTask(waitingTask('1.0', { status: completed }))] };
const tokenCard = cardJson({ token: bearerScheme }, [{ token: [] }]);

type Client = Awaited<ReturnType<typeof tokenAgent>>['client'];
type Agent = Awaited<ReturnType<typeof scriptedGrpc>>;
const send = (client: Client, fields: object = sent, configuration?: object) =>
  client.sendMessage({ ...request('hello', fields), configuration: configuration as never });
const stream = (client: Client, fields: object = sent) =>
  collect(client.sendMessageStream(request('hello', fields)));

interface Case {
  readonly name: string;
  readonly call: (client: Client, fields?: object) => Promise<unknown>;
  readonly answer: GrpcAnswer;
  readonly fields?: object;
}

const when = (name: string, call: Case['call'], answer: GrpcAnswer, fields: object = sent): Case => ({
  name,
  call,
  answer,
  fields,
});

const denials = (version: Version): readonly Case[] => {
  const task = (fields: object = {}, data?: unknown) => waitingTask(version, fields, data);
  const oneEvent = version === '1.0' ? asTask(task({}, denialData)) : asUpdate(task({}, denialData), true);
  const history = [messageOf(version, 'm-1')];
  const both: readonly Case[] = [
    when('a status', send, unauthenticated),
    when('a status without a challenge', send, { code: status.UNAUTHENTICATED }),
    when('a task with a challenge after it', send, { messages: [asTask(task())], trailers: challenge }),
    when('a task with a challenge before it', send, { messages: [asTask(task())], initial: challenge }),
    when('a task with a history of the message alone, and a challenge', send, {
      messages: [asTask(task({ history }))],
      trailers: challenge,
    }),
    when('the status of a stream', stream, unauthenticated),
    when('one event with a challenge after it', stream, { messages: [oneEvent], trailers: challenge }),
    when('an event with a challenge before it', stream, {
      messages: [asUpdate(task())],
      initial: challenge,
      code: 'open',
    }),
  ];
  // In 0.3 every message asks for no history, because the number 0 is the one that is not sent.
  const current: readonly Case[] = [
    when('a task with the data of a denial', send, { messages: [asTask(task({}, denialData))] }),
    when('a new and empty task', send, { messages: [asTask(task())] }),
    when('a new and empty task as first event', stream, { messages: [asTask(task())], code: 'open' }),
  ];
  return version === '1.0' ? [...both, ...current] : both;
};

const inTask = (version: Version): readonly Case[] => {
  const task = (fields: object = {}, data?: unknown) => waitingTask(version, fields, data);
  const history = [messageOf(version, 'm-1'), messageOf(version, 'm-2')];
  const artifacts = [
    { artifactId: 'a', name: '', description: '', parts: [], metadata: undefined, extensions: [] },
  ];
  const started = asTask(task({ status: working }));
  return [
    when('a task with a history', send, { messages: [asTask(task({ history }))], trailers: challenge }),
    when('a task with artifacts', send, { messages: [asTask(task({ artifacts }))], trailers: challenge }),
    when("a task with a history, and the data of somebody else's denial", send, {
      messages: [asTask(task({ history: history.slice(1) }, denialData))],
    }),
    when('the task that the message names', send, { messages: [asTask(task())] }, { ...sent, taskId: 't-1' }),
    when('a status-update as first event', stream, { messages: [asUpdate(task())] }),
    when('a later event of a stream', stream, { messages: [started, asUpdate(task())], trailers: challenge }),
    when('a first event after which the agent goes on, although it said that it was the last', stream, {
      messages: [asUpdate(task({}, denialData), true), started],
      trailers: challenge,
    }),
    when(
      'an event of a subscription',
      (client) => collect(client.resubscribeTask({ tenant: '', id: 't-1' })),
      { messages: [asUpdate(task())], trailers: challenge },
    ),
  ];
};

describe.each(versions)('over gRPC %s', (version) => {
  describe.each(denials(version))('after a denial by $name', ({ call, answer: denial }) => {
    it('renews, and sends the same message once more', async () => {
      const { client, agent, source, tasks } = await tokenAgent([denial, done], {}, version);
      await call(client);
      expect(tokensOf(agent)).toEqual(['token-1', 'token-2']);
      expect(JSON.stringify(agent.seen[0]?.request)).toContain('"messageId":"m-1"');
      expect(agent.seen[1]?.request).toEqual(agent.seen[0]?.request);
      expect(source.refusals).toMatchObject([
        { schemeId: 'token', refused: { headers: { authorization: 'Bearer token-1' } } },
      ]);
      expect(tasks).toEqual([]);
    });

    it('returns a second denial as it came, after two calls', async () => {
      const closed = denial.code === 'open' ? { ...denial, code: status.OK } : denial;
      const { client, agent, source, tasks } = await tokenAgent([denial, closed], {}, version);
      const received: unknown = await call(client).catch((error: unknown) => error);
      const direct = await clientWith(agent.address, passing, version);
      const plain: unknown = await call(direct).catch((error: unknown) => error);
      expect(comparable(received)).toEqual(comparable(plain));
      expect(tokensOf(agent)).toEqual(['token-1', 'token-2', 'undefined']);
      expect(source.refusals).toHaveLength(1);
      expect(tasks).toEqual([]);
    });
  });

  it.each(inTask(version))(
    'hands $name to onAuthRequired, and repeats nothing',
    async ({ call, answer, fields }) => {
      const { client, agent, source, tasks } = await tokenAgent([answer], {}, version);
      const received = await call(client, fields);
      expect([received].flat()).toHaveLength(answer.messages?.length ?? 0);
      expect(agent.seen).toHaveLength(1);
      expect(source.refusals).toEqual([]);
      expect(tasks).toEqual([
        {
          taskId: 't-1',
          contextId: 'c-1',
          text: 'Log in.',
          status: expect.objectContaining({ state: 'TASK_STATE_AUTH_REQUIRED' }) as unknown,
        },
      ]);
    },
  );

  it('shows an event at once when the agent keeps the stream open for somebody to log in', async () => {
    const history = [messageOf(version, 'm-0')];
    const event = asTask(waitingTask(version, { history }, denialData));
    const { client, agent } = await tokenAgent([{ messages: [event], code: 'open' }], {}, version);
    for await (const { payload } of client.sendMessageStream(request('hello'))) {
      expect(payload).toMatchObject({ value: { status: { state: TaskState.TASK_STATE_AUTH_REQUIRED } } });
      break;
    }
    expect(agent.seen).toHaveLength(1);
  });
});

/** Only passes calls on. */
const passing: Interceptor = (options, nextCall) => new InterceptingCall(nextCall(options));

/** An answer, or an error without what is different each time. */
function comparable(answer: unknown): unknown {
  if (!(answer instanceof Error)) return answer;
  const { message, cause } = answer as { message: string; cause?: { code: number; metadata: unknown } };
  const metadata = JSON.parse(JSON.stringify(cause?.metadata ?? {})) as Record<string, unknown>;
  return { message, code: cause?.code, metadata: { ...metadata, date: undefined } };
}

describe('what is no denial', () => {
  it.each<Case>([
    when('a completed task', send, done),
    when('UNAVAILABLE', send, { code: status.UNAVAILABLE }),
    when('RESOURCE_EXHAUSTED', send, { code: status.RESOURCE_EXHAUSTED, trailers: challenge }),
    when('PERMISSION_DENIED', send, { code: status.PERMISSION_DENIED }),
    when('a refusal that other credentials would not help', send, {
      messages: [asTask(waitingTask('1.0', {}, { reason: 'not_permitted', alternatives: [] }))],
    }),
    when('an empty stream', stream, {}),
    when('a denial after the first event of a stream', stream, {
      messages: [asTask(waitingTask('1.0', { status: working }))],
      ...unauthenticated,
    }),
    when('a task that is asked for', (client) => client.getTask({ tenant: '', id: 't-1' }), {
      trailers: challenge,
    }),
  ])('passes, in one call: $name', async ({ call, answer }) => {
    const { client, agent, source, tasks } = await tokenAgent([answer]);
    await call(client).catch((error: unknown) => error);
    expect(agent.seen).toHaveLength(1);
    expect(source.refusals).toEqual([]);
    expect(tasks).toEqual([]);
  });
});

describe('what is sent', () => {
  it('replaces metadata of the same name, and leaves the rest', async () => {
    const { agent, client } = await tokenAgent([done]);
    const serviceParameters = { authorization: 'Bearer mine', 'x-trace': '1' };
    await client.sendMessage(request('hello'), { serviceParameters });
    expect(agent.seen[0]?.metadata.getMap()).toMatchObject({
      authorization: 'Bearer token-1',
      'x-trace': '1',
    });
  });

  it('takes a plan', async () => {
    const plan = planAuthentication(tokenCard, [bearer('planned')]);
    const { agent, client } = await tokenAgent([done], { plan });
    await send(client);
    expect(tokensOf(agent)).toEqual(['planned']);
  });

  it('is chosen among the alternatives for which gRPC has a place', async () => {
    const schemes = {
      query: queryKey(),
      cookie: cookieKey(),
      odd: headerKey('grpc-key'),
      binary: headerKey('key-bin'),
      mtls: mtlsScheme,
      token: bearerScheme,
    };
    const card = cardJson(
      schemes,
      Object.keys(schemes).map((id) => ({ [id]: [] })),
    );
    const source = () => countingSource({ unfitFor: () => undefined }).source;
    const { query, cookie, odd, binary, mtls } = Object.fromEntries(
      Object.keys(schemes).map((id) => [id, source()]),
    );
    const { agent, client } = await tokenAgent([done], {
      plan: planAuthentication(card, {
        ...{ query, cookie, odd, binary, mtls },
        token: bearer('t'),
      } as never),
    });
    await send(client);
    expect(tokensOf(agent)).toEqual(['t']);
  });
});

describe('renewal', () => {
  it('is not tried when no source has another credential', async () => {
    const plan = planAuthentication(tokenCard, [bearer('t')]);
    const { agent, client } = await tokenAgent([unauthenticated], { plan });
    await expect(send(client)).rejects.toThrow('Scripted.');
    expect(agent.seen).toHaveLength(1);
  });

  it('repeats nothing when the credential stays the same', async () => {
    const plan = planAuthentication(tokenCard, [bearer(() => 'same')]);
    const { agent, client } = await tokenAgent([unauthenticated], { plan });
    await expect(send(client)).rejects.toThrow('Scripted.');
    expect(agent.seen).toHaveLength(1);
  });

  it('is told the challenge that is about the credential', async () => {
    const trailers = { 'www-authenticate': 'ApiKey name="X-Key", Bearer error="invalid_token"' };
    const { client, source } = await tokenAgent([{ ...unauthenticated, trailers }, done]);
    await send(client);
    expect(source.refusals[0]?.challenge).toEqual({ scheme: 'bearer', params: { error: 'invalid_token' } });
  });

  it('happens once for a hundred calls that are refused at once', async () => {
    const { client, agent, source } = await tokenAgent((call) =>
      tokenOf(call) === 'token-1' ? unauthenticated : done,
    );
    await Promise.all(Array.from({ length: 100 }, () => send(client)));
    expect(agent.seen).toHaveLength(200);
    expect(source.fetched).toBe(2);
  });

  it('tells sources of every answer', async () => {
    const observe = vi.fn<(response: AgentResponse) => void>();
    const { source } = countingSource({ observe });
    const plan = planAuthentication(tokenCard, [source]);
    const nonce = (value: string) => ({ 'dpop-nonce': value });
    const { client, agent } = await tokenAgent(
      [
        { ...unauthenticated, trailers: nonce('after') },
        { ...done, initial: nonce('before') },
      ],
      { plan },
    );
    await send(client);
    expect(
      observe.mock.calls.map(([{ status: code, headers, url }]) => [code, headers.get('dpop-nonce'), url]),
    ).toEqual(
      [
        [401, 'after'],
        [200, 'before'],
      ].map((told) => [...told, `http://${agent.address}/lf.a2a.v1.A2AService/SendMessage`]),
    );
  });

  it('ends the stream that it does not read on', async () => {
    const event = asTask(waitingTask('1.0'));
    const { client, agent } = await tokenAgent([{ messages: [event], code: 'open' }, done]);
    await stream(client);
    await expect.poll(() => agent.cancelled, { timeout: 20_000 }).toContain('token-1');
  });
});

const detailsOf = (details: Buffer) => ({ 'grpc-status-details-bin': details as unknown as string });

describe('an answer that the SDK cannot read', () => {
  // It throws where nobody can catch it.
  it.each<Case>([
    when('a response that is neither a task nor a message', send, { messages: [{}] }),
    when('details of a status that are none', send, {
      code: status.INTERNAL,
      trailers: detailsOf(Buffer.from([0x1a, 0xff, 0xff])),
    }),
    ...['constructor', 'toString', '__proto__'].map((reason) =>
      when(`the reason ${reason}, which every object has`, send, {
        code: status.INTERNAL,
        trailers: detailsOf(encodeGrpcStatusDetails(status.INTERNAL, '', reason)),
      }),
    ),
  ])('is an error: $name', async ({ call, answer }) => {
    const { client } = await tokenAgent([answer]);
    await expect(call(client)).rejects.toMatchObject({ cause: { code: status.INTERNAL } });
  });
});

describe('a failure of a source', () => {
  it.each(['credential', 'renew'] as const)('in %s is the cause of the error', async (method) => {
    const failure = new Error('The provider is down.');
    const { source } = countingSource({ [method]: () => Promise.reject(failure) });
    const plan = planAuthentication(tokenCard, [source]);
    const { client } = await tokenAgent([unauthenticated], { plan });
    const error: unknown = await send(client).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ cause: { code: status.UNAUTHENTICATED, details: failure.message } });
    expect((error as { cause: Error }).cause.cause).toBe(failure);
  });

  it('sends nothing', async () => {
    const { source } = countingSource({ credential: async () => ({ headers: { 'grpc-timeout': '1' } }) });
    const plan = planAuthentication(tokenCard, [source]);
    const { client, agent } = await tokenAgent([done], { plan });
    await expect(send(client)).rejects.toMatchObject({ cause: { cause: { code: 'CREDENTIAL_UNUSABLE' } } });
    expect(agent.seen).toEqual([]);
  });
});

describe('a call that is given up', () => {
  it.each(['credential', 'renew'] as const)('does not wait for a source that hangs in %s', async (method) => {
    const controller = new AbortController();
    const hang = () => {
      setImmediate(() => {
        controller.abort();
      });
      return new Promise<never>(() => undefined);
    };
    const { source } = countingSource({ [method]: hang });
    const plan = planAuthentication(tokenCard, [source]);
    const { client } = await tokenAgent([unauthenticated], { plan });
    const { signal } = controller;
    await expect(client.sendMessage(request('hello'), { signal })).rejects.toMatchObject({
      cause: { code: status.CANCELLED },
    });
  });

  const subscribe = (
    agent: Agent,
    { source }: ReturnType<typeof countingSource>,
    { deadline, onAuthRequired }: CallOptions & Pick<AuthenticatingInterceptorOptions, 'onAuthRequired'> = {},
  ) => {
    const interceptor = authenticatingInterceptor({
      url: `http://${agent.address}`,
      endpoint: agent.address,
      card: tokenCard,
      credentials: [source],
      onAuthRequired,
    });
    const params = { tenant: '', id: 't' };
    const options = { interceptors: [interceptor], ...(deadline === undefined ? {} : { deadline }) };
    return startCall(channel(agent.address), '1.0', 'subscribeToTask', params, {}, options);
  };

  it('keeps its deadline while a source hangs', async () => {
    const source = countingSource({ credential: () => new Promise<never>(() => undefined) });
    const agent = await scriptedGrpc([done]);
    const { outcome } = subscribe(agent, source, { deadline: Date.now() });
    expect(await outcome).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(agent.seen).toEqual([]);
  });

  it('may have a deadline between two milliseconds', async () => {
    const agent = await scriptedGrpc([done]);
    const { outcome } = subscribe(agent, countingSource(), { deadline: Date.now() + 60_000.5 });
    expect(await outcome).toMatchObject({ code: status.OK });
  });

  it('brings no message that came before', async () => {
    const agent = await scriptedGrpc([{ messages: [asUpdate(waitingTask('1.0'))], code: 'open' }]);
    const { call, outcome } = subscribe(agent, countingSource(), {
      onAuthRequired: () => {
        call.cancel();
      },
    });
    expect(await outcome).toMatchObject({ code: status.CANCELLED, messages: [] });
  });

  it('ends at the agent', async () => {
    const events = [asTask(waitingTask('1.0', { status: working }))];
    const { client, agent } = await tokenAgent([{ messages: events, code: 'open' }]);
    for await (const event of client.sendMessageStream(request('hello'))) {
      expect(event).toBeDefined();
      break;
    }
    await expect.poll(() => agent.cancelled, { timeout: 20_000 }).toContain('token-1');
  });
});

describe('a step-up', () => {
  const card = cardJson({ oauth: oauthScheme() }, [{ oauth: ['read'] }]);
  const lacking: GrpcAnswer = {
    code: status.PERMISSION_DENIED,
    trailers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="read write"' },
  };
  const lackingData = { reason: 'insufficient_scope', alternatives: [], missingScopes: ['write'] };
  const start = async (stepUpScopes: string[] | undefined, ...answers: readonly GrpcAnswer[]) => {
    const requests: (readonly string[])[] = [];
    const source = countingSource({
      credential: async ({ scopes }) => {
        requests.push(scopes);
        return { headers: { authorization: `Bearer ${scopes.join('.')}` } };
      },
    });
    const plan = planAuthentication(card, [source.source]);
    return { requests, ...(await tokenAgent(answers, { plan, policy: { stepUpScopes } })) };
  };

  it.each<Case>([
    when('PERMISSION_DENIED', send, lacking),
    when('PERMISSION_DENIED of a stream', stream, lacking),
    when('a task', send, { messages: [asTask(waitingTask('1.0', {}, lackingData))] }),
    when('an event', stream, { messages: [asTask(waitingTask('1.0', {}, lackingData))] }),
  ])('asks for the scopes that $name names, now and from then on', async ({ call, answer: refusal }) => {
    const { client, requests, agent } = await start(['write'], refusal, done);
    await call(client);
    await call(client);
    expect(requests).toEqual([['read'], ['read', 'write'], ['read', 'write']]);
    expect(agent.seen).toHaveLength(3);
  });

  it('is not made without leave', async () => {
    const { client, agent } = await start(undefined, lacking);
    await expect(send(client)).rejects.toThrow('Scripted.');
    expect(agent.seen).toHaveLength(1);
  });
});

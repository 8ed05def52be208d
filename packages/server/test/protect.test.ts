import {
  DeniedCall,
  TooManyAttempts,
  VerifierUnavailable,
  type AgentSecurityOptions,
  type Decision,
} from '@a2a-auth/server';
import { SendMessageRequest, TaskState } from '@a2a-js/sdk';
import {
  ServerCallContext,
  UnauthenticatedUser,
  type A2ARequestHandler,
  type User,
} from '@a2a-js/sdk/server';
import { describe, expect, it, vi } from 'vitest';

import { CallerUser } from '../src/caller.js';
import { agentCardUrl } from '../src/protect.js';
import { agentCard, headerScheme, securityOf } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

const call = { operation: 'GetTask', binding: 'GRPC' } as const;

/** An inner handler that answers every operation by its own name. */
function innerHandler(card = agentCard()) {
  const answers = (name: string) => vi.fn(() => Promise.resolve({ answeredBy: name }));
  const streams = (name: string) =>
    vi.fn(async function* () {
      yield await Promise.resolve({ answeredBy: name });
    });
  const methods = {
    getAgentCard: vi.fn(() => Promise.resolve(card)),
    getAuthenticatedExtendedAgentCard: vi.fn(() => Promise.resolve(card)),
    sendMessage: answers('sendMessage'),
    sendMessageStream: streams('sendMessageStream'),
    getTask: answers('getTask'),
    cancelTask: answers('cancelTask'),
    createTaskPushNotificationConfig: answers('createTaskPushNotificationConfig'),
    getTaskPushNotificationConfig: answers('getTaskPushNotificationConfig'),
    listTaskPushNotificationConfigs: answers('listTaskPushNotificationConfigs'),
    deleteTaskPushNotificationConfig: answers('deleteTaskPushNotificationConfig'),
    resubscribe: streams('resubscribe'),
    listTasks: answers('listTasks'),
  };
  return { methods, handler: methods as unknown as A2ARequestHandler };
}

type Method = keyof A2ARequestHandler;
const streaming: readonly Method[] = ['sendMessageStream', 'resubscribe'];
const messages: readonly Method[] = ['sendMessage', 'sendMessageStream'];
const guarded = (Object.keys(innerHandler().methods) as Method[]).filter((name) => name !== 'getAgentCard');
const plain = guarded.filter((name) => name !== 'getAuthenticatedExtendedAgentCard');
const refusing = guarded.filter((name) => !messages.includes(name));

function agent(options: AgentSecurityOptions = {}, requirements?: readonly Record<string, string[]>[]) {
  const security = securityOf({ key: headerScheme('x-key') }, requirements, options);
  const { methods, handler } = innerHandler();
  return { security, methods, guarded: security.protect(handler) };
}

const params = SendMessageRequest.fromJSON({
  message: { messageId: 'm1', contextId: 'context-of-the-caller' },
});

/** The first of what a method answers; a stream is read to its end. */
async function answerOf(
  handler: A2ARequestHandler,
  name: Method,
  context: ServerCallContext,
): Promise<unknown> {
  const methods = handler as unknown as Record<
    Method,
    (params: unknown, context: ServerCallContext) => unknown
  >;
  if (!streaming.includes(name)) return methods[name](params, context);
  const events: unknown[] = [];
  for await (const event of methods[name](params, context) as AsyncIterable<unknown>) events.push(event);
  expect(events).toHaveLength(1);
  return events[0];
}

const contextWith = (user?: User) => new ServerCallContext(user === undefined ? {} : { user });
const authenticated = (security: ReturnType<typeof agent>['security'], header = { 'x-key': 'alice' }) =>
  security.authenticate(authRequest({ header }));

/** Callers without a decision of this very agent. */
const strangers: [string, (mine: ReturnType<typeof agent>) => Promise<User | undefined>][] = [
  ['nobody', () => Promise.resolve(undefined)],
  ["the SDK's unauthenticated user", () => Promise.resolve(new UnauthenticatedUser())],
  ['a hand-made user', () => Promise.resolve({ isAuthenticated: true, userName: 'scheme:key|alice' })],
  [
    'a user that poses as one of ours',
    async ({ security }) => {
      const user = new CallerUser(await security.conclude(await authenticated(security), call));
      return { isAuthenticated: user.isAuthenticated, userName: user.userName };
    },
  ],
  [
    'an object with the prototype of ours',
    () => Promise.resolve(Object.create(CallerUser.prototype, { userName: { value: 'a' } }) as User),
  ],
  [
    'a grant of another agent',
    async () => {
      const { security } = agent();
      return new CallerUser(await security.conclude(await authenticated(security), call));
    },
  ],
  ['a grant that was never concluded', async ({ security }) => new CallerUser(await authenticated(security))],
  [
    'a copy of a grant',
    async ({ security }) => {
      const decision = await security.conclude(await authenticated(security), call);
      return new CallerUser(
        Object.assign(Object.create(Object.getPrototypeOf(decision) as object), decision) as Decision,
      );
    },
  ],
  [
    'a denial',
    async ({ security }) =>
      new CallerUser(await security.conclude(await security.authenticate(authRequest()), call)),
  ],
];

describe.each(strangers)('a call by %s', (_who, stranger) => {
  it.each(refusing)('does not reach %s', async (name) => {
    const mine = agent();
    const context = contextWith(await stranger(mine));
    await expect(answerOf(mine.guarded, name, context)).rejects.toThrow();
    expect(mine.methods[name]).not.toHaveBeenCalled();
  });

  it.each(messages)('gets an auth-required task from %s', async (name) => {
    const mine = agent();
    const context = contextWith(await stranger(mine));
    const answer = (await answerOf(mine.guarded, name, context)) as {
      payload: { $case: string; value: unknown };
    };
    const task = name === 'sendMessage' ? answer : answer.payload.value;
    expect(task).toMatchObject({
      contextId: 'context-of-the-caller',
      status: { state: TaskState.TASK_STATE_AUTH_REQUIRED },
    });
    if (name === 'sendMessageStream') expect(answer.payload.$case).toBe('task');
    expect(mine.methods[name]).not.toHaveBeenCalled();
  });

  it.each(messages)('is refused by %s where messages are denied by status', async (name) => {
    const mine = agent({ denials: { messages: 'http' } });
    const context = contextWith(await stranger(mine));
    await expect(answerOf(mine.guarded, name, context)).rejects.toThrow(DeniedCall);
    expect(mine.methods[name]).not.toHaveBeenCalled();
  });
});

describe('a granted call', () => {
  const grantedContext = async ({ security }: ReturnType<typeof agent>) =>
    contextWith(new CallerUser(await security.conclude(await authenticated(security), call)));

  it.each(plain)('reaches %s', async (name) => {
    const mine = agent();
    const context = await grantedContext(mine);
    expect(await answerOf(mine.guarded, name, context)).toEqual({ answeredBy: name });
    expect(mine.methods[name]).toHaveBeenCalledExactlyOnceWith(params, context);
  });

  it('gets the extended card, with the security on it', async () => {
    const mine = agent();
    const card = await answerOf(
      mine.guarded,
      'getAuthenticatedExtendedAgentCard',
      await grantedContext(mine),
    );
    expect(card).toMatchObject(mine.security.publish(agentCard()));
  });
});

describe('an anonymous call that an agent lets in', () => {
  const anonymous = async () => {
    const mine = agent({}, [{ key: [] }, {}]);
    const decision = await mine.security.conclude(await mine.security.authenticate(authRequest()), call);
    return { mine, context: contextWith(new CallerUser(decision)) };
  };

  it('reaches the agent', async () => {
    const { mine, context } = await anonymous();
    expect(await answerOf(mine.guarded, 'getTask', context)).toEqual({ answeredBy: 'getTask' });
  });

  it('gets no extended card (A2A 1.0 §13.3)', async () => {
    const { mine, context } = await anonymous();
    await expect(answerOf(mine.guarded, 'getAuthenticatedExtendedAgentCard', context)).rejects.toThrow(
      DeniedCall,
    );
    expect(mine.methods.getAuthenticatedExtendedAgentCard).not.toHaveBeenCalled();
  });
});

describe('the protected handler', () => {
  it('publishes the security on the agent card, to everyone', async () => {
    const { guarded: handler, security } = agent();
    expect(await handler.getAgentCard()).toEqual(security.publish(agentCard()));
  });

  it('publishes on a card that was exchanged meanwhile', async () => {
    const { guarded: handler, methods } = agent();
    await handler.getAgentCard();
    methods.getAgentCard.mockResolvedValue(agentCard({ name: 'Renamed' }));
    expect(await handler.getAgentCard()).toMatchObject({ name: 'Renamed', securityRequirements: [{}] });
  });

  it('refuses a card that declares its own security', async () => {
    const { guarded: handler, methods } = agent();
    methods.getAgentCard.mockResolvedValue(
      agentCard({ securityRequirements: [{ schemes: { other: { list: [] } } }] }),
    );
    await expect(handler.getAgentCard()).rejects.toThrow(expect.objectContaining({ code: 'CARD_CONFLICT' }));
  });

  it('has no method that it does not guard', () => {
    const { guarded: handler } = agent();
    expect(Object.keys(handler).sort()).toEqual(Object.keys(innerHandler().methods).sort());
  });
});

describe('a call that passed no binding', () => {
  it('is reported as a decision, once', async () => {
    const onDecision = vi.fn();
    const mine = agent({ onDecision });
    await expect(answerOf(mine.guarded, 'cancelTask', contextWith())).rejects.toThrow(DeniedCall);
    expect(onDecision).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ operation: 'CancelTask', granted: false, reason: 'missing_credential' }),
    );
  });
});

describe('a decision of another AgentSecurity', () => {
  it('cannot be made final here', async () => {
    const [mine, other] = [agent(), agent()];
    const decision = await other.security.authenticate(authRequest({ header: { 'x-key': 'alice' } }));
    await expect(mine.security.conclude(decision, call)).rejects.toThrow(TypeError);
  });
});

describe('a denial that no binding presented', () => {
  it.each([
    ['unavailable', 503, new VerifierUnavailable('down')],
    ['too_many_attempts', 429, new TooManyAttempts('slow down', { retryAfter: 3 })],
  ])('is refused with its own status when it is %s, also for messages', async (reason, status, failure) => {
    const scheme = headerScheme('x-key', () => {
      throw failure;
    });
    const security = securityOf({ key: scheme });
    const { handler, methods } = innerHandler();
    const decision = await security.authenticate(authRequest({ header: { 'x-key': 'alice' } }));
    const concluded = await security.conclude(decision, call);
    const context = new ServerCallContext({ user: new CallerUser(concluded) });
    await expect(security.protect(handler).sendMessage(params, context)).rejects.toMatchObject({
      code: 'DENIED_CALL',
      statusCode: status,
    });
    expect(concluded).toMatchObject({ reason });
    expect(methods.sendMessage).not.toHaveBeenCalled();
  });
});

describe('where the agent card is', () => {
  it.each([
    ['as configured', 'https://cards.example/a.json', agentCard(), 'https://cards.example/a.json'],
    [
      'at the origin of the first interface',
      undefined,
      agentCard(),
      'https://agent.example/.well-known/agent-card.json',
    ],
    ['unknown without an interface', undefined, agentCard({ supportedInterfaces: [] }), undefined],
    [
      'unknown with an interface that has no URL',
      undefined,
      agentCard({ supportedInterfaces: [{ url: 'nowhere' }] }),
      undefined,
    ],
  ])('is %s', (_what, configured, card, expected) => {
    expect(agentCardUrl({ agentCardUrl: configured }, card)).toBe(expected);
  });
});

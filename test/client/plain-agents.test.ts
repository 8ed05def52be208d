import { randomUUID } from 'node:crypto';

import { Message, Role, TaskState } from '@a2a-js/sdk';
import { agentCardHandler, jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore, type AgentExecutor } from '@a2a-js/sdk/server';
import { apiKey, basic, bearer, connect, type AuthRequiredTask } from '@a2a-auth/client';
import express, { type RequestHandler } from 'express';
import passport from 'passport';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import { describe, expect, it } from 'vitest';

import { countingSource } from '../../packages/client/test/support/source.js';
import { agentCard, createAgent } from '../support/agent.js';
import { collect, request, sendForTask } from '../support/client.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen } from '../support/server.js';

closeServersAfterTests();
muteConsole();

const bearerScheme = {
  scheme: { $case: 'httpAuthSecurityScheme', value: { scheme: 'Bearer', bearerFormat: '', description: '' } },
} as const;
const token = {
  securitySchemes: { token: bearerScheme },
  securityRequirements: [{ schemes: { token: { list: [] } } }],
};

/** An agent of the SDK's own parts, with this middleware in front of its operations. */
async function startPlain(
  middleware: RequestHandler,
  options: { executor?: AgentExecutor; card?: object } = {},
) {
  const { url, serve } = await listen();
  const card = agentCard(url, token);
  const agent = createAgent(card);
  const requestHandler =
    options.executor === undefined
      ? agent.requestHandler
      : new DefaultRequestHandler(card, new InMemoryTaskStore(), options.executor);
  const userBuilder = UserBuilder.noAuthentication;
  const app = express();
  if (options.card === undefined)
    app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler }));
  else
    app.get(
      '/.well-known/agent-card.json',
      (_request, response) => void response.json({ url: `${url}/a2a/jsonrpc`, ...options.card }),
    );
  app.use(
    '/a2a/jsonrpc',
    middleware,
    jsonRpcHandler({ requestHandler, userBuilder, legacyCompat: { enabled: true } }),
  );
  app.use('/a2a/rest', middleware, restHandler({ requestHandler, userBuilder }));
  serve(app);
  return { ...agent, url };
}

/** As the SDK's sample does it: Passport answers HTTP 401 with a challenge. */
function passportFor(good: ReadonlySet<string>): RequestHandler {
  const authenticator = new passport.Passport();
  authenticator.use(
    new BearerStrategy((given, done) => {
      done(null, good.has(given) ? { name: 'ada' } : false);
    }),
  );
  return authenticator.authenticate('bearer', { session: false }) as RequestHandler;
}

const completed = TaskState.TASK_STATE_COMPLETED;

describe('an agent of the SDK with Passport', () => {
  it.each(['JSONRPC', 'HTTP+JSON'])(
    'is called over %s, whose card is in the form of the SDK',
    async (binding) => {
      const agent = await startPlain(passportFor(new Set(['good'])));
      const client = await connect(agent.url, {
        credentials: { token: bearer('good') },
        preferredTransports: [binding],
      });
      expect(client.transport.protocolName).toBe(binding);
      expect((await sendForTask(client, 'hello')).status?.state).toBe(completed);
      expect(await collect(client.sendMessageStream(request('hello')))).toHaveLength(2);
    },
  );

  it('gets another token after its 401, for messages, streams and tasks', async () => {
    const good = new Set(['token-1']);
    const agent = await startPlain(passportFor(good));
    const source = countingSource();
    const client = await connect(agent.url, { credentials: [source.source] });
    const { id } = await sendForTask(client, 'hello');
    const next = () => {
      good.clear();
      good.add(`token-${String(source.fetched + 1)}`);
    };
    next();
    expect((await sendForTask(client, 'hello')).status?.state).toBe(completed);
    next();
    expect(await collect(client.sendMessageStream(request('hello')))).toHaveLength(2);
    next();
    expect(await client.getTask({ tenant: '', id })).toMatchObject({ id });
    expect(source.fetched).toBe(4);
    expect(source.refusals[0]?.challenge).toMatchObject({
      scheme: 'bearer',
      params: { error: 'invalid_token' },
    });
  });
});

describe('an agent that denies by a task, with HTTP 200 and no challenge', () => {
  /** Such a task, in the JSON of 0.3. */
  const denialTask = () => ({
    id: randomUUID(),
    contextId: randomUUID(),
    status: {
      state: 'auth-required',
      message: {
        kind: 'message',
        messageId: randomUUID(),
        role: 'agent',
        parts: [{ kind: 'text', text: 'No.' }],
      },
    },
  });
  const denying =
    (good: ReadonlySet<string>): RequestHandler =>
    (call, response, next) => {
      if (good.has(call.headers.authorization ?? '')) {
        next();
        return;
      }
      express.json()(call, response, () => {
        const { id, method } = call.body as { id: number; method: string };
        const { id: taskId, ...task } = denialTask();
        if (method === 'message/stream') {
          const result = { kind: 'status-update', taskId, ...task, final: true };
          response
            .type('text/event-stream')
            .end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
        } else response.json({ jsonrpc: '2.0', id, result: { kind: 'task', id: taskId, ...task } });
      });
    };
  const card = {
    name: 'Test agent',
    description: 'Answers.',
    version: '1.0.0',
    protocolVersion: '0.3.0',
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    security: [{ token: [] }],
  };

  it('gets another token, and the message once more', async () => {
    const good = new Set(['Bearer token-2']);
    const agent = await startPlain(denying(good), { card });
    const source = countingSource();
    const client = await connect(agent.url, { credentials: [source.source] });
    expect(client.protocolVersion).toBe('0.3');
    expect((await sendForTask(client, 'hello')).status?.state).toBe(completed);
    good.clear();
    good.add('Bearer token-3');
    expect(await collect(client.sendMessageStream(request('hello')))).toHaveLength(2);
    expect(source.fetched).toBe(3);
    expect(agent.executor.calls).toHaveLength(2);
  });
});

describe('an agent that asks for a credential in the midst of a task', () => {
  /** Works a little, asks, and goes on with the next message. */
  const asking: AgentExecutor = {
    async execute({ taskId, contextId, userMessage, task }, bus) {
      const message = Message.fromJSON({
        messageId: randomUUID(),
        role: Role.ROLE_AGENT,
        taskId,
        contextId,
        parts: [{ text: 'Log in at the bank.' }],
      });
      if (task === undefined) {
        const status = { state: TaskState.TASK_STATE_WORKING, message: undefined, timestamp: undefined };
        bus.publish(
          AgentEvent.task({
            id: taskId,
            contextId,
            status,
            artifacts: [],
            history: [userMessage],
            metadata: undefined,
          }),
        );
      }
      const state = task === undefined ? TaskState.TASK_STATE_AUTH_REQUIRED : completed;
      bus.publish(
        AgentEvent.statusUpdate({
          taskId,
          contextId,
          status: { state, message, timestamp: undefined },
          metadata: undefined,
        }),
      );
      bus.finished();
    },
    cancelTask: async () => undefined,
  };
  const start = async () => {
    const agent = await startPlain(passportFor(new Set(['token-1'])), { executor: asking });
    const tasks: AuthRequiredTask[] = [];
    const source = countingSource();
    const client = await connect(agent.url, {
      credentials: [source.source],
      onAuthRequired: (task) => tasks.push(task),
    });
    return { client, tasks, source };
  };

  it('has it handed to onAuthRequired, and the message is not repeated', async () => {
    const { client, tasks, source } = await start();
    const task = await sendForTask(client, 'hello');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
    expect(tasks).toMatchObject([
      { taskId: task.id, contextId: task.contextId, text: 'Log in at the bank.' },
    ]);
    expect(source.refusals).toEqual([]);
    expect(
      (await sendForTask(client, 'done', { taskId: task.id, contextId: task.contextId })).status?.state,
    ).toBe(completed);
  });

  it('has it handed on from a stream', async () => {
    const { client, tasks, source } = await start();
    const events = await collect(client.sendMessageStream(request('hello')));
    expect(events).toHaveLength(2);
    expect(tasks).toMatchObject([{ text: 'Log in at the bank.' }]);
    expect(source.refusals).toEqual([]);
  });
});

it('chooses among what an agent of the SDK offers', async () => {
  const agent = await startPlain(passportFor(new Set(['good'])));
  const credentials = [apiKey('k'), basic('user', 'password'), bearer('good')];
  expect((await sendForTask(await connect(agent.url, { credentials }), 'hello')).status?.state).toBe(
    completed,
  );
});

import { Role, TaskState, type AgentCard, type Message, type StreamResponse, type Task } from '@a2a-js/sdk';
import * as errors from '@a2a-js/sdk/errors';
import type { A2ARequestHandler, ServerCallContext } from '@a2a-js/sdk/server';
import { restHandler } from '@a2a-js/sdk/server/express';
import { AgentSecurity, apiKey, type SecuritySchemeDeclaration } from '@a2a-auth/server';
import { agentRouter, authenticate, contextBuilder, userBuilder } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import express, { Router, type RequestHandler } from 'express';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';

import { agentCard } from '../support/agent.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen } from '../support/server.js';
import { comparable } from '../support/comparison.js';

closeServersAfterTests();
muteConsole();

// The SDK's own restHandler is put behind our gate, next to the two that answer for themselves. All get the same agent, one
// whose answers are made up, so that whatever differs is the doing of the endpoint that stands in for restHandler.

const key = 'a-key-0123456789';
const origin = 'http://agent.example';

const scopes = { read: 'To read' };
const tokenUrl = 'https://as.example/token';
const declarations: Readonly<Record<string, SecuritySchemeDeclaration>> = {
  queryKey: { type: 'apiKey', in: 'query', name: 'k', description: 'A key.' },
  basic: { type: 'http', scheme: 'Basic' },
  bearer: { type: 'http', scheme: 'Bearer', bearerFormat: 'JWT', description: 'A token.' },
  certificate: { type: 'mutualTLS', description: 'A certificate.' },
  bare: { type: 'mutualTLS' },
  oidc: { type: 'openIdConnect', openIdConnectUrl: 'https://op.example/.well-known/openid-configuration' },
  client: { type: 'oauth2', flow: { type: 'clientCredentials', tokenUrl, scopes } },
  scopeless: { type: 'oauth2', flow: { type: 'clientCredentials', tokenUrl, scopes: {} } },
  code: {
    type: 'oauth2',
    description: 'For people.',
    oauth2MetadataUrl: 'https://as.example/.well-known/oauth-authorization-server',
    flow: {
      type: 'authorizationCode',
      authorizationUrl: 'https://as.example/authorize',
      tokenUrl,
      refreshUrl: 'https://as.example/refresh',
      scopes,
      pkceRequired: true,
    },
  },
};

function createSecurity() {
  const security = new AgentSecurity<string>()
    .addSecurityScheme('key', apiKey({ in: 'header', name: 'X-Key', keys: [{ key, id: 'key-1' }] }))
    .addSecurityRequirement({ key: [] });
  for (const [id, declaration] of Object.entries(declarations)) {
    security.addSecurityScheme(id, {
      declaration,
      extract: () => undefined,
      verify: () => ({ verified: false, reason: 'invalid', detail: 'Nobody passes.' }),
    });
  }
  security.addSecurityRequirement({ code: ['read'], certificate: [] });
  return security;
}

const part = (content: Message['parts'][number]['content'], fields = {}) => ({
  content,
  metadata: undefined,
  filename: '',
  mediaType: '',
  ...fields,
});

const message: Message = {
  messageId: 'm-2',
  contextId: 'c-1',
  taskId: 't-1',
  role: Role.ROLE_AGENT,
  parts: [
    part({ $case: 'text', value: 'hello' }, { metadata: { a: 1 }, mediaType: 'text/plain' }),
    part({ $case: 'text', value: '' }),
    part({ $case: 'raw', value: Buffer.from([0, 255, 16]) }, { filename: 'a.bin', mediaType: 'a/b' }),
    part({ $case: 'url', value: 'https://a.example/' }),
    part({ $case: 'data', value: { a: [1] } }),
    part({ $case: 'data', value: [1, 'two', null] }),
  ],
  metadata: { m: { n: false } },
  extensions: ['https://e.example/'],
  referenceTaskIds: ['t-0'],
};
const bareMessage: Message = {
  ...message,
  contextId: '',
  taskId: '',
  role: Role.ROLE_USER,
  parts: [],
  metadata: undefined,
  extensions: [],
};

const artifact = {
  artifactId: 'a-1',
  name: 'An artifact',
  description: 'Of use.',
  parts: message.parts,
  metadata: { a: 1 },
  extensions: ['https://e.example/'],
};
const bareArtifact = {
  ...artifact,
  name: '',
  description: '',
  parts: [],
  metadata: undefined,
  extensions: [],
};

const status = (state: TaskState, more?: Message, timestamp?: string) => ({
  state,
  message: more,
  timestamp,
});

const task: Task = {
  id: 't-1',
  contextId: 'c-1',
  status: status(TaskState.TASK_STATE_COMPLETED, message, '2026-01-01T00:00:00.000Z'),
  artifacts: [artifact, bareArtifact],
  history: [message, bareMessage],
  metadata: { m: 1 },
};
const bareTask: Task = {
  id: 't-2',
  contextId: '',
  status: undefined,
  artifacts: [],
  history: [],
  metadata: undefined,
};
const tasks = [
  task,
  bareTask,
  ...Object.values(TaskState)
    .filter((state) => typeof state === 'number')
    .map((state) => ({ ...bareTask, status: status(state, bareMessage, '') })),
];

const events: StreamResponse[] = [
  { payload: { $case: 'task', value: task } },
  { payload: { $case: 'message', value: message } },
  ...[TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED].map((state): StreamResponse => ({
    payload: {
      $case: 'statusUpdate',
      value: { taskId: 't-1', contextId: 'c-1', status: status(state, message), metadata: { a: 1 } },
    },
  })),
  ...[true, false].map((flag): StreamResponse => ({
    payload: {
      $case: 'artifactUpdate',
      value: {
        taskId: 't-1',
        contextId: 'c-1',
        artifact: flag ? artifact : bareArtifact,
        append: flag,
        lastChunk: flag,
        metadata: undefined,
      },
    },
  })),
];

const config = (more = {}) => ({
  tenant: '',
  taskId: 't-1',
  id: 'p-1',
  url: 'https://client.example/',
  token: 'a-token',
  authentication: { scheme: 'Bearer', credentials: 'c' },
  ...more,
});

const card = agentCard(origin);
const extendedCard: AgentCard = {
  ...card,
  description: 'Answers trusted callers.',
  provider: { url: 'https://p.example/', organization: 'Acme' },
  documentationUrl: 'https://p.example/docs',
  iconUrl: 'https://p.example/icon',
  capabilities: {
    streaming: true,
    pushNotifications: false,
    extendedAgentCard: true,
    extensions: [{ uri: 'https://e.example/', description: 'It extends.', required: true, params: { a: 1 } }],
  },
  skills: [
    {
      id: 's-1',
      name: 'A skill',
      description: 'It can.',
      tags: ['a'],
      examples: ['Do it.'],
      inputModes: ['text/plain'],
      outputModes: [],
      securityRequirements: [{ schemes: { key: { list: [] }, code: { list: ['read'] } } }],
    },
    {
      id: 's-2',
      name: 'Another',
      description: '',
      tags: [],
      examples: [],
      inputModes: [],
      outputModes: [],
      securityRequirements: [],
    },
  ],
};

type Method = keyof A2ARequestHandler;
interface Recorded {
  readonly method: Method;
  readonly params: unknown;
  readonly context: unknown;
}

/** What the agents answer with, for one test. */
let answers: Partial<Record<Method, unknown>> = {};
let capabilities = card.capabilities;
afterEach(() => {
  answers = {};
  capabilities = card.capabilities;
});

const defaults: Partial<Record<Method, unknown>> = {
  getAuthenticatedExtendedAgentCard: extendedCard,
  sendMessage: task,
  sendMessageStream: events,
  resubscribe: events,
  getTask: task,
  cancelTask: bareTask,
  listTasks: { tasks, nextPageToken: 'next', pageSize: 10, totalSize: 11 },
  createTaskPushNotificationConfig: config(),
  getTaskPushNotificationConfig: config({ token: '', authentication: undefined }),
  listTaskPushNotificationConfigs: { configs: [config(), config({ id: '' })], nextPageToken: '' },
  deleteTaskPushNotificationConfig: undefined,
};

/** A marker for "this is thrown". */
class Thrown {
  constructor(readonly error: unknown) {}
}

/** An agent that answers as told, and writes down what it was asked. */
function createRecorder() {
  const recorded: Recorded[] = [];
  function note(method: Method, params: unknown, context: ServerCallContext) {
    const { tenant, requestedVersion, requestedExtensions, user } = context;
    recorded.push({
      method,
      params,
      context: { tenant, requestedVersion, requestedExtensions, userName: user?.userName },
    });
    if (requestedExtensions?.includes('https://activate.example/') === true) {
      context.addActivatedExtension('https://activated.example/');
      context.addActivatedExtension('https://other.example/');
    }
    return method in answers ? answers[method] : defaults[method];
  }
  const single = (method: Method) => async (params: unknown, context: ServerCallContext) => {
    const answer = await Promise.resolve(note(method, params, context));
    if (answer instanceof Thrown) throw answer.error;
    return answer;
  };
  const stream = (method: Method) =>
    async function* (params: unknown, context: ServerCallContext): AsyncGenerator {
      const answer = note(method, params, context);
      await Promise.resolve();
      for (const item of [answer].flat()) {
        if (item instanceof Thrown) throw item.error;
        yield item;
      }
    };
  const handler = {
    getAgentCard: () => Promise.resolve({ ...card, capabilities }),
    ...Object.fromEntries(
      (Object.keys(defaults) as Method[]).map((method) => [
        method,
        method === 'sendMessageStream' || method === 'resubscribe' ? stream(method) : single(method),
      ]),
    ),
  } as unknown as A2ARequestHandler;
  return { handler, recorded };
}

interface Served {
  readonly recorded: Recorded[];
  /** The path is that below the URL of the interface. */
  readonly ask: (path: string, init: RequestInit) => Promise<Response>;
}

async function serveByExpress(handlerOf: (agent: A2ARequestHandler) => RequestHandler): Promise<Served> {
  const { handler, recorded } = createRecorder();
  const { url, serve } = await listen('file');
  serve(express().use(handlerOf(handler)));
  return { recorded, ask: (path, init) => fetch(`${url}/a2a/rest${path}`, init) };
}

function serveByFetch(): Served {
  const { handler, recorded } = createRecorder();
  const handle = agentFetchHandler({ security: createSecurity(), requestHandler: handler });
  return { recorded, ask: (path, init) => handle(new Request(`${origin}/a2a/rest${path}`, init)) };
}

function restHandlerBehindGate(agent: A2ARequestHandler): RequestHandler {
  const security = createSecurity();
  const requestHandler = security.protect(agent);
  return Router().use(
    '/a2a/rest',
    authenticate({ security, requestHandler, binding: 'HTTP+JSON' }),
    restHandler({
      requestHandler,
      userBuilder,
      contextBuilder: contextBuilder(security),
      legacyCompat: { enabled: true },
    }),
  );
}

let sdk: Served;
let own: readonly Served[];
beforeAll(async () => {
  sdk = await serveByExpress(restHandlerBehindGate);
  own = [
    await serveByExpress((requestHandler) => agentRouter({ security: createSecurity(), requestHandler })),
    serveByFetch(),
  ];
});

interface Call {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly version?: string | undefined;
}

/**
 * The SDK writes the tenant of the path into the parsed query, to be found there. Express 5 parses the query anew each time
 * that it is asked for it.
 */
function withPathTenant(call: Recorded): Recorded {
  const { tenant } = call.context as { tenant?: string };
  return tenant === undefined ? call : { ...call, params: { ...(call.params as object), tenant } };
}

/** Sends the same to all, and expects the same answer, and the same work done for it. */
async function expectEqual({ method = 'GET', path, body, headers, version = '1.0' }: Call) {
  const init = {
    method,
    headers: {
      'x-key': key,
      ...(version === '' ? {} : { 'a2a-version': version }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  };
  sdk.recorded.length = 0;
  const answered = await comparable(await sdk.ask(path, init));
  // Of a stream, the SDK says `no-cache`, which does not keep it out of caches.
  const expected = { ...answered, headers: { ...answered.headers, 'cache-control': 'no-store' } };
  for (const { ask, recorded } of own) {
    recorded.length = 0;
    expect(await comparable(await ask(path, init))).toEqual(expected);
    expect(recorded).toEqual(sdk.recorded.map(withPathTenant));
  }
  return { ...expected, recorded: sdk.recorded };
}

const sent = {
  messageId: 'm-1',
  contextId: 'c-1',
  role: 'ROLE_USER',
  parts: [{ text: 'a' }, { raw: 'aGk' }, { url: 'https://a.example/' }, { data: { a: [1] } }],
};
const sentLegacy = {
  message_id: 'm-1',
  context_id: 'c-1',
  role: 'ROLE_USER',
  content: [
    { text: 'a' },
    { file: { fileWithBytes: 'aGk', mimeType: 'a/b', name: 'a' } },
    { file: { file_with_uri: 'https://a.example/', mime_type: 'c/d' } },
    { data: { data: { a: [1] } } },
    { data: {} },
  ],
  metadata: { a: 1 },
  extensions: ['https://e.example/'],
};

const routes: readonly Call[] = [
  { path: '/extendedAgentCard' },
  { method: 'POST', path: '/message:send', body: { message: sent } },
  { method: 'POST', path: '/message:stream', body: { message: sent } },
  { path: '/tasks/t-1:subscribe' },
  { method: 'POST', path: '/tasks/t-1:subscribe', body: {} },
  { method: 'POST', path: '/tasks/t-1:subscribe' },
  { method: 'POST', path: '/tasks/t-1:cancel', body: {} },
  { method: 'POST', path: '/tasks/t-1:cancel' },
  { path: '/tasks/t-1' },
  { path: '/tasks' },
  {
    method: 'POST',
    path: '/tasks/t-1/pushNotificationConfigs',
    body: { id: 'p-1', url: 'https://a.example/' },
  },
  { path: '/tasks/t-1/pushNotificationConfigs' },
  { path: '/tasks/t-1/pushNotificationConfigs/p-1' },
  { method: 'DELETE', path: '/tasks/t-1/pushNotificationConfigs/p-1' },
];
const legacyRoutes: readonly Call[] = [
  { path: '/v1/card' },
  ...routes
    .filter(({ path }) => path !== '/extendedAgentCard' && path !== '/tasks')
    .map(({ method = 'GET', path, body }) => ({
      method,
      path: `/v1${path}`,
      ...(path.startsWith('/message')
        ? { body: { message: sentLegacy } }
        : method === 'POST' && path.endsWith('Configs')
          ? {
              body: {
                name: 'tasks/t-1/pushNotificationConfigs/p-1',
                pushNotificationConfig: { id: 'p-1', url: 'https://a.example/', token: 't' },
              },
            }
          : body === undefined
            ? {}
            : { body }),
    })),
].map((call) => ({ ...call, version: '0.3' }));
const every = [...routes, ...legacyRoutes];
const nameOf = ({ method = 'GET', path, version = '1.0' }: Call) => `${method} ${path} (${version})`;
const named = (calls: readonly Call[]) => calls.map((call) => [nameOf(call), call] as const);

describe('each route', () => {
  it.each(named(every))('%s', async (_name, call) => {
    const { recorded, status } = await expectEqual(call);
    expect(status).toBeLessThan(300);
    expect(recorded).toHaveLength(1);
  });

  it.each(named(routes))('%s, of a tenant in the path', async (_name, call) => {
    const { recorded } = await expectEqual({ ...call, path: `/my%2Ftenant${call.path}` });
    expect(recorded).toMatchObject([{ context: { tenant: 'my/tenant' } }]);
  });

  it.each(named(routes))('%s, of a tenant in the path that the query gainsays', async (_name, call) => {
    await expectEqual({ ...call, path: `/mine${call.path}?tenant=yours` });
  });

  it.each(named(routes))('%s, of a tenant in the path that the body gainsays', async (_name, call) => {
    if (call.body === undefined) return;
    await expectEqual({ ...call, path: `/mine${call.path}`, body: { ...call.body, tenant: 'yours' } });
  });

  it.each(named(every))('%s, of a tenant in the query', async (_name, call) => {
    await expectEqual({ ...call, path: `${call.path}?tenant=mine` });
  });

  it.each(named(every))('%s, of a tenant in the body', async (_name, call) => {
    if (call.body !== undefined) await expectEqual({ ...call, body: { ...call.body, tenant: 'mine' } });
  });

  it.each(named(every))('%s, asked for in 0.3', async (_name, call) => {
    await expectEqual({ ...call, version: '0.3' });
    await expectEqual({ ...call, version: '' });
  });

  it.each(named(every))('%s, in another case and with a slash at the end', async (_name, call) => {
    await expectEqual({ ...call, path: `${call.path.toUpperCase()}/` });
  });

  it.each(named(every))('%s, with extensions asked for', async (_name, call) => {
    for (const name of ['A2A-Extensions', 'X-A2A-Extensions']) {
      await expectEqual({ ...call, headers: { [name]: 'https://a.example/, https://a.example/' } });
      await expectEqual({ ...call, headers: { [name]: 'https://activate.example/' } });
    }
  });

  it.each(named(every))('%s, by HEAD', async (_name, call) => {
    // A stream has no end that one could wait for, but this one does.
    if (call.body === undefined && (call.method ?? 'GET') === 'GET')
      await expectEqual({ ...call, method: 'HEAD' });
  });

  it.each(named(every))('%s, with a type that the body does not have', async (_name, call) => {
    if (call.body === undefined) await expectEqual({ ...call, headers: { 'content-type': 'text/plain' } });
  });

  it.each(named(every))('%s, of JSON under its A2A name', async (_name, call) => {
    await expectEqual({ ...call, headers: { 'content-type': 'application/a2a+json; charset=utf-8' } });
  });

  it.each(named(every))('%s, with a body that is null', async (_name, call) => {
    if (call.body !== undefined) await expectEqual({ ...call, body: 'null' });
  });
});

describe('paths', () => {
  it.each([
    '/tasks/a%20b',
    '/tasks/a%2Fb',
    '/tasks/%C3%A9',
    '/tasks/a:b',
    '/tasks/a:cancel',
    '/tasks/tasks',
    '/tasks/extendedAgentCard',
    '/tasks/tasks/pushNotificationConfigs',
    '/tasks/tasks/pushNotificationConfigs/p-1',
    '/tasks/tasks/t-1',
    '/tasks/tasks/t-1:subscribe',
    '/v1/tasks',
    '/v1/extendedAgentCard',
    '/v1/card',
    '/v1/tasks/extendedAgentCard',
    '/v1/tasks/tasks/pushNotificationConfigs',
    '/v1/v1/card',
  ])('%s means the same', async (path) => {
    for (const version of ['1.0', '0.3']) {
      const init = { headers: { 'x-key': key, 'a2a-version': version } };
      const { status } = await sdk.ask(path, init);
      // Express says in its own way that there is nothing.
      if (status === 404) for (const { ask } of own) expect((await ask(path, init)).status).toBe(404);
      else await expectEqual({ path, version });
    }
  });
});

describe('query parameters', () => {
  const values = [
    '',
    '0',
    '1',
    '10',
    '100',
    '101',
    '-1',
    '1.5',
    '1e2',
    ' 7 ',
    '7x',
    'x',
    'true',
    'NaN',
    'null',
  ];
  const names = ['pageSize', 'pageToken', 'historyLength', 'contextId', 'status', 'includeArtifacts'];

  it.each(['/tasks', '/tasks/t-1', '/mine/tasks'])('of %s', async (path) => {
    for (const name of [...names, 'statusTimestampAfter']) {
      for (const value of values) await expectEqual({ path: `${path}?${name}=${encodeURIComponent(value)}` });
    }
    for (const status of ['TASK_STATE_WORKING', '3', 'UNRECOGNIZED', '-1', '99', 'working']) {
      await expectEqual({ path: `${path}?status=${status}` });
    }
    await expectEqual({ path: `${path}?pageSize=5&pageToken=a%26b&includeArtifacts=true&unknown=1` });
  });

  it('of a task in 0.3', async () => {
    for (const name of ['historyLength', 'history_length']) {
      for (const value of values) {
        await expectEqual({ path: `/v1/tasks/t-1?${name}=${encodeURIComponent(value)}`, version: '0.3' });
      }
    }
  });
});

describe('bodies', () => {
  it.each([
    {},
    { message: {} },
    { message: { ...sent, messageId: '' } },
    { message: { ...sent, messageId: 5 } },
    {
      message: { message_id: 'm', context_id: 'c', task_id: 't', parts: [{ media_type: 'a/b', text: 'x' }] },
    },
    {
      message: sent,
      configuration: {
        acceptedOutputModes: ['a'],
        historyLength: 2,
        returnImmediately: true,
        taskPushNotificationConfig: config(),
      },
      metadata: { a: 1 },
    },
  ])('of 1.0: %j', async (body) => {
    for (const path of ['/message:send', '/message:stream'])
      await expectEqual({ method: 'POST', path, body });
  });

  it.each([
    {},
    { request: sentLegacy },
    { message: null, request: sentLegacy },
    { message: {} },
    { message: { ...sentLegacy, message_id: undefined } },
    { message: { ...sentLegacy, messageId: 'camel' } },
    { message: { ...sentLegacy, messageId: 5, contextId: '', taskId: 't-9' } },
    ...[undefined, null, 'ROLE_AGENT', 1, 2, 0, 'ROLE_UNSPECIFIED', 'user', '', -1, true].map((role) => ({
      message: { ...sentLegacy, role },
    })),
    ...[
      {},
      { file: {} },
      { file: { fileWithUri: '' } },
      { file: { file_with_bytes: '-_8' } },
      { text: '' },
    ].map((one) => ({ message: { ...sentLegacy, content: [one] } })),
    ...[
      { text: 5 },
      { text: null, data: { data: null } },
      { data: 'x' },
      { file: { fileWithBytes: '' } },
    ].map((one) => ({ message: { ...sentLegacy, content: [one] } })),
    { message: { ...sentLegacy, content: undefined, metadata: 'x' } },
    { message: sentLegacy, metadata: { a: 1 }, configuration: null },
    { message: sentLegacy, configuration: {} },
    {
      message: sentLegacy,
      configuration: { blocking: true, historyLength: 3, accepted_output_modes: ['a'] },
    },
    { message: sentLegacy, configuration: { blocking: 'yes', pushNotification: {} } },
    {
      message: sentLegacy,
      configuration: {
        push_notification: {
          id: 5,
          url: 'https://a.example/',
          token: 't',
          authentication: { schemes: ['a', 'b'], credentials: 'c' },
        },
      },
    },
  ])('of 0.3: %j', async (body) => {
    for (const path of ['/v1/message:send', '/v1/message:stream']) {
      await expectEqual({ method: 'POST', path, body, version: '0.3' });
    }
  });

  it.each([
    {},
    { name: 'tasks/t-1', push_notification_config: { url: 'https://a.example/' } },
    { name: 'tasks/t-9/pushNotificationConfigs/p', pushNotificationConfig: {} },
    { name: 't-1', pushNotificationConfig: { id: 'p' } },
    { name: 'tasks/', pushNotificationConfig: { id: 'p' } },
    { pushNotificationConfig: { id: 'p' } },
    { name: 5, pushNotificationConfig: { id: 'p' } },
    { name: 'tasks/t-1', pushNotificationConfig: { authentication: {} } },
    { name: 'tasks/t-1', pushNotificationConfig: null },
  ])('of a push notification configuration in 0.3: %j', async (body) => {
    await expectEqual({
      method: 'POST',
      path: '/v1/tasks/t-1/pushNotificationConfigs',
      body,
      version: '0.3',
    });
  });

  it.each([
    {},
    { task_id: 'other', id: 'p', url: 'u', authentication: { scheme: 'a' } },
    { taskId: 'other' },
  ])('of a push notification configuration: %j', async (body) => {
    await expectEqual({ method: 'POST', path: '/tasks/t-1/pushNotificationConfigs', body });
  });
});

describe('what the agent answers', () => {
  async function expectEqualMessages(): Promise<void> {
    await expectEqual({ method: 'POST', path: '/message:send', body: { message: sent } });
    await expectEqual({
      method: 'POST',
      path: '/v1/message:send',
      body: { message: sentLegacy },
      version: '0.3',
    });
  }

  it.each(tasks.map((one, index) => [index, one] as const))('task %i', async (_index, one) => {
    answers = { getTask: one, sendMessage: one };
    await expectEqual({ path: '/tasks/t-1' });
    await expectEqual({ path: '/v1/tasks/t-1', version: '0.3' });
    await expectEqualMessages();
  });

  it.each([message, bareMessage])('a message %#', async (one) => {
    answers = { sendMessage: one };
    await expectEqualMessages();
  });

  it('empty lists', async () => {
    answers = {
      listTasks: { tasks: [], nextPageToken: '', pageSize: 0, totalSize: 0 },
      listTaskPushNotificationConfigs: { configs: [], nextPageToken: '' },
    };
    for (const { path, ...call } of every) {
      if (/tasks$|Configs$/.test(path) && call.method !== 'POST') await expectEqual({ path, ...call });
    }
  });

  it('an empty stream', async () => {
    answers = { sendMessageStream: [], resubscribe: [] };
    for (const call of every) await expectEqual(call);
  });

  it('an event that 0.3 has no form for', async () => {
    const odd = { payload: undefined };
    answers = { sendMessageStream: [odd], resubscribe: [events[0], odd, events[1]] };
    for (const call of every) await expectEqual(call);
  });

  it('that it does not stream, and sends no notifications', async () => {
    capabilities = { extensions: [], extendedAgentCard: true, streaming: false, pushNotifications: false };
    for (const call of every) await expectEqual(call);
  });
});

const classes = Object.entries(errors).flatMap(([name, value]) =>
  typeof value === 'function' &&
  value.prototype instanceof Error &&
  !['A2AError', 'JsonRpcTransportError'].includes(name)
    ? [[name, value as unknown as new (options?: unknown) => Error] as const]
    : [],
);

const thrown: [string, unknown][] = [
  ...classes.map(([name, Class]): [string, unknown] => [name, new Class({ message: `It is ${name}.` })]),
  ...classes.slice(0, 1).map((): [string, unknown] => ['a plain error', new Error('It is broken.')]),
  ['no error at all', 'broken'],
  ['nothing', undefined],
  [
    'a REST error with a status of its own',
    new errors.RestTaskNotFoundError({ message: 'Gone.', statusCode: 410 }),
  ],
  ...[-32700, -32600, -32601, -32603, -32099].map((envelopeCode): [string, unknown] => [
    `a JSON-RPC error of the code ${String(envelopeCode)}`,
    new errors.JsonRpcRequestMalformedError({ message: 'No.', envelopeCode }),
  ]),
];

describe('errors', () => {
  it('of all kinds are tried', () => {
    expect(thrown.length).toBeGreaterThan(30);
  });

  it.each(thrown)('%s, thrown by the agent', async (_name, error) => {
    answers = Object.fromEntries(Object.keys(defaults).map((method) => [method, new Thrown(error)]));
    for (const call of every) {
      const { status } = await expectEqual(call);
      expect(status).toBeGreaterThanOrEqual(400);
    }
  });

  it.each(thrown)('%s, thrown in the middle of a stream', async (_name, error) => {
    answers = {
      sendMessageStream: [events[0], new Thrown(error)],
      resubscribe: [events[2], new Thrown(error)],
    };
    for (const call of every.filter(({ path }) => /stream|subscribe/.test(path))) {
      const { body } = await expectEqual(call);
      expect(JSON.stringify(body)).toContain('event: error');
    }
  });
});

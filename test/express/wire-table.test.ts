import type { DecisionEvent } from '@a2a-auth/server';
import { jsonRpcHandler, restHandler } from '@a2a-js/sdk/server/express';
import { UnauthenticatedUser } from '@a2a-js/sdk/server';
import express from 'express';
import { get } from 'node:http';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { combinations, type Combination } from '../support/client.js';
import { createSecurity, denied, granted } from '../support/credentials.js';
import { callsOf, jsonRpc, message, rowOf, send, type WireCall } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { exchange } from '../support/raw-http.js';
import { closeServersAfterTests, listen, startAgent, type RunningAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

const apiKeyChallenge = (name: string) => `ApiKey realm="a2a", in="header", name="${name}"`;
const allMissing = [
  apiKeyChallenge('X-API-Key'),
  'Bearer realm="a2a", scope="call"',
  apiKeyChallenge('X-Tenant-Key'),
];
const lacksScope = ['Bearer realm="a2a", error="insufficient_scope", scope="call"'];

interface Presented {
  readonly reason: string;
  readonly status: 401 | 403 | 429 | 503;
  readonly statusName: string;
  readonly sentence: string;
  readonly challenges: readonly string[];
  readonly retryAfter?: string;
  readonly missingScopes?: readonly string[];
}

/** The rows of the wire table, by what is wrong with the credentials. */
const table = {
  missing: {
    reason: 'missing_credential',
    status: 401,
    statusName: 'UNAUTHENTICATED',
    sentence:
      'Authentication is required: present the credentials of one of the alternatives on the agent card.',
    challenges: allMissing,
  },
  invalid: {
    reason: 'invalid_credential',
    status: 401,
    statusName: 'UNAUTHENTICATED',
    sentence: 'Authentication failed: the presented credentials were not accepted.',
    challenges: allMissing,
  },
  malformed: {
    reason: 'invalid_credential',
    status: 401,
    statusName: 'UNAUTHENTICATED',
    sentence: 'Authentication failed: the presented credentials were not accepted.',
    challenges: [
      apiKeyChallenge('X-API-Key'),
      'Bearer realm="a2a", error="invalid_request", scope="call"',
      apiKeyChallenge('X-Tenant-Key'),
    ],
  },
  insufficient_scope: {
    reason: 'insufficient_scope',
    status: 403,
    statusName: 'PERMISSION_DENIED',
    sentence: 'The presented credentials are valid, but lack a scope that this agent requires: call.',
    challenges: lacksScope,
    missingScopes: ['call'],
  },
  not_permitted: {
    reason: 'not_permitted',
    status: 403,
    statusName: 'PERMISSION_DENIED',
    sentence: 'The presented credentials are valid, but do not permit this operation.',
    challenges: lacksScope,
  },
  unavailable: {
    reason: 'unavailable',
    status: 503,
    statusName: 'UNAVAILABLE',
    sentence: 'Authentication is temporarily unavailable. Try again later.',
    challenges: [],
    retryAfter: '7',
  },
  too_many_attempts: {
    reason: 'too_many_attempts',
    status: 429,
    statusName: 'RESOURCE_EXHAUSTED',
    sentence: 'Too many attempts. Try again later.',
    challenges: [],
    retryAfter: '2',
  },
} as const satisfies Record<string, Presented>;

const rows = (Object.keys(table) as (keyof typeof table)[]).map(
  (wrong): Presented & { wrong: typeof wrong } => ({
    wrong,
    ...table[wrong],
  }),
);

const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) as string;
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

let agent: RunningAgent;
const decisions: DecisionEvent[] = [];
beforeAll(async () => {
  agent = await startAgent({
    lifetime: 'file',
    security: createSecurity({ onDecision: (decision) => decisions.push(decision) }),
  });
});

beforeEach(() => {
  decisions.length = 0;
  agent.executor.calls.length = 0;
  agent.taskStore.saved = 0;
});

const urlOf = ({ jsonRpcUrl, restUrl }: RunningAgent, { binding }: Combination) =>
  binding === 'JSONRPC' ? jsonRpcUrl : restUrl;

function expectNothingDone(running: RunningAgent): void {
  expect(running.executor.calls).toHaveLength(0);
  expect(running.taskStore.saved).toBe(0);
}

function expectHeaders(response: Response, row: Presented): void {
  expect(response.headers.get('www-authenticate')).toBe(row.challenges.join(', ') || null);
  expect(response.headers.get('retry-after')).toBe(row.retryAfter ?? null);
  expect(response.headers.get('cache-control')).toBe('no-store');
}

/** The error body of a denial, in the shape of the binding. */
function errorBody({ binding, version }: Combination, row: Presented): unknown {
  const info = {
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    reason: row.reason.toUpperCase(),
    domain: 'a2a-auth',
    metadata: {
      agentCardUrl: agent.cardUrl,
      ...(row.missingScopes === undefined ? {} : { missingScopes: row.missingScopes.join(' ') }),
    },
  };
  const bare = { code: -32600, message: row.sentence, data: [info] };
  if (binding === 'JSONRPC') return { jsonrpc: '2.0', id: 'call-1', error: bare };
  if (version === '0.3') return bare;
  return {
    error: { code: row.status, status: row.statusName, message: row.sentence, details: [info] },
  };
}

const jsonType = ({ binding, version }: Combination) =>
  binding === 'HTTP+JSON' && version === '1.0' ? 'application/a2a+json' : 'application/json';

const dataPart = (row: Presented) => ({
  reason: row.reason,
  alternatives: [{ partnerKey: [] }, { tenantKey: [], userToken: ['call'] }],
  missingScopes: row.missingScopes ?? [],
  agentCardUrl: agent.cardUrl,
});

/** The auth-required task, in the JSON of each binding and version. */
function task({ binding, version }: Combination, row: Presented) {
  const ids = { taskId: uuid, contextId: 'my-context', messageId: uuid };
  const data = dataPart(row);
  if (version === '1.0') {
    return {
      id: uuid,
      contextId: 'my-context',
      status: {
        state: 'TASK_STATE_AUTH_REQUIRED',
        timestamp,
        message: {
          ...ids,
          role: 'ROLE_AGENT',
          parts: [
            { text: row.sentence, mediaType: 'text/plain' },
            { data, mediaType: 'application/json' },
          ],
        },
      },
    };
  }
  if (binding === 'JSONRPC') {
    return {
      kind: 'task',
      id: uuid,
      contextId: 'my-context',
      status: {
        state: 'auth-required',
        timestamp,
        message: {
          kind: 'message',
          ...ids,
          role: 'agent',
          parts: [
            { kind: 'text', text: row.sentence },
            { kind: 'data', data },
          ],
        },
      },
    };
  }
  return {
    id: uuid,
    contextId: 'my-context',
    status: {
      state: 'TASK_STATE_AUTH_REQUIRED',
      timestamp,
      message: { ...ids, role: 'ROLE_AGENT', content: [{ text: row.sentence }, { data: { data } }] },
    },
  };
}

function sendMessageBody(combination: Combination, row: Presented): unknown {
  const { binding, version } = combination;
  const written = task(combination, row);
  const result = binding === 'JSONRPC' && version === '0.3' ? written : { task: written };
  return binding === 'JSONRPC' ? { jsonrpc: '2.0', id: 'call-1', result } : result;
}

function streamEvent(combination: Combination, row: Presented): unknown {
  const { binding, version } = combination;
  const written = task(combination, row);
  const update = { taskId: uuid, contextId: 'my-context', status: written.status, final: true };
  const event =
    version === '1.0'
      ? { task: written }
      : binding === 'JSONRPC'
        ? { kind: 'status-update', ...update }
        : { statusUpdate: update };
  return binding === 'JSONRPC' ? { jsonrpc: '2.0', id: 'call-1', result: event } : event;
}

/** The data of each server-sent event of a response that has ended. */
async function events(response: Response): Promise<unknown[]> {
  const text = await response.text();
  expect(text.endsWith('\n\n')).toBe(true);
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((event) => {
      expect(event).toMatch(/^data: [^\n]*$/);
      return JSON.parse(event.slice('data: '.length)) as unknown;
    });
}

async function expectError(
  response: Response,
  combination: Combination,
  row: Presented,
  status: number = row.status,
): Promise<void> {
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe(jsonType(combination));
  expectHeaders(response, row);
  expect(await response.json()).toEqual(errorBody(combination, row));
}

async function expectTask(response: Response, combination: Combination, row: Presented): Promise<void> {
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe(jsonType(combination));
  expectHeaders(response, row);
  expect(await response.json()).toEqual(sendMessageBody(combination, row));
}

async function expectStream(response: Response, combination: Combination, row: Presented): Promise<void> {
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  expectHeaders(response, row);
  expect(await events(response)).toEqual([streamEvent(combination, row)]);
}

describe.each(combinations)('over $binding $version', (combination) => {
  describe.each(rows)('a caller whose credential is $wrong', ({ wrong, ...row }) => {
    it.each(callsOf(combination))('$operation ($name)', async (call) => {
      const response = await send(urlOf(agent, combination), combination, call, denied[wrong]);
      const temporary = row.retryAfter !== undefined;
      if (temporary || rowOf(call) === 'other') await expectError(response, combination, row);
      else if (rowOf(call) === 'SendMessage') await expectTask(response, combination, row);
      else await expectStream(response, combination, row);
      expect(decisions).toMatchObject([{ operation: call.operation, binding: combination.binding }]);
      expectNothingDone(agent);
    });
  });

  const messages = callsOf(combination).filter((call) => rowOf(call) !== 'other');
  const others = callsOf(combination).filter((call) => rowOf(call) === 'other');

  describe("with denials: { messages: 'http' }", () => {
    it.each(rows)(
      'a message of a caller whose credential is $wrong gets $status',
      async ({ wrong, ...row }) => {
        const strict = await startAgent({
          security: createSecurity({ denials: { messages: 'http' }, agentCardUrl: agent.cardUrl }),
        });
        for (const call of messages) {
          const response = await send(urlOf(strict, combination), combination, call, denied[wrong]);
          await expectError(response, combination, row);
        }
        expectNothingDone(strict);
      },
    );
  });

  describe("with denials: { others: 'jsonrpc' }", () => {
    const inBand = (row: Presented) => combination.binding === 'JSONRPC' && row.retryAfter === undefined;

    it.each(rows.map((row) => ({ ...row, expected: inBand(row) ? 200 : row.status })))(
      'any other call of a caller whose credential is $wrong gets $expected',
      async ({ wrong, expected, ...row }) => {
        const lenient = await startAgent({
          security: createSecurity({ denials: { others: 'jsonrpc' }, agentCardUrl: agent.cardUrl }),
        });
        for (const call of others) {
          const response = await send(urlOf(lenient, combination), combination, call, denied[wrong]);
          await expectError(response, combination, row, expected);
        }
        expectNothingDone(lenient);
      },
    );

    it('leaves messages alone, and both options go together', async () => {
      const [call] = messages as [WireCall];
      const options = { others: 'jsonrpc', messages: 'http' } as const;
      const lenient = await startAgent({
        security: createSecurity({ denials: { others: options.others }, agentCardUrl: agent.cardUrl }),
      });
      await expectTask(
        await send(urlOf(lenient, combination), combination, call, denied.missing),
        combination,
        table.missing,
      );
      const both = await startAgent({
        security: createSecurity({ denials: options, agentCardUrl: agent.cardUrl }),
      });
      await expectError(
        await send(urlOf(both, combination), combination, call, denied.missing),
        combination,
        table.missing,
      );
    });
  });

  describe('the auth-required task', () => {
    const [first] = messages as [WireCall];
    const withoutContext = (call: WireCall) =>
      JSON.parse(JSON.stringify(call), (key, value: unknown) =>
        key === 'contextId' ? undefined : value,
      ) as WireCall;
    const idsIn = (text: string) => ({
      uuids: new Set(text.match(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g)),
      contextIds: [...text.matchAll(/"contextId":"([^"]*)"/g)].map(([, id]) => id),
    });

    it('has a context of its own when the caller names none, the same throughout', async () => {
      for (const call of messages) {
        const response = await send(urlOf(agent, combination), combination, withoutContext(call));
        const { contextIds } = idsIn(await response.text());
        expect(contextIds.length).toBeGreaterThan(1);
        expect(new Set(contextIds)).toEqual(new Set([uuid]));
        expect(new Set(contextIds).size).toBe(1);
      }
    });

    it('has fresh ids with every answer', async () => {
      const seen = new Set<string>();
      for (const call of [...messages, ...messages].map(withoutContext)) {
        const response = await send(urlOf(agent, combination), combination, call);
        const { uuids } = idsIn(await response.text());
        // The task's, the message's and the context's.
        expect(uuids.size).toBe(3);
        for (const id of uuids) {
          expect(seen).not.toContain(id);
          seen.add(id);
        }
      }
    });

    it('is stored nowhere: a granted caller can neither get it nor go on with it', async () => {
      const answer = await (await send(urlOf(agent, combination), combination, first)).text();
      const taskId = /"taskId":"([^"]*)"/.exec(answer)?.[1] ?? '';
      expect(taskId).toEqual(uuid);
      const calls = callsOf(combination).filter(({ operation }) => operation === 'GetTask');
      const followUp = JSON.parse(
        JSON.stringify(first).replace('"messageId"', `"taskId":"${taskId}","messageId"`),
      ) as WireCall;
      for (const call of [...calls, followUp]) {
        const asked = JSON.parse(JSON.stringify(call).replaceAll('t-1', taskId)) as WireCall;
        const response = await send(urlOf(agent, combination), combination, asked, granted.partner);
        expect(await response.text()).toMatch(/Task not found/);
      }
      expectNothingDone(agent);
    });

    it('is what the SDK itself writes when the protected handler answers', async () => {
      const { url, serve } = await listen();
      const { requestHandler } = createAgent(agentCard(url));
      const sdkOptions = {
        requestHandler: createSecurity({ agentCardUrl: agent.cardUrl }).protect(requestHandler),
        userBuilder: () => Promise.resolve(new UnauthenticatedUser()),
        legacyCompat: { enabled: true },
      };
      const app = express();
      app.use('/a2a/jsonrpc', jsonRpcHandler(sdkOptions));
      app.use('/a2a/rest', restHandler(sdkOptions));
      serve(app);
      const sdkUrl = `${url}/a2a/${combination.binding === 'JSONRPC' ? 'jsonrpc' : 'rest'}`;

      // A 0.3 stream is ours alone to write: the SDK would not mark the event as the last one.
      const comparable = messages.filter(
        (call) => combination.version === '1.0' || rowOf(call) === 'SendMessage',
      );
      expect(comparable).not.toHaveLength(0);
      for (const call of comparable) {
        const response = await send(sdkUrl, combination, call);
        expect(response.ok).toBe(true);
        if (rowOf(call) === 'SendMessage') {
          expect(await response.json()).toEqual(sendMessageBody(combination, table.missing));
        } else {
          expect(await events(response)).toEqual([streamEvent(combination, table.missing)]);
        }
      }
    });
  });

  it('an unknown call of a granted caller is the business of the SDK', async () => {
    for (const call of callsOf(combination).filter(({ operation }) => operation === 'unknown')) {
      const response = await send(urlOf(agent, combination), combination, call, granted.partner);
      expect(response.headers.get('www-authenticate')).toBeNull();
      expect([200, 404]).toContain(response.status);
      if (response.status === 200) {
        expect(await response.json()).toMatchObject({
          id: 'call-1',
          error: { code: expect.any(Number) as number },
        });
      }
    }
    expectNothingDone(agent);
  });
});

describe('the JSON-RPC id', () => {
  const answerTo = async (id: unknown, method: string) => {
    const body = { ...jsonRpc(method, { message: message['1.0'] }), id };
    const response = await send(agent.jsonRpcUrl, { version: '1.0' }, { method: 'POST', path: '', body });
    const text = await response.text();
    return (JSON.parse(text.replace(/^data: /, '')) as { id: unknown }).id;
  };

  describe.each(['SendMessage', 'SendStreamingMessage', 'GetTask', 'NoSuchMethod'])(
    'of a denied %s',
    (method) => {
      it.each(['a-string', '', 0, 7, -1, Number.MAX_SAFE_INTEGER, null])('is echoed: %j', async (id) => {
        expect(await answerTo(id, method)).toBe(id);
      });

      it.each([undefined, 1.5, true, {}, [], ['x']])('is null when it is none: %j', async (id) => {
        expect(await answerTo(id, method)).toBeNull();
      });
    },
  );
});

describe('the contextId of a denied message', () => {
  const contextOf = async (contextId: unknown) => {
    const body = jsonRpc('SendMessage', { message: { ...message['1.0'], contextId } });
    const response = await send(agent.jsonRpcUrl, { version: '1.0' }, { method: 'POST', path: '', body });
    return ((await response.json()) as { result: { task: { contextId: string } } }).result.task.contextId;
  };

  it.each(['c', 'x'.repeat(256), 'Zürich 日本', '__proto__', '"quoted"'])(
    'is echoed: %s',
    async (contextId) => {
      expect(await contextOf(contextId)).toBe(contextId);
    },
  );

  it.each([undefined, null, '', 5, {}, ['c'], 'x'.repeat(257)])(
    'is a fresh one instead of %j',
    async (contextId) => {
      expect(await contextOf(contextId)).toEqual(uuid);
    },
  );
});

it('a denied stream leaves the connection to the server, which closes it when the caller wants that', async () => {
  for (const { binding, version } of combinations) {
    const [call] = callsOf({ binding, version }).filter(
      (candidate) => rowOf(candidate) === 'SendStreamingMessage',
    ) as [WireCall];
    const { head } = await exchange(agent.port, {
      method: call.method,
      target: `${binding === 'JSONRPC' ? '/a2a/jsonrpc' : '/a2a/rest'}${call.path}`,
      headers: [
        ['A2A-Version', version],
        ['Content-Type', 'application/json'],
      ],
      body: JSON.stringify(call.body),
    });
    expect(head.match(/^connection: .*$/gim)).toEqual(['Connection: close']);
  }
});

it('each challenge is a field of its own', async () => {
  const rawHeaders = await new Promise<string[]>((resolve, reject) => {
    get(`${agent.restUrl}/tasks`, { headers: { 'A2A-Version': '1.0' } }, (response) => {
      response.resume();
      resolve(response.rawHeaders);
    }).on('error', reject);
  });
  const fields = rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === 'www-authenticate');
  expect(fields).toEqual(allMissing);
});

import type { DecisionEvent } from '@a2a-auth/server';
import { LegacyA2AService, legacyGrpcService } from '@a2a-js/sdk/compat/v0_3/server/grpc';
import { A2AService, grpcService, UserBuilder } from '@a2a-js/sdk/server/grpc';
import { status } from '@grpc/grpc-js';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { createAgent } from '../support/agent.js';
import { createSecurity, denied, granted } from '../support/credentials.js';
import {
  callGrpc,
  closeGrpcAfterTests,
  errorDetails,
  grpcCard,
  listenGrpc,
  methods,
  services,
  startGrpcAgent,
  versions,
  type GrpcMethod,
  type GrpcOutcome,
  type RunningGrpcAgent,
  type Version,
} from '../support/grpc.js';

closeGrpcAfterTests();

const cardUrl = 'https://agent.example/.well-known/agent-card.json';
const apiKeyChallenge = (name: string) => `ApiKey realm="a2a", in="header", name="${name}"`;
const allMissing = [
  apiKeyChallenge('X-API-Key'),
  'Bearer realm="a2a", scope="call"',
  apiKeyChallenge('X-Tenant-Key'),
];
const lacksScope = ['Bearer realm="a2a", error="insufficient_scope", scope="call"'];

interface Presented {
  readonly reason: string;
  readonly code: status;
  readonly sentence: string;
  readonly challenges: readonly string[];
  /** A RetryInfo, as hex. */
  readonly retryInfo?: string;
  readonly missingScopes?: readonly string[];
}

/** The rows of the wire table, by what is wrong with the credentials. */
const table = {
  missing: {
    reason: 'missing_credential',
    code: status.UNAUTHENTICATED,
    sentence:
      'Authentication is required: present the credentials of one of the alternatives on the agent card.',
    challenges: allMissing,
  },
  invalid: {
    reason: 'invalid_credential',
    code: status.UNAUTHENTICATED,
    sentence: 'Authentication failed: the presented credentials were not accepted.',
    challenges: allMissing,
  },
  malformed: {
    reason: 'invalid_credential',
    code: status.UNAUTHENTICATED,
    sentence: 'Authentication failed: the presented credentials were not accepted.',
    challenges: [
      apiKeyChallenge('X-API-Key'),
      'Bearer realm="a2a", error="invalid_request", scope="call"',
      apiKeyChallenge('X-Tenant-Key'),
    ],
  },
  insufficient_scope: {
    reason: 'insufficient_scope',
    code: status.PERMISSION_DENIED,
    sentence: 'The presented credentials are valid, but lack a scope that this agent requires: call.',
    challenges: lacksScope,
    missingScopes: ['call'],
  },
  not_permitted: {
    reason: 'not_permitted',
    code: status.PERMISSION_DENIED,
    sentence: 'The presented credentials are valid, but do not permit this operation.',
    challenges: lacksScope,
  },
  unavailable: {
    reason: 'unavailable',
    code: status.UNAVAILABLE,
    sentence: 'Authentication is temporarily unavailable. Try again later.',
    challenges: [],
    // Duration { seconds: 7 } in field 1.
    retryInfo: '0a020807',
  },
  too_many_attempts: {
    reason: 'too_many_attempts',
    code: status.RESOURCE_EXHAUSTED,
    sentence: 'Too many attempts. Try again later.',
    challenges: [],
    retryInfo: '0a020802',
  },
} as const satisfies Record<string, Presented>;

const rows = (Object.keys(table) as (keyof typeof table)[]).map(
  (wrong): Presented & { wrong: typeof wrong } => ({ wrong, ...table[wrong] }),
);

const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) as string;
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

let agent: RunningGrpcAgent;
const decisions: DecisionEvent[] = [];
beforeAll(async () => {
  agent = await startGrpcAgent({
    lifetime: 'file',
    security: createSecurity({
      agentCardUrl: cardUrl,
      onDecision: (decision) => decisions.push(decision),
    }),
  });
});

beforeEach(() => {
  decisions.length = 0;
  agent.executor.calls.length = 0;
  agent.taskStore.saved = 0;
});

function expectNothingDone(running: RunningGrpcAgent): void {
  expect(running.executor.calls).toHaveLength(0);
  expect(running.taskStore.saved).toBe(0);
}

function expectChallenges({ trailers }: GrpcOutcome, { challenges }: Presented): void {
  expect(trailers.get('www-authenticate').join(', ')).toBe(challenges.join(', '));
}

function expectError(outcome: GrpcOutcome, row: Presented): void {
  expect(outcome).toMatchObject({ code: row.code, details: row.sentence, messages: [] });
  expectChallenges(outcome, row);
  const retry = { typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value: row.retryInfo };
  expect(errorDetails(outcome)).toEqual({
    code: row.code,
    message: row.sentence,
    details: [
      {
        typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo',
        reason: row.reason.toUpperCase(),
        domain: 'a2a-auth',
        metadata: {
          agentCardUrl: cardUrl,
          ...(row.missingScopes === undefined ? {} : { missingScopes: row.missingScopes.join(' ') }),
        },
      },
      ...(row.retryInfo === undefined ? [] : [retry]),
    ],
  });
}

const dataPart = (row: Presented) => ({
  reason: row.reason,
  alternatives: [{ partnerKey: [] }, { tenantKey: [], userToken: ['call'] }],
  missingScopes: row.missingScopes ?? [],
  agentCardUrl: cardUrl,
});

const ids = { taskId: uuid, contextId: 'my-context', messageId: uuid };

/** The auth-required status, as each version's protocol buffers have it. */
function authRequired(version: Version, row: Presented) {
  return version === '1.0'
    ? {
        state: 8,
        timestamp,
        message: {
          ...ids,
          role: 2,
          parts: [
            { content: { $case: 'text', value: row.sentence }, mediaType: 'text/plain' },
            { content: { $case: 'data', value: dataPart(row) }, mediaType: 'application/json' },
          ],
        },
      }
    : {
        state: 8,
        timestamp,
        update: {
          ...ids,
          role: 2,
          content: [
            { part: { $case: 'text', value: row.sentence } },
            { part: { $case: 'data', value: { data: dataPart(row) } } },
          ],
        },
      };
}

function expectTask(outcome: GrpcOutcome, version: Version, row: Presented, isStream: boolean): void {
  expect(outcome).toMatchObject({ code: status.OK });
  expectChallenges(outcome, row);
  const taskStatus = authRequired(version, row);
  const payload =
    isStream && version === '0.3'
      ? {
          $case: 'statusUpdate',
          value: { taskId: uuid, contextId: 'my-context', final: true, status: taskStatus },
        }
      : { $case: 'task', value: { id: uuid, contextId: 'my-context', status: taskStatus } };
  expect(outcome.messages).toMatchObject([{ payload }]);
}

const isMessage = ({ operation }: GrpcMethod) =>
  operation === 'SendMessage' || operation === 'SendStreamingMessage';

it.each(versions)('the methods tried here are all that the service of %s has', (version) => {
  expect(new Set(methods[version].map(({ method }) => method))).toEqual(
    new Set(Object.keys(services[version])),
  );
});

describe.each(versions)('over gRPC %s', (version) => {
  describe.each(rows)('a caller whose credential is $wrong', ({ wrong, ...row }) => {
    it.each(methods[version])('$method', async ({ method, operation, request }) => {
      const outcome = await callGrpc(agent.address, version, method, request, denied[wrong]);
      if (row.retryInfo === undefined && isMessage({ method, operation, request })) {
        expectTask(outcome, version, row, operation === 'SendStreamingMessage');
      } else {
        expectError(outcome, row);
      }
      expect(decisions).toMatchObject([
        { operation, binding: 'GRPC', granted: false, remoteAddress: '127.0.0.1' },
      ]);
      expectNothingDone(agent);
    });
  });

  it.each(rows)(
    "a message of a caller whose credential is $wrong gets its status with denials: { messages: 'http' }",
    async ({ wrong, ...row }) => {
      const strict = await startGrpcAgent({
        security: createSecurity({ denials: { messages: 'http' }, agentCardUrl: cardUrl }),
      });
      for (const { method, request } of methods[version].filter(isMessage)) {
        expectError(await callGrpc(strict.address, version, method, request, denied[wrong]), row);
      }
      expectNothingDone(strict);
    },
  );

  it("denials: { others: 'jsonrpc' } has no meaning", async () => {
    const lenient = await startGrpcAgent({
      security: createSecurity({ denials: { others: 'jsonrpc' }, agentCardUrl: cardUrl }),
    });
    for (const { method, request } of methods[version].filter((tried) => !isMessage(tried))) {
      expectError(await callGrpc(lenient.address, version, method, request), table.missing);
    }
  });

  it('an auth-required task has fresh ids with every answer', async () => {
    const seen: string[] = [];
    for (const { method, request } of [...methods[version], ...methods[version]].filter(isMessage)) {
      const { messages } = await callGrpc(agent.address, version, method, request);
      const found = new Set(JSON.stringify(messages).match(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g));
      // The task's and the message's.
      expect(found.size).toBe(2);
      for (const id of found) expect(seen).not.toContain(id);
      seen.push(...found);
    }
  });

  it.each(['', 'x'.repeat(257)])('a context id that is none is not echoed: %j', async (contextId) => {
    const [{ request }] = methods[version] as [GrpcMethod];
    const changed = JSON.parse(
      JSON.stringify(request).replace('"my-context"', JSON.stringify(contextId)),
    ) as unknown;
    const { messages } = await callGrpc(agent.address, version, 'sendMessage', changed);
    expect(messages).toMatchObject([{ payload: { value: { contextId: uuid } } }]);
  });

  it.each(['2.0', '__proto__', ''])(
    'a denied caller gets its denial, whatever version it asks for: %j',
    async (asked) => {
      const { code } = await callGrpc(agent.address, version, 'getTask', methods[version][2]?.request, {
        'a2a-version': asked,
      });
      expect(code).toBe(status.UNAUTHENTICATED);
    },
  );

  it.each([
    { urls: ['localhost:50051'], told: undefined },
    { urls: ['127.0.0.1:50051'], told: undefined },
    { urls: ['dns:///agent.example:443'], told: undefined },
    { urls: ['localhost:50051', 'https://agent.example/a2a'], told: cardUrl },
  ])('where the card is goes by the first interface with an origin: $urls', async ({ urls, told }) => {
    const supportedInterfaces = urls.map((url) => ({
      url,
      protocolBinding: url.startsWith('https:') ? 'JSONRPC' : 'GRPC',
      protocolVersion: version,
      tenant: '',
    }));
    const plain = await startGrpcAgent({ card: { supportedInterfaces } });
    const [{ method, request }] = methods[version] as [GrpcMethod];
    const outcome = await callGrpc(plain.address, version, method, request);
    expect(outcome.code).toBe(status.OK);
    expect(/"agentCardUrl":"([^"]*)"/.exec(JSON.stringify(outcome.messages))?.[1]).toBe(told);
  });

  it('a version that the card does not offer over gRPC is refused by the SDK', async () => {
    const other = versions.find((known) => known !== version) ?? '1.0';
    const agentOfOne = await startGrpcAgent({
      card: {
        supportedInterfaces: [
          { url: 'localhost:1', protocolBinding: 'GRPC', protocolVersion: other, tenant: '' },
          { url: 'http://localhost', protocolBinding: 'JSONRPC', protocolVersion: version, tenant: '' },
        ],
      },
    });
    const outcome = await callGrpc(
      agentOfOne.address,
      version,
      'sendMessage',
      methods[version][0]?.request,
      granted.partner,
    );
    expect(outcome.code).toBe(status.FAILED_PRECONDITION);
    expectNothingDone(agentOfOne);
  });
});

describe('the SDK’s services wired by hand, without a decision', () => {
  it.each(versions)('are shut by protect(): %s', async (version) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { server, address } = await listenGrpc();
    const inner = createAgent(grpcCard(address));
    const requestHandler = createSecurity({ agentCardUrl: cardUrl }).protect(inner.requestHandler);
    const options = { requestHandler, userBuilder: UserBuilder.noAuthentication };
    server.addService(A2AService, grpcService(options));
    server.addService(LegacyA2AService, legacyGrpcService(options));
    for (const { method, operation, request } of methods[version]) {
      const outcome = await callGrpc(address, version, method, request, granted.partner);
      if (operation === 'SendMessage') {
        // What our own binding writes: the SDK agrees on the shape.
        expect(outcome.code).toBe(status.OK);
        expect(outcome.messages).toMatchObject([
          { payload: { $case: 'task', value: { status: authRequired(version, table.missing) } } },
        ]);
      } else if (operation !== 'SendStreamingMessage') {
        expect(outcome).toMatchObject({ messages: [] });
        expect(outcome.code).not.toBe(status.OK);
      }
    }
    expect(inner.executor.calls).toHaveLength(0);
    expect(inner.taskStore.saved).toBe(0);
    expect(warned).toHaveBeenCalled();
    warned.mockRestore();
  });
});

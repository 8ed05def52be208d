import {
  MalformedCredential,
  TooManyAttempts,
  VerifierUnavailable,
  type SecurityScheme,
} from '@a2a-auth/server';
import { Role, Task, TaskState } from '@a2a-js/sdk';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequiredTask, denialSentence } from '../src/auth-required-task.js';
import { denied, headerScheme, securityOf } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

const SECRET = 'the-credential';
const denialBy = async (verify?: SecurityScheme<string>['verify'], scopes: string[] = []) => {
  const security = securityOf({ key: headerScheme('x-key', verify), other: headerScheme('x-other') }, [
    { key: scopes },
    { key: [], other: ['a'] },
  ]);
  const request = authRequest({ header: verify === undefined ? {} : { 'x-key': SECRET } });
  return denied(await security.authenticate(request));
};
const accept: SecurityScheme<string>['verify'] = () => ({ verified: true, principal: { subject: 'alice' } });

const partsOf = (task: Task) =>
  task.status?.message?.parts.map(({ content }) => content?.value as unknown) ?? [];

describe('an auth-required task', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z') });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is a task of the protocol, in the state auth-required', async () => {
    const task = authRequiredTask(await denialBy(), { contextId: 'c1' });
    expect(task.status).toMatchObject({
      state: TaskState.TASK_STATE_AUTH_REQUIRED,
      timestamp: '2030-01-01T00:00:00.000Z',
      message: { role: Role.ROLE_AGENT, taskId: task.id, contextId: 'c1' },
    });
    expect(Task.fromJSON(Task.toJSON(task))).toEqual(task);
  });

  it('says what a program needs to know', async () => {
    const task = authRequiredTask(await denialBy(accept, ['read', 'write']), {
      agentCardUrl: 'https://a.example/card',
    });
    expect(partsOf(task)).toEqual([
      'The presented credentials are valid, but lack a scope that this agent requires: read write.',
      {
        reason: 'insufficient_scope',
        alternatives: [{ key: ['read', 'write'] }, { key: [], other: ['a'] }],
        missingScopes: ['read', 'write'],
        agentCardUrl: 'https://a.example/card',
      },
    ]);
  });

  it('leaves out where the card is when that is unknown', async () => {
    expect(partsOf(authRequiredTask(await denialBy()))[1]).not.toHaveProperty('agentCardUrl');
  });

  it("echoes the caller's context, and makes one up otherwise", async () => {
    expect(authRequiredTask(await denialBy(), { contextId: 'c1' }).contextId).toBe('c1');
    expect(authRequiredTask(await denialBy()).contextId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('has ids that no other task has', async () => {
    const denial = await denialBy();
    const [one, other] = [authRequiredTask(denial), authRequiredTask(denial)];
    const idsOf = (task: Task) => [task.id, task.contextId, task.status?.message?.messageId];
    expect(new Set([...idsOf(one), ...idsOf(other)]).size).toBe(6);
  });
});

describe('what a denied caller is told', () => {
  it.each<[string, RegExp, SecurityScheme<string>['verify'] | undefined]>([
    ['missing_credential', /required/, undefined],
    [
      'invalid_credential',
      /not accepted/,
      (key) => ({ verified: false, reason: 'revoked', detail: `revoked ${key}` }),
    ],
    [
      'invalid_credential',
      /not accepted/,
      (key) => {
        throw new MalformedCredential(key);
      },
    ],
    [
      'not_permitted',
      /do not permit/,
      () => ({ verified: false, reason: 'not_permitted', detail: 'blocked' }),
    ],
    ['unavailable', /temporarily unavailable/, () => Promise.reject(new VerifierUnavailable('ECONNREFUSED'))],
    [
      'too_many_attempts',
      /Too many/,
      () => Promise.reject(new TooManyAttempts('blocked', { retryAfter: 9 })),
    ],
  ])('of %s is one sentence that matches %s, and never why', async (reason, sentence, verify) => {
    const denial = await denialBy(verify);
    expect(denial.reason).toBe(reason);
    expect(denialSentence(denial)).toMatch(sentence);
    expect(JSON.stringify(authRequiredTask(denial))).not.toMatch(
      /the-credential|revoked|blocked|ECONNREFUSED/,
    );
  });
});

import { randomUUID } from 'node:crypto';

import { Role, TaskState, type Task } from '@a2a-js/sdk';

import type { Denied } from './decision.js';

/** What the data part of an auth-required task tells a program. */
export interface AuthRequiredData {
  readonly reason: Denied['reason'];
  /** The alternatives, as the card publishes them: meet any one. */
  readonly alternatives: readonly Readonly<Record<string, readonly string[]>>[];
  /** What lacks when the credentials are good but not enough; else empty. */
  readonly missingScopes: readonly string[];
  /** Where the card is that explains the schemes. */
  readonly agentCardUrl?: string | undefined;
}

const sentences: Readonly<Record<Denied['reason'], string>> = {
  missing_credential:
    'Authentication is required: present the credentials of one of the alternatives on the agent card.',
  invalid_credential: 'Authentication failed: the presented credentials were not accepted.',
  insufficient_scope: 'The presented credentials are valid, but lack a scope that this agent requires.',
  insufficient_authentication:
    'The presented credentials are valid, but a stronger or fresher login is required.',
  not_permitted: 'The presented credentials are valid, but do not permit this operation.',
  unavailable: 'Authentication is temporarily unavailable. Try again later.',
  too_many_attempts: 'Too many attempts. Try again later.',
};

/** The one sentence that tells a denied caller that it failed, and never why. */
export function denialSentence(denied: Denied): string {
  return denied.reason === 'insufficient_scope'
    ? `${sentences.insufficient_scope.slice(0, -1)}: ${denied.missingScopes.join(' ')}.`
    : sentences[denied.reason];
}

/**
 * The task that a denied message operation gets instead of an answer: in the state of A2A 1.0 §7.6, where §7.4 would have an
 * error (SHOULD). Fresh ids, stored nowhere: a denied caller costs no memory, and no follow-up can refer to it.
 *
 * @param contextId the caller's, echoed; left out: a fresh one
 */
export function authRequiredTask(
  denied: Denied,
  options: { contextId?: string | undefined; agentCardUrl?: string | undefined } = {},
): Task {
  const id = randomUUID();
  const contextId = options.contextId ?? randomUUID();
  const data: AuthRequiredData = {
    reason: denied.reason,
    alternatives: denied.alternatives,
    missingScopes: denied.missingScopes,
    ...(options.agentCardUrl === undefined ? {} : { agentCardUrl: options.agentCardUrl }),
  };
  return {
    id,
    contextId,
    status: {
      state: TaskState.TASK_STATE_AUTH_REQUIRED,
      timestamp: new Date().toISOString(),
      message: {
        messageId: randomUUID(),
        contextId,
        taskId: id,
        role: Role.ROLE_AGENT,
        parts: [
          {
            content: { $case: 'text', value: denialSentence(denied) },
            mediaType: 'text/plain',
            filename: '',
            metadata: undefined,
          },
          {
            content: { $case: 'data', value: data },
            mediaType: 'application/json',
            filename: '',
            metadata: undefined,
          },
        ],
        metadata: undefined,
        extensions: [],
        referenceTaskIds: [],
      },
    },
    artifacts: [],
    history: [],
    metadata: undefined,
  };
}

import { AgentSecurity, apiKey, type DecisionEvent, type DenialReason } from '@a2a-auth/server';
import { credentialPlace } from '@a2a-auth/server/card';
import { TaskState } from '@a2a-js/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collect, request } from '../support/client.js';
import { muteConsole } from '../support/quiet.js';
import { bindings, type Binding, type Running } from './bindings.js';
import { cases, OTHER_KEY, policies, presentedIn, type Case, type PolicyName } from './cases.js';
import type { Connection } from './official-client.js';
import { subjects, type Subject } from './subjects.js';

muteConsole();

/** What came of a call, whatever it came by. */
interface Outcome {
  readonly decision: Pick<DecisionEvent, 'granted' | 'reason' | 'missingScopes' | 'operation'> & {
    readonly schemes: unknown;
  };
  readonly presentation: {
    /** Of the task that the official client got; undefined where the call failed. */
    readonly state: TaskState | undefined;
    readonly status: string;
    readonly challenges: string;
    readonly retryAfter: number | undefined;
  };
}

const operations = ['SendMessage', 'SendStreamingMessage', 'GetTask'] as const;
type Operation = (typeof operations)[number];

const statuses = {
  missing_credential: 'UNAUTHENTICATED',
  invalid_credential: 'UNAUTHENTICATED',
  insufficient_scope: 'PERMISSION_DENIED',
  not_permitted: 'PERMISSION_DENIED',
  unavailable: 'UNAVAILABLE',
} as Readonly<Record<string, string>>;

function securityOf(subject: Subject, policy: PolicyName, decisions: DecisionEvent[]): AgentSecurity<string> {
  const security = new AgentSecurity<string>({ onDecision: (event) => decisions.push(event) })
    .addSecurityScheme('it', subject.create())
    .addSecurityScheme(
      'other',
      apiKey({ in: 'header', name: 'X-Other-Key', keys: [{ key: OTHER_KEY, id: 'other' }] }),
    );
  for (const alternative of policies[policy]) {
    const ids = alternative.split('+').filter((id) => id !== '');
    security.addSecurityRequirement(
      Object.fromEntries(ids.map((id) => [id, id === 'it' ? subject.scopes : []])),
    );
  }
  return security;
}

/** The state of the task that the official client got. */
async function call({ client }: Connection, operation: Operation): Promise<TaskState | undefined> {
  switch (operation) {
    case 'SendMessage': {
      const answer = await client.sendMessage(request('Hello'));
      return 'status' in answer ? answer.status?.state : undefined;
    }
    case 'SendStreamingMessage': {
      const events = await collect(client.sendMessageStream(request('Hello')));
      const last = events.at(-1)?.payload;
      return last?.$case === 'task' || last?.$case === 'statusUpdate' ? last.value.status?.state : undefined;
    }
    case 'GetTask':
      await client.getTask({ tenant: '', id: 'no-such-task', historyLength: undefined });
      return undefined;
  }
}

async function outcomeOf(
  connection: Connection,
  operation: Operation,
  decisions: DecisionEvent[],
): Promise<Outcome> {
  decisions.length = 0;
  const state = await call(connection, operation).catch(() => undefined);
  const [event, ...more] = decisions;
  expect(more).toEqual([]);
  if (event === undefined) throw new Error('Nothing was decided.');
  const { granted, reason, missingScopes, operation: decided, schemes } = event;
  const wire = connection.wire();
  if (wire === undefined) throw new Error('Nothing went over the wire.');
  return {
    decision: { granted, reason, missingScopes, operation: decided, schemes },
    presentation: { state, ...wire },
  };
}

const reasonOf = (reason: DenialReason, { insufficient = 'insufficient_scope' }: Subject): DenialReason =>
  reason === 'insufficient_scope' ? insufficient : reason;

/** What must go over the wire; see the table in docs/denials.md. */
function presentationOf(reason: DenialReason, operation: Operation) {
  const isTask = operation !== 'GetTask' && reason !== 'unavailable';
  return {
    state: isTask ? TaskState.TASK_STATE_AUTH_REQUIRED : undefined,
    status: isTask ? 'OK' : statuses[reason],
  };
}

const titleOf = ({ it: own, other, expected }: Case) =>
  `${own}, the other ${other}: ${'by' in expected ? `in by ${expected.by.join(' and ') || 'nothing'}` : expected.reason}`;

function placeOf({ name, create }: Subject): string {
  const { declaration } = create();
  if (declaration === undefined) throw new Error(`The card does not declare ${name}.`);
  return credentialPlace(declaration);
}

/** What the first binding did in each case, for the others to do as well. */
const reference = new Map<string, unknown>();

describe.each(subjects)('$name', (subject) => {
  const place = placeOf(subject);
  const isCertificate = place === 'client certificate';
  const able = bindings.filter(({ lacks = [] }) => !lacks.some((kind) => place.startsWith(`${kind} `)));

  describe.each(able)('over $name', (binding: Binding) => {
    describe.each(Object.keys(policies) as PolicyName[])('%s', (policy) => {
      const decisions: DecisionEvent[] = [];
      let running: Running;
      beforeAll(async () => {
        running = await binding.start(securityOf(subject, policy, decisions));
      });
      afterAll(() => running.close());

      for (const each of cases.filter((given) => given.policy === policy)) {
        // What the binding hides counts as none: the same callers get in, and the others are told so.
        const isHidden =
          binding.hidesUntrustedCertificates === true && each.it === 'invalid' && isCertificate;
        it(`${titleOf(each)}${isHidden ? ' (hidden: as if it were missing)' : ''}`, async () => {
          const connection = await running.connect(presentedIn(each, subject));
          for (const operation of operations) {
            const outcome = await outcomeOf(connection, operation, decisions);
            expect(outcome.decision).toMatchObject({ granted: 'by' in each.expected, operation });
            if ('reason' in each.expected) {
              const isOnlyHidden = isHidden && each.other !== 'invalid';
              const reason = isOnlyHidden ? 'missing_credential' : reasonOf(each.expected.reason, subject);
              expect(outcome.decision.reason).toBe(reason);
              expect(outcome.presentation).toMatchObject(presentationOf(reason, operation));
              const isTemporary = reason === 'unavailable';
              expect(outcome.presentation.challenges === '').toBe(isTemporary);
              expect(outcome.presentation.retryAfter).toBe(isTemporary ? 7 : undefined);
            } else if (operation !== 'GetTask') {
              expect(outcome.presentation.state).toBe(TaskState.TASK_STATE_COMPLETED);
              expect(running.callers()).toEqual(each.expected.by);
            }

            // A task that is not there is an error of the binding's own.
            const same = outcome.decision.granted ? { decision: outcome.decision } : outcome;
            const key = [subject.name, policy, titleOf(each), operation, isHidden].join('\n');
            if (reference.has(key)) expect(same).toEqual(reference.get(key));
            else reference.set(key, same);
          }
        });
      }
    });
  });
});

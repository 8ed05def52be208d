import { planAuthentication } from '@a2a-auth/client';
import { AgentSecurity, apiKey, type DecisionEvent, type DenialReason } from '@a2a-auth/server';
import { credentialPlace } from '@a2a-auth/server/card';
import { TaskState } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collect, request } from '../support/client.js';
import { muteConsole } from '../support/quiet.js';
import { bindings, type Binding, type Received, type Running } from './bindings.js';
import {
  cases,
  choicesIn,
  OTHER_KEY,
  policies,
  presentedIn,
  schemesOf,
  sourcesIn,
  type Case,
  type Choice,
  type PolicyName,
} from './cases.js';
import { subjects, type Subject } from './subjects.js';

muteConsole();

const operations = ['SendMessage', 'SendStreamingMessage', 'GetTask'] as const;
type Operation = (typeof operations)[number];

/** What the user of the official client got. */
interface Answer {
  /** Of the task; undefined where the call failed. */
  readonly state: TaskState | undefined;
  readonly error?: { readonly name: string; readonly message: string; readonly challenges: unknown };
}

type Decision = Pick<DecisionEvent, 'granted' | 'reason' | 'missingScopes' | 'operation'> & {
  readonly schemes: unknown;
};

/** What came of a call by the official client. */
interface Outcome {
  readonly operation: Operation;
  readonly decision: Decision;
  readonly answer: Answer;
}

interface Agent {
  readonly running: Running;
  /** All that the agent made. To be emptied at will. */
  readonly decisions: DecisionEvent[];
}

const statuses = {
  missing_credential: 'UNAUTHENTICATED',
  invalid_credential: 'UNAUTHENTICATED',
  insufficient_scope: 'PERMISSION_DENIED',
  not_permitted: 'PERMISSION_DENIED',
  unavailable: 'UNAVAILABLE',
} as Readonly<Record<string, string>>;

const OTHER_NAME = 'X-Other-Key';

function securityOf(subject: Subject, policy: PolicyName, decisions: DecisionEvent[]): AgentSecurity<string> {
  const security = new AgentSecurity<string>({ onDecision: (event) => decisions.push(event) })
    .addSecurityScheme('it', subject.create())
    .addSecurityScheme(
      'other',
      apiKey({ in: 'header', name: OTHER_NAME, keys: [{ key: OTHER_KEY, id: 'other' }] }),
    );
  for (const alternative of policies[policy]) {
    const ids = schemesOf(alternative);
    security.addSecurityRequirement(
      Object.fromEntries(ids.map((id) => [id, id === 'it' ? subject.scopes : []])),
    );
  }
  return security;
}

/** The state of the task that the official client got. */
async function stateAfter(client: Client, operation: Operation): Promise<TaskState | undefined> {
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

async function answerTo(client: Client, operation: Operation): Promise<Answer> {
  try {
    return { state: await stateAfter(client, operation) };
  } catch (error) {
    const { name, message, cause } = error as Error & { readonly cause?: { readonly metadata?: unknown } };
    const metadata = cause?.metadata instanceof Metadata ? cause.metadata : new Metadata();
    return {
      state: undefined,
      error: { name, message, challenges: metadata.get('www-authenticate') },
    };
  }
}

/** Calls all operations, one after the other. */
async function* callsBy(client: Client, { running: { received }, decisions }: Agent) {
  for (const operation of operations) {
    decisions.length = 0;
    received.length = 0;
    const answer = await answerTo(client, operation);
    yield { operation, answer, decisions: decisions.map(decisionOf), received: [...received] };
  }
}

function decisionOf(event: DecisionEvent): Decision {
  const { granted, reason, missingScopes, operation, schemes } = event;
  return { granted, reason, missingScopes, operation, schemes };
}

function placeOf({ name, create }: Subject): string {
  const { declaration } = create();
  if (declaration === undefined) throw new Error(`The card does not declare ${name}.`);
  return credentialPlace(declaration);
}

/** The schemes for which a call has something in the place of their credential. */
const schemesIn = (call: Received, places: Readonly<Record<string, string>>): readonly string[] =>
  Object.keys(places).filter((id) => isIn(call, places[id] ?? ''));

function isIn({ url, headers, hasCertificate }: Received, place: string): boolean {
  const [kind, name = ''] = place.split(' ', 2);
  switch (kind) {
    case 'header':
      return headers.has(name);
    case 'query':
      return url.searchParams.has(name);
    case 'cookie':
      return headers.get('cookie')?.includes(`${name}=`) === true;
    default:
      return hasCertificate;
  }
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

/** What the first binding did in each case, for the others to do as well. */
const reference = new Map<string, unknown>();

/** Calls by the official client, and looks at all that comes of it. */
async function callOfficially(
  agent: Agent,
  subject: Subject,
  each: Case,
  isHidden: boolean,
): Promise<readonly Outcome[]> {
  const { running } = agent;
  const { client, wire } = await running.connect(presentedIn(each, subject));
  const outcomes: Outcome[] = [];
  for await (const { operation, answer, decisions } of callsBy(client, agent)) {
    const [decision, ...more] = decisions;
    expect(more).toEqual([]);
    if (decision === undefined) throw new Error('Nothing was decided.');
    expect(decision).toMatchObject({ granted: 'by' in each.expected, operation });
    const presentation = { state: answer.state, ...wire() };
    if ('reason' in each.expected) {
      const isOnlyHidden = isHidden && each.other !== 'invalid';
      const reason = isOnlyHidden ? 'missing_credential' : reasonOf(each.expected.reason, subject);
      expect(decision.reason).toBe(reason);
      expect(presentation).toMatchObject(presentationOf(reason, operation));
      const isTemporary = reason === 'unavailable';
      expect(presentation.challenges === '').toBe(isTemporary);
      expect(presentation.retryAfter).toBe(isTemporary ? 7 : undefined);
    } else if (operation !== 'GetTask') {
      expect(answer.state).toBe(TaskState.TASK_STATE_COMPLETED);
      expect(running.callers()).toEqual(each.expected.by);
    }

    // A task that is not there is an error of the binding's own.
    const same = decision.granted ? { decision } : { decision, presentation };
    const key = [subject.name, each.policy, titleOf(each), operation, isHidden].join('\n');
    if (reference.has(key)) expect(same).toEqual(reference.get(key));
    else reference.set(key, same);
    outcomes.push({ operation, decision, answer });
  }
  return outcomes;
}

/** Calls by our client, with all that the caller has, by what it plans to do with that. */
function connectOwn({ running }: Agent, subject: Subject, { given, chosen }: Choice): Promise<Client> {
  const sources = sourcesIn(given, subject);
  const plan = planAuthentication(running.card, sources);
  expect(plan.chosen && Object.keys(plan.chosen.requirement)).toEqual(chosen?.schemes);
  running.received.length = 0;
  return running.connectOwn(plan, sources);
}

describe.each(subjects)('$name', (subject) => {
  const place = placeOf(subject);
  const places = { it: place, other: `header ${OTHER_NAME}` };
  const isCertificate = place === 'client certificate';
  const isInteractive = subject.source('granted').interactive;
  const able = bindings.filter(({ lacks = [] }) => !lacks.some((kind) => place.startsWith(`${kind} `)));

  describe.each(able)('over $name', (binding: Binding) => {
    // What the binding hides counts as none: the same callers get in, and the others are told so.
    const isHidden = (each: Case) =>
      binding.hidesUntrustedCertificates === true && each.it === 'invalid' && isCertificate;
    const suffixOf = (each: Case) => (isHidden(each) ? ' (hidden: as if it were missing)' : '');

    describe.each(Object.keys(policies) as PolicyName[])('%s', (policy) => {
      let agent: Agent;
      beforeAll(async () => {
        const decisions: DecisionEvent[] = [];
        agent = { decisions, running: await binding.start(securityOf(subject, policy, decisions)) };
      });
      afterAll(() => agent.running.close());

      const outcomes = new Map<Case, Promise<readonly Outcome[]>>();
      const officially = (each: Case): Promise<readonly Outcome[]> => {
        const known = outcomes.get(each) ?? callOfficially(agent, subject, each, isHidden(each));
        outcomes.set(each, known);
        return known;
      };

      for (const each of cases.filter((given) => given.policy === policy)) {
        it(`${titleOf(each)}${suffixOf(each)}`, async () => {
          await officially(each);
        });
      }

      for (const choice of choicesIn(policy, isInteractive)) {
        const { given, chosen } = choice;
        const title = `by our client, ${given.it}, the other ${given.other}`;
        const usesIt = chosen?.schemes.includes('it') === true;
        const refusal = isCertificate && usesIt ? binding.refusesCertificates : undefined;
        if (chosen === undefined || refusal !== undefined) {
          const code = refusal ?? 'NO_ALTERNATIVE';
          it(`${title}: ${code}, and nothing is sent`, async () => {
            await expect(connectOwn(agent, subject, choice)).rejects.toMatchObject({ code });
            expect(agent.running.received).toEqual([]);
          });
          continue;
        }

        const { schemes, same } = chosen;
        it(`${title}: sends ${schemes.join(' and ') || 'nothing'}${suffixOf(same)}`, async () => {
          const expected = await officially(same);
          const client = await connectOwn(agent, subject, choice);
          for await (const { operation, answer, decisions, received } of callsBy(client, agent)) {
            const official = expected.find((outcome) => outcome.operation === operation);
            // A refused credential is replaced by the first call, and then not again for a while.
            const isReplaced = subject.renews === true && usesIt && operation === operations[0];
            const times = isReplaced && official?.decision.reason === 'invalid_credential' ? 2 : 1;
            expect({
              answer,
              decisions,
              sent: received.map((call) => schemesIn(call, places)),
            }).toEqual({
              answer: official?.answer,
              decisions: Array.from({ length: times }, () => official?.decision),
              sent: Array.from({ length: times }, () => schemes),
            });
          }
        });
      }
    });
  });
});

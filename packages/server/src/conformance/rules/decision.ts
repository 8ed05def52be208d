import type { AuthRequest } from '../../auth-request.js';
import type { Decision, DenialReason } from '../../decision.js';
import { conformanceRequest } from '../request.js';
import { decisionOf, requestOf, securityOf, startTrial, verified, type Trial } from '../trial.js';
import { violation } from '../violation.js';
import type { Rule } from './rule.js';

export const decisionRules: readonly Rule[] = [
  {
    title: 'an agent lets the good credential in',
    async check(trial) {
      await assertDecision(trial, 'granted', 'the good request', trial.fixture.good);
    },
  },
  {
    title: 'an agent denies the bad credential as invalid',
    async check(trial) {
      await assertDecision(trial, 'invalid_credential', 'the bad request', trial.fixture.bad);
    },
  },
  {
    title: 'an agent denies a request without a credential as missing it',
    async check(trial) {
      await assertDecision(trial, 'missing_credential', 'an empty request', () => conformanceRequest());
    },
  },
  {
    title: 'an agent denies malformed credentials as invalid',
    needs: 'malformed',
    async check(trial) {
      for (const request of (await trial.fixture.malformed?.()) ?? []) {
        await assertDecision(trial, 'invalid_credential', 'a malformed request', () => request);
      }
    },
  },
  {
    title: 'an agent denies a good credential that lacks a scope as insufficient',
    async check(trial) {
      const { fixture, scheme } = trial;
      const { scopes } = await verified(trial, await requestOf(fixture.good));
      const carried = Array.isArray(scopes) ? scopes : [];
      const lacking = (scheme.scopes ?? ['conformance:lacking']).find((scope) => !carried.includes(scope));
      if (lacking === undefined) return;
      await assertDecision(
        trial,
        'insufficient_scope',
        `the good request, asked for the scope "${lacking}"`,
        fixture.good,
        [lacking],
      );
    },
  },
  {
    title: 'an agent that cannot tell says so',
    needs: 'unavailable',
    async check({ fixture }) {
      const { unavailable } = fixture;
      if (unavailable === undefined) return;
      const trial = await startTrial(fixture, unavailable.create);
      await assertDecision(trial, 'unavailable', 'the request whose credential nobody can judge', () =>
        unavailable.request(),
      );
    },
  },
];

async function assertDecision(
  trial: Trial,
  expected: 'granted' | DenialReason,
  what: string,
  make: () => AuthRequest | Promise<AuthRequest>,
  scopes?: readonly string[],
): Promise<void> {
  const decision = await decisionOf(trial, await requestOf(make), scopes);
  const decided = decision.granted ? 'granted' : decision.reason;
  if (decided !== expected) {
    throw violation(
      `An agent with this scheme alone decides "${decided}" about ${what}, and not "${expected}".`,
      'The cases about extract() and verify() tell which of the two is to be mended.',
    );
  }
  assertChallenged(trial, decision);
}

/** RFC 9110 §11.6.1: a 401 comes with a challenge. */
function assertChallenged(trial: Trial, decision: Decision): void {
  if (decision.granted || !['missing_credential', 'invalid_credential'].includes(decision.reason)) return;
  if (decision.challenges.length > 0 || securityOf(trial).published.schemes.size === 0) return;
  throw violation('The denial has no challenge.', 'Leave challenge() out, or return one for every denial.');
}

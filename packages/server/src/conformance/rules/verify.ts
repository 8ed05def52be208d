import { isDeepStrictEqual } from 'node:util';

import type { AuthRequest } from '../../auth-request.js';
import { MalformedCredential, TooManyAttempts, VerifierUnavailable } from '../../errors.js';
import type { Operation } from '../../operation.js';
import { createPrincipal, type Principal } from '../../principal.js';
import type { Permission, RefusalReason, Verification } from '../../scheme.js';
import { garbageFor } from '../garbage.js';
import { changedRequest } from '../request.js';
import {
  answerOf,
  credentialOf,
  decisionOf,
  extract,
  identityOf,
  refused,
  requestOf,
  SCHEME_ID,
  securityOf,
  startTrial,
  verified,
  type Trial,
} from '../trial.js';
import { show, violation } from '../violation.js';
import type { Rule } from './rule.js';

const REASONS: readonly RefusalReason[] = ['invalid', 'expired', 'revoked', 'not_permitted'];

/** How many callers of each kind come at the same time. */
const CROWD = 8;

export const verifyRules: readonly Rule[] = [
  {
    title: 'verify() accepts the good credential, and says whose it is',
    async check(trial) {
      const verification = await verified(trial, await requestOf(trial.fixture.good));
      assertKeys(verification, ['verified', 'principal', 'scopes', 'detail', 'permits'], 'verify()');
      const principal = principalOf(verification);
      assertKeys(
        verification.principal,
        ['subject', 'issuer', 'clientId', 'claims', 'certificate', 'actor', 'expiresAt'],
        'The principal',
      );
      if (principal.expiresAt !== undefined && principal.expiresAt <= principal.authenticatedAt) {
        throw violation(
          'The good credential has ended already, by the expiresAt of its principal.',
          'Give seconds since the epoch, or a Date; or correct the fixture.',
        );
      }
      const { claims } = verification.principal;
      if (claims !== undefined && (typeof claims !== 'object' || claims === null || Array.isArray(claims))) {
        throw violation(
          `The claims of the principal are ${show(claims)}.`,
          'Give an object, or leave them out.',
        );
      }
    },
  },
  {
    title: 'verify() refuses the bad credential, and says why',
    async check(trial) {
      const answer = await refused(trial, await requestOf(trial.fixture.bad));
      assertRefusal(answer);
      if (answer.reason === 'not_permitted') {
        throw violation(
          'verify() says not_permitted of the bad credential of the fixture, which means that it is genuine (403).',
          "Answer with 'invalid', 'expired' or 'revoked', so that the caller gets a 401; or give the fixture a credential that is wrong.",
        );
      }
    },
  },
  {
    title: 'verify() gives the reason of each refusal',
    needs: 'refused',
    async check(trial) {
      const { fixture } = trial;
      for (const [expected, make] of Object.entries(fixture.refused ?? {})) {
        const answer = await refused(trial, await requestOf(make), expected);
        assertRefusal(answer);
        if (answer.reason === expected) continue;
        throw violation(
          `verify() says "${answer.reason}" of the credential that the fixture gives as "${expected}".`,
          'Answer with the reason that is true, or correct the fixture.',
        );
      }
    },
  },
  {
    title: 'verify() accepts nothing that extract() would not return',
    async check(trial) {
      const request = await requestOf(trial.fixture.bad);
      for (const credential of [undefined, null, '', {}, [], true, 0, Object.create(null)]) {
        await assertNotVerified(trial, credential, request, `the credential ${show(credential)}`);
      }
    },
  },
  {
    title: 'verify() never accepts garbage',
    async check(trial) {
      for (const [what, request] of garbageFor(trial)) {
        const extraction = extract(trial, request);
        if (extraction.found) await assertNotVerified(trial, extraction.credential, request, what);
      }
    },
  },
  {
    title: 'verify() answers the same credential alike',
    async check(trial) {
      const { fixture } = trial;
      const request = await requestOf(fixture.good);
      const first = await verified(trial, request);
      const again = copyOf(request);
      if (fixture.singleUse === true) {
        await refused(trial, again, 'used');
        return;
      }
      const second = await verified(trial, again);
      if (
        identityOf(first.principal) === identityOf(second.principal) &&
        isDeepStrictEqual(first.scopes, second.scopes)
      )
        return;
      throw violation(
        'verify() found another subject or other scopes when the same credential came again.',
        'The SDK knows callers by their id alone: make the subject of what stays the same. If the credential is good only once, say singleUse: true in the fixture.',
      );
    },
  },
  {
    title: 'verify() keeps concurrent callers apart',
    async check(trial) {
      const { fixture } = trial;
      const makers = [fixture.good, fixture.bad, ...(fixture.other === undefined ? [] : [fixture.other])];
      const alone: string[] = [];
      for (const make of makers) alone.push(await outcomeOf(trial, await requestOf(make)));
      const crowd = await Promise.all(
        Array.from({ length: CROWD }, () => makers)
          .flat()
          .map(async (make) => requestOf(make)),
      );
      const together = await Promise.all(crowd.map(async (request) => outcomeOf(trial, request)));
      if (together.every((outcome, index) => outcome === alone[index % makers.length])) return;
      throw violation(
        'verify() answered otherwise when several credentials were verified at the same time.',
        'Keep what belongs to one request in the variables of one call, never on the scheme.',
      );
    },
  },
  {
    title: 'different callers have different ids',
    needs: 'other',
    async check(trial) {
      const { fixture } = trial;
      const good = await verified(trial, await requestOf(fixture.good));
      const other = await verified(trial, await requestOf(fixture.other ?? fixture.good), 'other');
      if (principalOf(good).id !== principalOf(other).id) return;
      throw violation(
        'Two callers have one id, so that each could read the tasks of the other.',
        'Give each caller a subject of its own (or an issuer and a subject), and not the name of the scheme or of a group.',
      );
    },
  },
  {
    title: 'verify() says which scopes the credential carries',
    async check(trial) {
      const { fixture } = trial;
      const { scopes = [] } = await verified(trial, await requestOf(fixture.good));
      if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string' && scope !== '')) {
        throw violation(
          `verify() answered with the scopes ${show(scopes)}.`,
          "Give a list of texts, each one scope: 'a b' is to be split at the blank.",
        );
      }
      if (fixture.scopes === undefined) return;
      if (isDeepStrictEqual(new Set(scopes), new Set(fixture.scopes))) return;
      throw violation(
        `verify() found the scopes ${show(scopes)}, and the fixture says ${show(fixture.scopes)}.`,
        'Answer with exactly the scopes that the credential carries, or correct the fixture.',
      );
    },
  },
  {
    title: 'verify() throws VerifierUnavailable when it cannot tell',
    needs: 'unavailable',
    async check({ fixture }) {
      const { unavailable } = fixture;
      if (unavailable === undefined) return;
      const trial = await startTrial(fixture, unavailable.create);
      const request = await requestOf(unavailable.request);
      const credential = credentialOf(trial, request, 'unavailable');
      let answer: unknown;
      try {
        answer = await answerOf(trial, credential, request);
      } catch (error) {
        assertUnavailable(error);
        return;
      }
      throw violation(
        `verify() answered (${isVerified(answer) ? 'verified' : 'not verified'}) although its verifier cannot tell.`,
        'Throw VerifierUnavailable: a refusal would make callers throw good credentials away.',
      );
    },
  },
  {
    title: 'permits() says exactly which calls are allowed',
    async check(trial) {
      const { fixture } = trial;
      const request = await requestOf(fixture.good);
      const verification = await verified(trial, request);
      const { permits } = verification;
      if (permits === undefined) {
        if (fixture.permits === undefined) return;
        throw violation(
          'The fixture names calls that the credential permits, but verify() answered without permits.',
          'Answer { verified: true, principal, permits: ({ operation, principals }) => ... }.',
        );
      }
      const principals = new Map([[SCHEME_ID, principalOf(verification)]]);
      for (const operation of OPERATIONS) {
        assertPermission(await permits({ operation, principals }), operation);
      }
      for (const operation of fixture.permits?.allowed ?? []) {
        await assertDecided(trial, operation, 'granted');
      }
      for (const operation of fixture.permits?.forbidden ?? []) {
        await assertDecided(trial, operation, 'not_permitted');
      }
    },
  },
];

const OPERATIONS: readonly Operation[] = [
  'SendMessage',
  'SendStreamingMessage',
  'GetTask',
  'ListTasks',
  'CancelTask',
  'SubscribeToTask',
  'CreateTaskPushNotificationConfig',
  'GetTaskPushNotificationConfig',
  'ListTaskPushNotificationConfigs',
  'DeleteTaskPushNotificationConfig',
  'GetExtendedAgentCard',
  'unknown',
];

async function assertDecided(trial: Trial, operation: Operation, expected: string): Promise<void> {
  const { fixture } = trial;
  const security = securityOf(trial);
  const provisional = await security.authenticate(await requestOf(fixture.good));
  const decision = await security.conclude(provisional, { operation, binding: 'JSONRPC' });
  const decided = decision.granted ? 'granted' : decision.reason;
  if (decided === expected) return;
  throw violation(
    `${operation} is ${decided} to the good credential, and the fixture says ${expected}.`,
    'Answer { permitted: true } for the calls that the credential allows, and { permitted: false, detail } for all others.',
  );
}

function assertPermission(permission: Permission, operation: Operation): void {
  const { permitted } = (typeof permission === 'object' && permission !== null ? permission : {}) as {
    permitted?: unknown;
  };
  const keys = permitted === true ? ['permitted'] : ['permitted', 'detail', 'error'];
  const isExact =
    typeof permitted === 'boolean' &&
    Object.keys(permission).every((key) => keys.includes(key)) &&
    (permission.permitted || isText(permission.detail));
  if (isExact) return;
  throw violation(
    `permits() answered ${show(permission)} to ${operation}.`,
    'Answer exactly { permitted: true } or { permitted: false, detail }.',
  );
}

/** The engine takes a lenient view of refusals; who reads the audit event does not. */
function assertRefusal(answer: Verification & { verified: false }): void {
  assertKeys(answer, ['verified', 'reason', 'detail', 'principal', 'error'], 'verify()');
  if (!REASONS.includes(answer.reason)) {
    throw violation(
      `verify() refused for the reason ${show(answer.reason)}.`,
      `Use one of ${REASONS.join(', ')}.`,
    );
  }
  if (!isText(answer.detail)) {
    throw violation(
      'verify() refused without a detail.',
      'Say in a sentence what was wrong, for the audit event: { verified: false, reason, detail }.',
    );
  }
  if (answer.error !== undefined && !isText(answer.error)) {
    throw violation(`verify() gave the error code ${show(answer.error)}.`, 'Give a text, or leave it out.');
  }
}

function assertUnavailable(error: unknown): void {
  if (error instanceof VerifierUnavailable) {
    if (Number.isFinite(error.retryAfter) && error.retryAfter >= 0) return;
    throw violation(
      `VerifierUnavailable says to try again after ${show(error.retryAfter)} seconds.`,
      'Give retryAfter a number of seconds, or leave it out.',
    );
  }
  if (error instanceof MalformedCredential || error instanceof TooManyAttempts) {
    throw violation(
      `verify() threw ${error.name} although its verifier is not available.`,
      'Throw VerifierUnavailable.',
    );
  }
  throw violation(
    `verify() let ${error instanceof Error ? error.name : 'what is no error'} through, which counts as a refusal (401).`,
    'Catch what the verifier throws, and throw new VerifierUnavailable(message, { cause }).',
  );
}

async function assertNotVerified(
  trial: Trial,
  credential: unknown,
  request: AuthRequest,
  what: string,
): Promise<void> {
  let answer: unknown;
  try {
    answer = await answerOf(trial, credential, request);
  } catch {
    return; // Whatever is thrown is a denial.
  }
  if (!isVerified(answer)) return;
  throw violation(
    `verify() accepted ${what}.`,
    'Accept only what is proven: check the form of the credential again before anything is made of it.',
  );
}

function assertKeys(value: object, known: readonly string[], what: string): void {
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  throw violation(
    `${what} answered with ${unknown.map((key) => `"${key}"`).join(' and ')}, which the contract does not know.`,
    `Only ${known.join(', ')} have a meaning; further facts about the caller belong into the claims of the principal.`,
  );
}

function principalOf({ principal, scopes }: Verification & { verified: true }): Principal {
  try {
    return createPrincipal(SCHEME_ID, principal, scopes);
  } catch (error) {
    throw violation(
      `verify() answered with a principal that is none. ${error instanceof TypeError ? error.message : ''}`,
      'A principal is { subject }, with a subject that is no empty text; its further members are in PrincipalClaims.',
    );
  }
}

async function outcomeOf(trial: Trial, request: AuthRequest): Promise<string> {
  const decision = await decisionOf(trial, request);
  return decision.granted ? decision.principal.id : decision.reason;
}

function copyOf(request: AuthRequest): AuthRequest {
  return changedRequest(request, (_, __, values) => values);
}

function isVerified(answer: unknown): boolean {
  return (answer as { verified?: unknown } | null | undefined)?.verified === true;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

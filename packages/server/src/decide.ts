import type { AuthRequest } from './auth-request.js';
import {
  Denied,
  Granted,
  type Decision,
  type DenialReason,
  type Evaluation,
  type SchemeOutcome,
} from './decision.js';
import { denialOf } from './denial.js';
import { MalformedCredential, TooManyAttempts, VerifierUnavailable } from './errors.js';
import { anonymousPrincipal, createPrincipal, type Principal } from './principal.js';
import type { Policy, PolicyRequirement, RegisteredScheme } from './policy.js';
import type { Verification } from './scheme.js';
import { isStrongEnough, lackingScopes } from './shortfall.js';

/** The higher, the nearer to a grant. */
const rank: Readonly<Record<DenialReason, number>> = {
  missing_credential: 0,
  invalid_credential: 1,
  unavailable: 2,
  too_many_attempts: 3,
  insufficient_scope: 4,
  insufficient_authentication: 5,
  not_permitted: 6,
};

const absent: SchemeOutcome = Object.freeze({ status: 'absent' });
const notVerified: SchemeOutcome = Object.freeze({ status: 'not_verified' });

/**
 * Decides a request: OR over the requirements, AND inside each. Pure but for calling the schemes.
 *
 * Every scheme is asked for its credential before any is verified. A requirement with an absent credential costs
 * nothing; a scheme is verified at most once, however many requirements name it.
 *
 * @param startedAt `performance.now()` at the start, when somebody wants the duration
 */
export async function decide(policy: Policy, request: AuthRequest, startedAt?: number): Promise<Decision> {
  const { schemes, requirements } = policy;
  const outcomes: SchemeOutcome[] = [];
  const credentials: unknown[] = [];
  let malformed = false;

  for (const { scheme } of schemes) {
    try {
      const credential = scheme.extract(request);
      if (isPromise(credential)) {
        credential.catch(() => undefined);
        throw new MalformedCredential('extract() is asynchronous, which the contract does not allow.');
      }
      credentials.push(credential);
      outcomes.push(credential === undefined ? absent : notVerified);
    } catch (error) {
      credentials.push(undefined);
      // What is no MalformedCredential may quote what it choked on.
      const detail =
        error instanceof MalformedCredential ? error.message : 'The scheme failed to look for it.';
      outcomes.push({ status: 'malformed', detail });
      malformed = true;
    }
  }

  const evaluation = (): Evaluation => ({
    request,
    outcomes,
    durationMs: startedAt === undefined ? undefined : performance.now() - startedAt,
  });

  let reason: DenialReason = malformed ? 'invalid_credential' : 'missing_credential';
  for (const requirement of malformed ? [] : requirements) {
    if (requirement.entries.some(({ position }) => outcomes[position] === absent)) continue;
    const result = await decideRequirement(policy, requirement, request, credentials, outcomes);
    if (result === 'granted') return grant(policy, requirement, credentials, outcomes, evaluation());
    if (rank[result] > rank[reason]) reason = result;
  }
  return new Denied(denialOf(policy, reason, outcomes), evaluation());
}

/**
 * The AND of one requirement. Not all of its schemes need to be verified to know that it is not met, but a scheme
 * that cannot answer hides no other's refusal: a credential that is wrong stays wrong when the provider comes back.
 */
async function decideRequirement(
  policy: Policy,
  requirement: PolicyRequirement,
  request: AuthRequest,
  credentials: readonly unknown[],
  outcomes: SchemeOutcome[],
): Promise<'granted' | DenialReason> {
  let result: 'granted' | DenialReason = 'granted';
  for (const { position, scopes } of requirement.entries) {
    let outcome = outcomes[position] ?? absent;
    if (outcome.status === 'not_verified') {
      outcome = await verify(policy, position, credentials[position], request);
      outcomes[position] = outcome;
    }
    const partial = judge(outcome, scopes);
    if (partial === 'invalid_credential') return partial;
    // Of what remains, the farthest from a grant tells what the requirement lacks.
    if (partial !== 'granted' && (result === 'granted' || rank[partial] < rank[result])) result = partial;
  }
  return result === 'granted' && !isStrongEnough(requirement, outcomes)
    ? 'insufficient_authentication'
    : result;
}

function judge(outcome: SchemeOutcome, scopes: readonly string[]): 'granted' | DenialReason {
  switch (outcome.status) {
    case 'verified':
      return lackingScopes(outcome.principal, scopes).length === 0 ? 'granted' : 'insufficient_scope';
    case 'refused':
      return outcome.reason === 'not_permitted' ? 'not_permitted' : 'invalid_credential';
    case 'unavailable':
    case 'too_many_attempts':
      return outcome.status;
    case 'absent':
      return 'missing_credential';
    default:
      return 'invalid_credential';
  }
}

async function verify(
  policy: Policy,
  position: number,
  credential: unknown,
  request: AuthRequest,
): Promise<SchemeOutcome> {
  const { id, scheme } = policy.schemes[position] as RegisteredScheme;
  try {
    const answer = scheme.verify(credential, { schemeId: id, request, resource: policy.resource });
    const verification = isPromise(answer) ? await within(policy.verificationTimeout, answer) : answer;
    return outcomeOf(id, verification, credential);
  } catch (error) {
    if (error instanceof VerifierUnavailable || error instanceof TooManyAttempts) {
      return {
        status: error instanceof TooManyAttempts ? 'too_many_attempts' : 'unavailable',
        detail: describe(error, credential),
        retryAfter: error.retryAfter,
      };
    }
    return { status: 'refused', reason: 'invalid', detail: describe(error, credential) };
  }
}

/** Reads what a scheme answered. Anything that is not exactly a verification is a refusal. */
function outcomeOf(schemeId: string, verification: unknown, credential: unknown): SchemeOutcome {
  const answer = (typeof verification === 'object' && verification !== null ? verification : {}) as Partial<
    Record<keyof (Verification & { verified: true }) | keyof (Verification & { verified: false }), unknown>
  >;
  if (answer.verified === true) {
    const { principal, scopes } = answer as Verification & { verified: true };
    const created = createPrincipal(schemeId, principal, scopes);
    if (created.expiresAt !== undefined && created.expiresAt <= created.authenticatedAt) {
      return { status: 'refused', reason: 'expired', detail: 'The credential has ended.' };
    }
    return { status: 'verified', principal: created };
  }
  if (answer.verified === false) {
    const { reason, detail, principal, error } = answer as Verification & { verified: false };
    return {
      status: 'refused',
      reason: reason === 'expired' || reason === 'revoked' || reason === 'not_permitted' ? reason : 'invalid',
      detail: redact(String(detail), credential),
      principal: principal === undefined ? undefined : createPrincipal(schemeId, principal),
      error: typeof error === 'string' ? error : undefined,
    };
  }
  return {
    status: 'refused',
    reason: 'invalid',
    detail: 'The scheme answered with something that is not a verification.',
  };
}

function grant(
  policy: Policy,
  requirement: PolicyRequirement,
  credentials: readonly unknown[],
  outcomes: readonly SchemeOutcome[],
  evaluation: Evaluation,
): Granted {
  const principals = new Map<string, Principal>();
  const presented = new Map<string, unknown>();
  for (const { position } of requirement.entries) {
    const outcome = outcomes[position];
    if (outcome?.status !== 'verified') continue;
    const { id } = policy.schemes[position] as RegisteredScheme;
    principals.set(id, outcome.principal);
    presented.set(id, credentials[position]);
  }
  const [primary] = principals.values();
  return new Granted(primary ?? anonymousPrincipal, principals, presented, evaluation);
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | undefined)?.then === 'function';
}

/** @throws {VerifierUnavailable} when the promise does not settle in time */
function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new VerifierUnavailable(`The verifier did not answer within ${String(milliseconds)} ms.`));
    }, milliseconds);
    const stop = () => {
      clearTimeout(timer);
    };
    promise.then(resolve, reject);
    promise.then(stop, stop);
  });
}

/** For the audit event. */
function describe(error: unknown, credential: unknown): string {
  try {
    return redact(error instanceof Error ? `${error.name}: ${error.message}` : String(error), credential);
  } catch {
    return 'Something was thrown that has no description.';
  }
}

/** A message that quotes the credential, as a careless verifier's may, must not carry it into a log. */
function redact(text: string, credential: unknown): string {
  const values =
    typeof credential === 'object' && credential !== null ? Object.values(credential) : [credential];
  const secrets = values
    .filter((secret): secret is string => typeof secret === 'string' && secret !== '')
    .sort((one, other) => other.length - one.length) // A password may begin with the user name.
    .map((secret) => secret.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return secrets.length === 0 ? text : text.replace(new RegExp(secrets.join('|'), 'g'), '[credential]');
}

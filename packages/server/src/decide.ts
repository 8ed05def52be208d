import type { AuthRequest } from './auth-request.js';
import {
  Denied,
  Granted,
  sign,
  type Decision,
  type DenialReason,
  type SchemeOutcome,
  type VerifiedPart,
} from './decision.js';
import { denialOf } from './denial.js';
import { MalformedCredential, TooManyAttempts, VerifierUnavailable } from './errors.js';
import { isPromise } from './is-promise.js';
import type { Operation } from './operation.js';
import { createPrincipal, type Principal } from './principal.js';
import type { Policy, PolicyRequirement, RegisteredScheme } from './policy.js';
import { redact } from './redact.js';
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

/** A request on its way to its decision. */
interface Deliberation {
  readonly policy: Policy;
  readonly request: AuthRequest;
  /** What each scheme found. */
  readonly credentials: readonly unknown[];
  /** What became of each scheme; filled in as they are verified. */
  readonly outcomes: SchemeOutcome[];
  /** Once it is known what is called. */
  readonly call?: CallInQuestion;
}

interface CallInQuestion {
  /** Undefined for a call of something else than an agent. */
  readonly operation: Operation | undefined;
  /** The genuine credentials that do not allow it, by position; filled in as they are asked. */
  readonly forbidden: Map<number, SchemeOutcome>;
  /** The requirements that are met by credentials that do not allow it, and why; filled in likewise. */
  readonly denied: Map<PolicyRequirement, DenialReason>;
}

/** The alternative that is met, or why none is. */
type Result = PolicyRequirement | DenialReason;

/** The position of a scheme that has to be verified before anything more can be said. */
type Open = number;

/**
 * Decides a request: OR over the requirements, AND inside each. Pure but for calling the schemes.
 *
 * Every scheme is asked for its credential before any is verified. A requirement with an absent credential costs
 * nothing; a scheme is verified at most once, however many requirements name it.
 *
 * @param by who decides: what the decision is signed with
 * @param startedAt `performance.now()` at the start, when somebody wants the duration
 */
export async function decide(
  policy: Policy,
  request: AuthRequest,
  by: object,
  startedAt?: number,
): Promise<Decision> {
  const deliberation = extractAll(policy, request);
  const result = deliberation.outcomes.some(isMalformed) ? 'invalid_credential' : settle(deliberation);
  const settled = isPromise(result) ? await result : result;
  const durationMs = startedAt === undefined ? undefined : performance.now() - startedAt;
  const decision = conclusion(deliberation, settled, durationMs);
  sign(decision, by, false);
  return decision;
}

function extractAll(policy: Policy, request: AuthRequest): Deliberation {
  const credentials: unknown[] = policy.schemes.map(() => undefined);
  const outcomes = policy.schemes.map(({ scheme }, position): SchemeOutcome => {
    try {
      // In JavaScript, null says the same.
      const credential: unknown = scheme.extract(request) ?? undefined;
      if (isPromise(credential)) {
        credential.catch(() => undefined);
        throw new MalformedCredential('extract() is asynchronous, which the contract does not allow.');
      }
      credentials[position] = credential;
      return credential === undefined ? absent : notVerified;
    } catch (error) {
      // What is no MalformedCredential may quote what it choked on.
      const detail =
        error instanceof MalformedCredential ? error.message : 'The scheme failed to look for it.';
      return { status: 'malformed', detail };
    }
  });
  return { policy, request, credentials, outcomes };
}

function isMalformed({ status }: SchemeOutcome): boolean {
  return status === 'malformed';
}

/** Whether a grant has to be decided anew when it is known what is called: it may be about some calls alone, or time may tell. */
export function isConditional({ requirements }: Policy, granted: Granted): boolean {
  if (requirements.some(({ stepUp }) => stepUp?.maxAge !== undefined)) return true;
  const now = Date.now();
  return Granted.evaluation(granted).outcomes.some(
    (outcome) =>
      outcome.status === 'verified' && (outcome.permits !== undefined || hasEnded(outcome.principal, now)),
  );
}

/**
 * Decides a granted request anew when it is known what is called, where a credential may not allow every call, or has ended,
 * or the login has become too old, while the body was read. What was verified is not verified again; an alternative that was
 * not needed before may be needed now.
 *
 * @param operation undefined when it is none of A2A, which no credential that allows some calls alone allows
 */
export async function decideCall(
  policy: Policy,
  granted: Granted,
  operation: Operation | undefined,
): Promise<Decision> {
  const { request, credentials, outcomes, durationMs } = Granted.evaluation(granted);
  if (request === undefined) throw new TypeError('A grant without a request cannot be decided anew.');
  const now = Date.now();
  const call: CallInQuestion = { operation, forbidden: new Map(), denied: new Map() };
  const current = outcomes.map((outcome) =>
    outcome.status === 'verified' && hasEnded(outcome.principal, now) ? ended(outcome.principal) : outcome,
  );
  const deliberation = { policy, request, credentials, outcomes: current, call };
  for (;;) {
    const result = await settle(deliberation);
    if (typeof result === 'string') return conclusion(deliberation, result, durationMs);
    const denial = await prohibition(deliberation, result, call);
    if (denial === undefined) return conclusion(deliberation, result, durationMs);
    call.denied.set(result, denial);
  }
}

/**
 * Decides a request anew that the anonymous alternative let in, where that lets nobody in: why the others were not met. All
 * of them were tried, so nothing is left to verify.
 */
export async function denyAnonymous(policy: Policy, granted: Granted): Promise<Denied> {
  const evaluation = Granted.evaluation(granted);
  const { request, credentials, outcomes } = evaluation;
  const requirements = policy.requirements.filter(({ entries }) => entries.length > 0);
  const result =
    request &&
    (await settle({ policy: { ...policy, requirements }, request, credentials, outcomes: [...outcomes] }));
  const reason = typeof result === 'string' ? result : 'missing_credential';
  return new Denied(denialOf(policy, reason, outcomes), evaluation);
}

/** Verifies what has to be. What is known at once is not waited for: to wait costs as much as to look a key up. */
function settle(deliberation: Deliberation): Result | Promise<Result> {
  for (;;) {
    const result = assess(deliberation);
    if (typeof result !== 'number') return result;
    const outcome = verify(deliberation, result);
    if (isPromise(outcome)) return settleLater(deliberation, result, outcome);
    deliberation.outcomes[result] = outcome;
  }
}

async function settleLater(
  deliberation: Deliberation,
  position: number,
  outcome: Promise<SchemeOutcome>,
): Promise<Result> {
  deliberation.outcomes[position] = await outcome;
  return settle(deliberation);
}

/** The OR of the requirements, by what is known of the schemes. */
function assess({ policy, outcomes, call }: Deliberation): Result | Open {
  let reason: DenialReason = 'missing_credential';
  for (const requirement of policy.requirements) {
    const result = call?.denied.get(requirement) ?? assessRequirement(policy, requirement, outcomes);
    if (result === 'granted') return requirement;
    if (typeof result === 'number') return result;
    if (rank[result] > rank[reason]) reason = result;
  }
  return reason;
}

/**
 * The AND of one requirement. Not all of its schemes need to be verified to know that it is not met, but a scheme
 * that cannot answer hides no other's refusal: a credential that is wrong stays wrong when the provider comes back.
 */
function assessRequirement(
  policy: Policy,
  requirement: PolicyRequirement,
  outcomes: readonly SchemeOutcome[],
): 'granted' | DenialReason | Open {
  const { entries } = requirement;
  if (entries.some(({ position }) => outcomes[position] === absent)) {
    return assessIncomplete(policy, requirement, outcomes);
  }
  let result: 'granted' | DenialReason = 'granted';
  for (const { position, scopes } of entries) {
    const outcome = outcomes[position] ?? absent;
    if (outcome === notVerified) return position;
    const partial = judge(outcome, scopes);
    if (partial === 'invalid_credential') return partial;
    // Of what remains, the farthest from a grant tells what the requirement lacks.
    if (partial !== 'granted' && (result === 'granted' || rank[partial] < rank[result])) result = partial;
  }
  return result === 'granted' && !isStrongEnough(requirement, outcomes)
    ? 'insufficient_authentication'
    : result;
}

/** A requirement that lacks a credential is not met, and costs no more than what the connection proved. */
function assessIncomplete(
  policy: Policy,
  { entries }: PolicyRequirement,
  outcomes: readonly SchemeOutcome[],
): DenialReason | Open {
  for (const { position } of entries) {
    if (policy.schemes[position]?.scheme.provenByConnection !== true) continue;
    const outcome = outcomes[position] ?? absent;
    if (outcome === notVerified) return position;
    if (outcome.status === 'refused' && outcome.reason !== 'not_permitted') return 'invalid_credential';
  }
  return 'missing_credential';
}

function conclusion(deliberation: Deliberation, result: Result, durationMs: number | undefined): Decision {
  const { policy, request, credentials, outcomes, call } = deliberation;
  // Also where another alternative is met: the audit event tells what did not allow the call.
  const told =
    call === undefined
      ? outcomes
      : outcomes.map((outcome, position) => call.forbidden.get(position) ?? outcome);
  const evaluation = { request, credentials, outcomes: told, durationMs };
  return typeof result === 'string'
    ? new Denied(denialOf(policy, result, told), evaluation)
    : new Granted(verifiedParts(deliberation, result), evaluation);
}

/** Why a credential of a requirement that is met does not allow the call; undefined when all of them do. */
async function prohibition(
  deliberation: Deliberation,
  requirement: PolicyRequirement,
  { operation, forbidden }: CallInQuestion,
): Promise<DenialReason | undefined> {
  const { policy, outcomes } = deliberation;
  const parts = verifiedParts(deliberation, requirement);
  const principals = new Map(parts.map(({ schemeId, principal }) => [schemeId, principal]));
  for (const { position } of requirement.entries) {
    const outcome = outcomes[position];
    if (outcome?.status !== 'verified' || outcome.permits === undefined) continue;
    const { principal, permits } = outcome;
    const secret = secretOf(deliberation, position);
    if (operation === undefined) {
      const detail = 'The credential allows some operations, and what was called is none.';
      forbidden.set(position, { status: 'refused', reason: 'not_permitted', detail, principal });
      return 'not_permitted';
    }
    try {
      const answer = permits({ operation, principals });
      const permitted = isPromise(answer) ? await within(policy.verificationTimeout, answer) : answer;
      const problem = permissionProblem(permitted, principal, secret);
      if (problem === undefined) {
        // What an alternative before this one said of it.
        forbidden.delete(position);
        continue;
      }
      forbidden.set(position, problem);
      return 'not_permitted';
    } catch (error) {
      const problem = failure(error, secret, 'not_permitted');
      forbidden.set(position, 'reason' in problem ? { ...problem, principal } : problem);
      return problem.status === 'refused' ? 'not_permitted' : problem.status;
    }
  }
  return undefined;
}

/** Anything that is not exactly a yes is a no. */
function permissionProblem(
  permission: unknown,
  principal: Principal,
  secret: unknown,
): SchemeOutcome | undefined {
  const answer = (typeof permission === 'object' && permission !== null ? permission : {}) as Partial<
    Record<'permitted' | 'detail' | 'error', unknown>
  >;
  if (answer.permitted === true) return undefined;
  return {
    status: 'refused',
    reason: 'not_permitted',
    detail:
      answer.permitted === false
        ? redact(String(answer.detail), secret)
        : 'The scheme answered with something that is not a permission.',
    principal,
    error: typeof answer.error === 'string' ? answer.error : undefined,
  };
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

function verify(deliberation: Deliberation, position: number): SchemeOutcome | Promise<SchemeOutcome> {
  const { policy, request, credentials } = deliberation;
  const { id, scheme } = policy.schemes[position] as RegisteredScheme;
  const secret = secretOf(deliberation, position);
  try {
    const answer = scheme.verify(credentials[position], {
      schemeId: id,
      request,
      resource: policy.resource,
    });
    return isPromise(answer)
      ? verified(id, within(policy.verificationTimeout, answer), secret)
      : outcomeOf(id, answer, secret);
  } catch (error) {
    return failure(error, secret, 'invalid');
  }
}

async function verified(
  schemeId: string,
  answer: Promise<Verification>,
  secret: unknown,
): Promise<SchemeOutcome> {
  try {
    return outcomeOf(schemeId, await answer, secret);
  } catch (error) {
    return failure(error, secret, 'invalid');
  }
}

/** What no log may hold. A credential that the connection proves is of no use to anybody else. */
function secretOf({ policy, credentials }: Deliberation, position: number): unknown {
  return policy.schemes[position]?.scheme.provenByConnection === true ? undefined : credentials[position];
}

/** What it means that a scheme threw. */
function failure(
  error: unknown,
  secret: unknown,
  reason: 'invalid' | 'not_permitted',
): Extract<SchemeOutcome, { readonly status: 'refused' | 'unavailable' | 'too_many_attempts' }> {
  if (error instanceof VerifierUnavailable || error instanceof TooManyAttempts) {
    return {
      status: error instanceof TooManyAttempts ? 'too_many_attempts' : 'unavailable',
      detail: describe(error, secret),
      retryAfter: error.retryAfter,
    };
  }
  return { status: 'refused', reason, detail: describe(error, secret) };
}

/** Reads what a scheme answered. Anything that is not exactly a verification is a refusal. */
function outcomeOf(schemeId: string, verification: unknown, secret: unknown): SchemeOutcome {
  const answer = (typeof verification === 'object' && verification !== null ? verification : {}) as Partial<
    Record<keyof (Verification & { verified: true }) | keyof (Verification & { verified: false }), unknown>
  >;
  if (answer.verified === true) {
    const { principal, scopes, permits, detail: given } = answer as Verification & { verified: true };
    const created = createPrincipal(schemeId, principal, scopes);
    if (hasEnded(created, created.authenticatedAt)) return ended(created);
    const detail = given === undefined ? undefined : redact(String(given), secret);
    if (permits === undefined) return { status: 'verified', principal: created, detail };
    if (typeof permits !== 'function') {
      return {
        status: 'refused',
        reason: 'invalid',
        detail: 'The scheme answered with a `permits` that is no function.',
      };
    }
    return { status: 'verified', principal: created, detail, permits };
  }
  if (answer.verified === false) {
    const { reason, detail, principal, error } = answer as Verification & { verified: false };
    return {
      status: 'refused',
      reason: reason === 'expired' || reason === 'revoked' || reason === 'not_permitted' ? reason : 'invalid',
      detail: redact(String(detail), secret),
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

function hasEnded({ expiresAt }: Principal, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now;
}

function ended(principal: Principal): SchemeOutcome {
  return { status: 'refused', reason: 'expired', detail: 'The credential has ended.', principal };
}

/** Everyone whose credential a requirement needs, once all of them are verified. */
function verifiedParts(
  { policy, credentials, outcomes }: Pick<Deliberation, 'policy' | 'credentials' | 'outcomes'>,
  { entries }: PolicyRequirement,
): readonly VerifiedPart[] {
  return entries.map(({ position }) => {
    const outcome = outcomes[position];
    if (outcome?.status !== 'verified')
      throw new TypeError('A requirement is met by what is verified alone.');
    const { id } = policy.schemes[position] as RegisteredScheme;
    return { schemeId: id, principal: outcome.principal, credential: credentials[position] };
  });
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
    // A query builder asks anew with each `then`.
    const once = Promise.resolve(promise);
    once.then(resolve, reject);
    once.then(stop, stop);
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

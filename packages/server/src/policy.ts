import type { AuthRequest } from './auth-request.js';
import { credentialPlace, type SecurityRequirementDeclaration } from './card/declaration.js';
import { renderChallenge, type Challenge } from './challenge.js';
import {
  Denied,
  Granted,
  type Decision,
  type DenialReason,
  type Evaluation,
  type SchemeOutcome,
} from './decision.js';
import { TooManyAttempts, VerifierUnavailable } from './errors.js';
import { anonymousPrincipal, createPrincipal, type Principal } from './principal.js';
import type { SchemeDenial, SecurityScheme, Verification } from './scheme.js';

/** Requirements made ready for deciding. Built once, when an `AgentSecurity` is frozen. */
export interface Policy {
  /** The schemes that requirements name, in the order of registration. */
  readonly schemes: readonly RegisteredScheme[];
  /** The alternatives in the order to be tried. An anonymous one is last: a caller who has a name keeps it. */
  readonly requirements: readonly PolicyRequirement[];
  /** The requirements as the card publishes them. */
  readonly published: readonly SecurityRequirementDeclaration[];
  readonly realm: string;
  /** Milliseconds that one verification may take. */
  readonly verificationTimeout: number;
}

export interface RegisteredScheme {
  readonly id: string;
  readonly scheme: SecurityScheme;
}

/** One alternative: for each scheme in it, in the order of registration, its position in `schemes` and its scopes. */
export type PolicyRequirement = readonly { readonly position: number; readonly scopes: readonly string[] }[];

/** The higher, the nearer to a grant. */
const rank: Readonly<Record<DenialReason, number>> = {
  missing_credential: 0,
  invalid_credential: 1,
  unavailable: 2,
  too_many_attempts: 3,
  insufficient_scope: 4,
  not_permitted: 5,
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
export async function decide(
  policy: Policy,
  request: AuthRequest,
  startedAt?: number,
): Promise<Decision> {
  const { schemes, requirements } = policy;
  const outcomes: SchemeOutcome[] = [];
  const credentials: unknown[] = [];
  let malformed = false;

  for (const { scheme } of schemes) {
    try {
      const credential = scheme.extract(request);
      credentials.push(credential);
      outcomes.push(credential === undefined ? absent : notVerified);
    } catch (error) {
      credentials.push(undefined);
      outcomes.push({ status: 'malformed', detail: describe(error, undefined) });
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
    if (requirement.some(({ position }) => outcomes[position] === absent)) continue;
    const result = await decideRequirement(policy, requirement, request, credentials, outcomes);
    if (result === 'granted') return grant(policy, requirement, credentials, outcomes, evaluation());
    if (rank[result] > rank[reason]) reason = result;
  }
  return new Denied(denial(policy, reason, outcomes), evaluation());
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
  for (const { position, scopes } of requirement) {
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
  return result;
}

function judge(outcome: SchemeOutcome, scopes: readonly string[]): 'granted' | DenialReason {
  switch (outcome.status) {
    case 'verified':
      return lacking(outcome.principal, scopes).length === 0 ? 'granted' : 'insufficient_scope';
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

function lacking(principal: Principal, scopes: readonly string[]): readonly string[] {
  return scopes.filter((scope) => !principal.scopes.includes(scope));
}

async function verify(
  policy: Policy,
  position: number,
  credential: unknown,
  request: AuthRequest,
): Promise<SchemeOutcome> {
  const { id, scheme } = policy.schemes[position] as RegisteredScheme;
  try {
    const answer = scheme.verify(credential, { schemeId: id, request });
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
    return { status: 'refused', reason: 'invalid', detail: describe(error, credential), principal: undefined };
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
      return { status: 'refused', reason: 'expired', detail: 'The credential has ended.', principal: undefined };
    }
    return { status: 'verified', principal: created };
  }
  if (answer.verified === false) {
    const { reason, detail, principal } = answer as Verification & { verified: false };
    return {
      status: 'refused',
      reason: reason === 'expired' || reason === 'revoked' || reason === 'not_permitted' ? reason : 'invalid',
      detail: redact(String(detail), credential),
      principal: principal === undefined ? undefined : createPrincipal(schemeId, principal),
    };
  }
  return {
    status: 'refused',
    reason: 'invalid',
    detail: 'The scheme answered with something that is not a verification.',
    principal: undefined,
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
  for (const { position } of requirement) {
    const outcome = outcomes[position];
    if (outcome?.status !== 'verified') continue;
    const { id } = policy.schemes[position] as RegisteredScheme;
    principals.set(id, outcome.principal);
    presented.set(id, credentials[position]);
  }
  const [primary] = principals.values();
  return new Granted(primary ?? anonymousPrincipal, principals, presented, evaluation);
}

/** What the caller is told of a denial. */
export function denial(
  policy: Policy,
  reason: DenialReason,
  outcomes: readonly SchemeOutcome[],
): ConstructorParameters<typeof Denied>[0] {
  const waits = outcomes.flatMap((outcome) => ('retryAfter' in outcome ? [outcome.retryAfter] : []));
  const temporary = reason === 'unavailable' || reason === 'too_many_attempts';
  return {
    reason,
    challenges: temporary ? [] : challenges(policy, reason, outcomes),
    alternatives: policy.published,
    missingScopes: reason === 'insufficient_scope' ? missingScopes(policy, outcomes) : [],
    retryAfter: temporary ? Math.max(1, ...waits) : undefined,
  };
}

/** Of the requirements that lack nothing but scopes, what the one that lacks fewest lacks. */
function missingScopes(policy: Policy, outcomes: readonly SchemeOutcome[]): readonly string[] {
  const lacks = policy.requirements
    .filter((requirement) => isInsufficient(requirement, outcomes))
    .map((requirement) => [...new Set(requirement.flatMap((entry) => scopesLacking(entry, outcomes)))]);
  return lacks.reduce((least, other) => (other.length < least.length ? other : least), lacks[0] ?? []);
}

function isInsufficient(requirement: PolicyRequirement, outcomes: readonly SchemeOutcome[]): boolean {
  return (
    requirement.every(({ position }) => outcomes[position]?.status === 'verified') &&
    requirement.some((entry) => scopesLacking(entry, outcomes).length > 0)
  );
}

function scopesLacking(
  { position, scopes }: PolicyRequirement[number],
  outcomes: readonly SchemeOutcome[],
): readonly string[] {
  const outcome = outcomes[position];
  return outcome?.status === 'verified' ? lacking(outcome.principal, scopes) : [];
}

/**
 * One challenge for each distinct scheme that could have helped: after a refusal for want of scopes those that lack
 * scopes, else every scheme that is not verified yet.
 */
function challenges(
  policy: Policy,
  reason: DenialReason,
  outcomes: readonly SchemeOutcome[],
): readonly Challenge[] {
  const distinct = new Map<string, Challenge>();
  for (const requirement of policy.requirements) {
    if (reason === 'insufficient_scope' && !isInsufficient(requirement, outcomes)) continue;
    for (const { position, scopes } of requirement) {
      const outcome = outcomes[position] ?? absent;
      const about = schemeDenialReason(outcome, scopes);
      if (about === undefined) continue;
      if (reason === 'not_permitted' && about !== 'not_permitted') continue;
      const { id, scheme } = policy.schemes[position] as RegisteredScheme;
      for (const challenge of challengesOf(scheme, {
        schemeId: id,
        reason: about,
        requiredScopes: scopes,
        realm: policy.realm,
      })) {
        distinct.set(renderChallenge(challenge), challenge);
      }
    }
  }
  return [...distinct.values()];
}

/** Undefined when the scheme did its part. */
function schemeDenialReason(
  outcome: SchemeOutcome,
  scopes: readonly string[],
): SchemeDenial['reason'] | undefined {
  switch (outcome.status) {
    case 'verified':
      return lacking(outcome.principal, scopes).length > 0 ? 'insufficient_scope' : undefined;
    case 'malformed':
      return 'malformed';
    case 'refused':
      return outcome.reason === 'not_permitted' ? 'not_permitted' : 'invalid';
    default:
      return 'missing';
  }
}

function challengesOf(scheme: SecurityScheme, about: SchemeDenial): readonly Challenge[] {
  if (scheme.challenge === undefined) return genericChallenge(scheme, about.realm);
  try {
    return [scheme.challenge(about)].flat();
  } catch {
    // A plug-in that fails to phrase its challenge must not turn a denial into a server error.
    return genericChallenge(scheme, about.realm);
  }
}

/**
 * A challenge for schemes that have no HTTP authentication scheme of their own. RFC 9110 §11.6.1 wants one in every
 * 401, and unknown names are skipped by clients.
 */
function genericChallenge({ declaration }: SecurityScheme, realm: string): readonly Challenge[] {
  switch (declaration?.type) {
    case undefined:
      return [];
    case 'apiKey':
      return [{ scheme: 'ApiKey', params: { realm, in: declaration.in, name: declaration.name } }];
    case 'http':
      return [{ scheme: declaration.scheme, params: { realm } }];
    case 'oauth2':
    case 'openIdConnect':
      return [{ scheme: 'Bearer', params: { realm } }];
    case 'mutualTLS':
      return [{ scheme: 'MutualTLS', params: { realm } }];
  }
}

/** The pairs of schemes in a requirement that want the same place, such as basic and bearer. */
export function conflictingPlaces(
  schemes: readonly RegisteredScheme[],
): readonly { readonly place: string; readonly ids: readonly string[] }[] {
  const byPlace = new Map<string, string[]>();
  for (const { id, scheme } of schemes) {
    if (scheme.declaration === undefined) continue;
    const place = credentialPlace(scheme.declaration);
    byPlace.set(place, [...(byPlace.get(place) ?? []), id]);
  }
  return [...byPlace].flatMap(([place, ids]) => (ids.length > 1 ? [{ place, ids }] : []));
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | undefined)?.then === 'function';
}

/** @throws {VerifierUnavailable} when the promise does not settle in time */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new VerifierUnavailable(`The verifier did not answer within ${String(milliseconds)} ms.`));
    }, milliseconds);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** For the audit event. */
function describe(error: unknown, credential: unknown): string {
  return redact(error instanceof Error ? `${error.name}: ${error.message}` : String(error), credential);
}

/** A message that quotes the credential, as a careless verifier's may, must not carry it into a log. */
function redact(text: string, credential: unknown): string {
  const secrets =
    typeof credential === 'object' && credential !== null ? Object.values(credential) : [credential];
  return secrets.reduce<string>(
    (redacted, secret) =>
      typeof secret === 'string' && secret !== '' ? redacted.replaceAll(secret, '[credential]') : redacted,
    text,
  );
}

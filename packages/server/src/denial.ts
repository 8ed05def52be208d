import { isChallenge, renderChallenge, type Challenge } from './challenge.js';
import type { Denied, DenialReason, SchemeOutcome } from './decision.js';
import type { Policy, PolicyEntry, PolicyRequirement, RegisteredScheme } from './policy.js';
import type { SchemeDenial, SecurityScheme } from './scheme.js';
import { isStrongEnough, lackingScopes } from './shortfall.js';

/** What the caller is told of a denial. */
export function denialOf(
  policy: Policy,
  reason: DenialReason,
  outcomes: readonly SchemeOutcome[],
): ConstructorParameters<typeof Denied>[0] {
  const waits = outcomes
    .flatMap((outcome) => ('retryAfter' in outcome ? [outcome.retryAfter] : []))
    .filter((seconds) => Number.isFinite(seconds));
  const temporary = reason === 'unavailable' || reason === 'too_many_attempts';
  return {
    reason,
    challenges: temporary ? [] : challenges(policy, reason, outcomes),
    alternatives: policy.published,
    missingScopes: reason === 'insufficient_scope' ? missingScopes(policy, outcomes) : [],
    retryAfter: temporary ? Math.max(1, ...waits) : undefined,
  };
}

/** Of the requirements whose credentials are all genuine, what the one that lacks fewest scopes lacks. */
function missingScopes(policy: Policy, outcomes: readonly SchemeOutcome[]): readonly string[] {
  const lacks = policy.requirements
    .filter((requirement) => isInsufficient(requirement, outcomes))
    .map((requirement) => [
      ...new Set(requirement.entries.flatMap((entry) => scopesLacking(entry, outcomes))),
    ]);
  return lacks.reduce((least, other) => (other.length < least.length ? other : least), lacks[0] ?? []);
}

function isInsufficient({ entries }: PolicyRequirement, outcomes: readonly SchemeOutcome[]): boolean {
  return (
    entries.every(({ position }) => isGenuine(outcomes[position])) &&
    entries.some((entry) => scopesLacking(entry, outcomes).length > 0)
  );
}

function isGenuine(outcome: SchemeOutcome | undefined): boolean {
  return (
    outcome?.status === 'verified' || (outcome?.status === 'refused' && outcome.reason === 'not_permitted')
  );
}

function scopesLacking(
  { position, scopes }: PolicyEntry,
  outcomes: readonly SchemeOutcome[],
): readonly string[] {
  const outcome = outcomes[position];
  return outcome?.status === 'verified' ? lackingScopes(outcome.principal, scopes) : [];
}

/** One challenge for each distinct scheme that could have helped. */
function challenges(
  policy: Policy,
  reason: DenialReason,
  outcomes: readonly SchemeOutcome[],
): readonly Challenge[] {
  const distinct = new Map<string, Challenge>();
  for (const requirement of policy.requirements) {
    for (const entry of requirement.entries) {
      const outcome = outcomes[entry.position] ?? { status: 'absent' };
      const about = couldHelp(reason, requirement, entry, outcomes);
      if (about === undefined) continue;
      const { id, scheme } = policy.schemes[entry.position] as RegisteredScheme;
      for (const challenge of challengesOf(scheme, {
        schemeId: id,
        reason: about,
        error: outcome.status === 'refused' ? outcome.error : undefined,
        requiredScopes: entry.scopes,
        stepUp: requirement.stepUp,
        realm: policy.realm,
        resourceMetadataUrl: policy.resourceMetadataUrl,
      })) {
        distinct.set(renderChallenge(challenge), challenge);
      }
    }
  }
  return [...distinct.values()];
}

/**
 * What a scheme of a requirement is to say: after a refusal for want of scopes, those that lack scopes say so; likewise
 * for a stronger login and for want of permission; else every scheme.
 */
function couldHelp(
  reason: DenialReason,
  requirement: PolicyRequirement,
  { position, scopes }: PolicyEntry,
  outcomes: readonly SchemeOutcome[],
): SchemeDenial['reason'] | undefined {
  const about = schemeDenialReason(outcomes[position] ?? { status: 'absent' }, scopes);
  switch (reason) {
    case 'insufficient_scope':
      return about === reason && isInsufficient(requirement, outcomes) ? about : undefined;
    case 'insufficient_authentication':
      return about === undefined && !isStrongEnough(requirement, outcomes) ? reason : undefined;
    case 'not_permitted':
      return about === reason ? about : undefined;
    case 'invalid_credential':
      // Which of several credentials is the wrong one is not told: it would confirm a stolen one without the others.
      if (outcomes.some(({ status }) => status === 'malformed')) return about;
      return outcomes[position]?.status === 'absent' ? 'missing' : 'invalid';
    default:
      return about;
  }
}

/** Undefined when the scheme did its part. */
function schemeDenialReason(
  outcome: SchemeOutcome,
  scopes: readonly string[],
): SchemeDenial['reason'] | undefined {
  switch (outcome.status) {
    case 'verified':
      return lackingScopes(outcome.principal, scopes).length > 0 ? 'insufficient_scope' : undefined;
    case 'malformed':
      return 'malformed';
    case 'refused':
      return outcome.reason === 'not_permitted' ? 'not_permitted' : 'invalid';
    default:
      return 'missing';
  }
}

function challengesOf(scheme: SecurityScheme, about: SchemeDenial): readonly Challenge[] {
  if (scheme.challenge === undefined) {
    // A scheme that has no way to say it cannot ask for a stronger login either.
    return about.reason === 'insufficient_authentication' ? [] : genericChallenge(scheme, about.realm);
  }
  try {
    const phrased = [scheme.challenge(about)].flat();
    if (phrased.every(isChallenge)) return phrased;
  } catch {
    // Phrased anew below.
  }
  // A plug-in that fails to phrase its challenge must not turn a denial into a server error.
  return genericChallenge(scheme, about.realm);
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

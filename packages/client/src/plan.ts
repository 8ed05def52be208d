import {
  credentialPlace,
  type SecurityRequirementDeclaration,
  type SecuritySchemeDeclaration,
} from '@a2a-auth/server/card';

import { readCard, type AgentCardSecurity } from './card/read-card.js';
import type { CredentialSource } from './credential-source.js';
import { destinationProblem } from './destination.js';
import { ClientError } from './errors.js';
import { notice } from './notice.js';
import { checkOptions } from './options.js';
import { POLICY_OPTIONS, type ClientPolicy } from './policy.js';
import { quote } from './quote.js';
import { isScope } from './scopes.js';

/**
 * What the user has: by scheme id, or a list of which each scheme gets the first source that fits it and is not taken
 * by another scheme of the same alternative.
 */
export type Credentials = Readonly<Record<string, CredentialSource>> | readonly CredentialSource[];

export interface AuthenticationPlan {
  /** The alternative to use; undefined when none can be met. */
  readonly chosen: PlannedAlternative | undefined;
  /** All alternatives, in the order of the card. A card without requirements has one that uses nothing. */
  readonly alternatives: readonly PlannedAlternative[];
}

export interface PlannedAlternative {
  readonly requirement: SecurityRequirementDeclaration;
  readonly meetable: boolean;
  /** Whether a person may be needed. */
  readonly interactive: boolean;
  /** Why not, by scheme id, for people to read. Empty when it is meetable. */
  readonly reasons: Readonly<Record<string, string>>;
  /** What is done to meet it, all of it. Empty when it is not meetable. */
  readonly steps: readonly AuthenticationStep[];
}

export interface AuthenticationStep {
  readonly schemeId: string;
  readonly scheme: SecuritySchemeDeclaration;
  readonly scopes: readonly string[];
  readonly source: CredentialSource;
}

/** What a plan may ask for. */
export interface PlanPolicy {
  /** The scopes that may be asked for. Default: those that the requirements name. */
  readonly scopes?: readonly string[] | undefined;
}

/**
 * Finds out which alternative of a card can be met with which credentials. Nothing is fetched or sent.
 *
 * Chosen is the first alternative that can be met without a person; else, where the card has one, the alternative `{}`
 * that uses nothing; else the first that can be met with a person.
 *
 * @param card JSON that was parsed, or the SDK's `AgentCard`
 * @throws {ClientError} `CARD_INVALID` when the card cannot be read, `INVALID_OPTION` when `credentials` are none
 */
export function planAuthentication(
  card: unknown,
  credentials: Credentials,
  policy: PlanPolicy = {},
): AuthenticationPlan {
  // The policy of `connect` will do as well.
  checkOptions<ClientPolicy>('policy', policy, POLICY_OPTIONS);
  return planFor(readCard(card), credentials, policy);
}

export function planFor(
  card: AgentCardSecurity,
  credentials: Credentials,
  policy: PlanPolicy,
): AuthenticationPlan {
  const candidates = candidatesFor(card, credentials);
  const requirements = card.requirements.length === 0 ? [{}] : card.requirements;
  const alternatives = requirements.map((requirement) => plan(requirement, card, candidates, policy));
  const chosen = choose(alternatives);
  const tried = alternatives.filter(({ requirement }) => Object.keys(requirement).length > 0);
  if (
    chosen?.steps.length === 0 &&
    candidates.any &&
    tried.length > 0 &&
    tried.every(({ meetable }) => !meetable)
  ) {
    notice('CREDENTIALS_UNUSED', `No credentials are sent. ${reasonsOf(tried)}`);
  }
  return { chosen, alternatives };
}

/** Why none of them can be met, for people to read. */
export function reasonsOf(alternatives: readonly PlannedAlternative[]): string {
  return alternatives
    .slice(0, 10)
    .map(({ reasons }) =>
      Object.entries(reasons)
        .map(([id, reason]) => `${quote(id, 60)}: ${reason.slice(0, 300)}`)
        .join(' '),
    )
    .join(' Or ');
}

/** Of those that can be met. */
export function choose(alternatives: readonly PlannedAlternative[]): PlannedAlternative | undefined {
  const meetable = alternatives.filter((alternative) => alternative.meetable);
  const usesNothing = ({ steps }: PlannedAlternative) => steps.length === 0;
  return (
    meetable.find((alternative) => !alternative.interactive && !usesNothing(alternative)) ??
    meetable.find(usesNothing) ??
    meetable[0]
  );
}

/** The sources that may be tried. */
interface Candidates {
  readonly any: boolean;
  readonly of: (schemeId: string) => readonly CredentialSource[];
  /** What is said where there is none. */
  readonly none: string;
}

function candidatesFor({ schemes }: AgentCardSecurity, credentials: Credentials): Candidates {
  const sources = requireSources(credentials);
  const none = 'There is no credential for it.';
  const any = Object.keys(sources).length > 0;
  if (Array.isArray(credentials)) return { any, of: () => Object.values(sources), none };
  const misnamed = Object.keys(sources).filter((id) => !schemes.has(id));
  return {
    any,
    of(id) {
      const source = Object.hasOwn(sources, id) ? sources[id] : undefined;
      return source === undefined ? [] : [source];
    },
    none:
      misnamed.length === 0
        ? none
        : `${none} There is one for ${misnamed
            .slice(0, 5)
            .map((id) => quote(id, 30))
            .join(', ')}, which the card does not declare.`,
  };
}

/** @throws {ClientError} `INVALID_OPTION` when these are no credential sources */
export function requireSources(credentials: Credentials): Readonly<Record<string, CredentialSource>> {
  if (typeof credentials !== 'object' || credentials === null || isSource(credentials)) throw notSources();
  return Object.fromEntries(
    Object.entries(credentials).map(([id, source]) => {
      if (!isSource(source)) throw notSources(id);
      return [id, source];
    }),
  );
}

function isSource(source: unknown): source is CredentialSource {
  const { interactive, unfitFor, credential } = (source ?? {}) as Partial<CredentialSource>;
  return (
    typeof interactive === 'boolean' && typeof unfitFor === 'function' && typeof credential === 'function'
  );
}

/** @param culprit the name, or the number in the list, of the one that is none */
function notSources(culprit?: string): ClientError {
  return new ClientError(
    'INVALID_OPTION',
    culprit === undefined
      ? 'credentials must be a record of credential sources by scheme id, or a list of them: { partnerKey: apiKey(key) }.'
      : `credentials: what there is for ${quote(culprit, 30)} is no credential source, such as apiKey(key) or clientCredentials({ ... }).`,
  );
}

function plan(
  requirement: SecurityRequirementDeclaration,
  card: AgentCardSecurity,
  candidates: Candidates,
  policy: PlanPolicy,
): PlannedAlternative {
  const places = new Map<string, string>();
  const taken = new Set<CredentialSource>();
  const reasons: [string, string][] = [];
  const steps: AuthenticationStep[] = [];
  for (const [schemeId, scopes] of Object.entries(requirement)) {
    const { ways = [], problem = 'The card does not declare it.' } = card.schemes.get(schemeId) ?? {};
    const [first] = ways;
    const refused = first === undefined ? problem : (placeProblem(first) ?? scopeProblem(scopes, policy));
    if (first === undefined || refused !== undefined) {
      reasons.push([schemeId, refused ?? problem]);
      continue;
    }
    // All ways of one scheme have one place: only those of oauth2 are several.
    const place = credentialPlace(first);
    const other = places.get(place);
    places.set(place, schemeId);
    if (other !== undefined) {
      reasons.push([schemeId, `It goes into the same place as ${quote(other)}: ${quote(place)}.`]);
      continue;
    }
    const found = match(
      ways,
      candidates.of(schemeId).filter((source) => !taken.has(source)),
      candidates.none,
    );
    if (typeof found === 'string') {
      reasons.push([schemeId, found]);
      continue;
    }
    taken.add(found.source);
    steps.push({ schemeId, scopes, ...found });
  }
  const meetable = reasons.length === 0;
  return {
    requirement,
    meetable,
    interactive: meetable && steps.some(({ source }) => source.interactive),
    reasons: Object.fromEntries(reasons),
    steps: meetable ? steps : [],
  };
}

function placeProblem(scheme: SecuritySchemeDeclaration): string | undefined {
  const problem = destinationProblem(scheme);
  return problem === undefined ? undefined : `The card may not ask for this: ${problem}.`;
}

function scopeProblem(scopes: readonly string[], { scopes: allowed }: PlanPolicy): string | undefined {
  if (!scopes.every(isScope)) return 'The card asks for a scope that is none (RFC 6749 §3.3).';
  const beyond = allowed === undefined ? [] : scopes.filter((scope) => !allowed.includes(scope));
  return beyond.length === 0 ? undefined : `policy.scopes does not allow: ${beyond.join(' ')}.`;
}

/** The first source that fits a way and needs no person, else the first that fits; or why none does. */
function match(
  ways: readonly SecuritySchemeDeclaration[],
  sources: readonly CredentialSource[],
  none: string,
): { scheme: SecuritySchemeDeclaration; source: CredentialSource } | string {
  if (sources.length === 0) return none;
  const pairs = sources.flatMap((source) =>
    ways.map((scheme) => ({ source, scheme, unfit: unfitFor(source, scheme) })),
  );
  const fitting = pairs.filter(({ unfit }) => unfit === undefined);
  const found = fitting.find(({ source }) => !source.interactive) ?? fitting[0];
  return found === undefined
    ? [...new Set(pairs.map(({ unfit }) => unfit))].join(' ')
    : { scheme: found.scheme, source: found.source };
}

function unfitFor(source: CredentialSource, scheme: SecuritySchemeDeclaration): string | undefined {
  try {
    const unfit: unknown = source.unfitFor(scheme);
    return unfit === undefined || typeof unfit === 'string' ? unfit : 'The credential source does not fit.';
  } catch {
    return 'The credential source failed to say whether it fits.';
  }
}

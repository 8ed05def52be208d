import {
  credentialPlace,
  type SecurityRequirementDeclaration,
  type SecuritySchemeDeclaration,
} from './card/declaration.js';
import { ConfigurationError, type ConfigurationProblem } from './errors.js';
import { unknownNames } from './options.js';
import type { Policy, RegisteredScheme } from './policy.js';
import { protectedResourceMetadataUrl } from './protected-resource.js';
import type { SecurityScheme, StepUp } from './scheme.js';
import { isScope } from './scope.js';
import { isSecure } from './secure-url.js';

/** What was registered, before anything of it was checked. */
export interface Configuration {
  readonly schemes: readonly RegisteredScheme[];
  readonly requirements: readonly RegisteredRequirement[];
  readonly allowAnonymous: boolean;
  readonly realm: string;
  readonly resource: string | undefined;
  readonly verificationTimeout: number;
}

/** One alternative as it was given. */
export interface RegisteredRequirement {
  readonly schemes: SecurityRequirementDeclaration;
  readonly stepUp: StepUp | undefined;
}

/**
 * Checks a configuration as a whole and makes a policy of it.
 *
 * @throws {ConfigurationError} naming everything that is wrong with it
 */
export function compilePolicy(configuration: Configuration): Policy {
  const problems = findProblems(configuration);
  const [first, ...rest] = problems;
  if (first !== undefined) throw new ConfigurationError([first, ...rest]);

  const declared = configuration.requirements.map(frozenCopy);
  const named = new Set(declared.flatMap(({ schemes }) => Object.keys(schemes)));
  const schemes = configuration.schemes.filter(({ id }) => named.has(id));
  const requirements = declared.length === 0 ? [{ schemes: {}, stepUp: undefined }] : declared;
  const compiled = requirements.map((requirement) => ({
    stepUp: requirement.stepUp,
    entries: schemes.flatMap(({ id }, position) => {
      const scopes = Object.hasOwn(requirement.schemes, id) ? requirement.schemes[id] : undefined;
      return scopes === undefined ? [] : [{ position, scopes }];
    }),
  }));
  const isPublished = (id: string) =>
    schemes.find((scheme) => scheme.id === id)?.scheme.declaration !== undefined;
  return {
    schemes,
    requirements: [
      ...compiled.filter(({ entries }) => entries.length > 0),
      ...compiled.filter(({ entries }) => entries.length === 0),
    ],
    published: declared.map(({ schemes: named }) =>
      Object.freeze(Object.fromEntries(Object.entries(named).filter(([id]) => isPublished(id)))),
    ),
    realm: configuration.realm,
    resource: configuration.resource,
    resourceMetadataUrl:
      configuration.resource === undefined ? undefined : protectedResourceMetadataUrl(configuration.resource),
    verificationTimeout: configuration.verificationTimeout,
  };
}

/** What is enforced is what was checked, whatever becomes of the objects that were given. */
function frozenCopy({ schemes, stepUp }: RegisteredRequirement): RegisteredRequirement {
  const copied = Object.entries(schemes).map(([id, scopes]) => [id, Object.freeze([...scopes])] as const);
  return {
    schemes: Object.freeze(Object.fromEntries(copied)),
    stepUp: stepUp === undefined ? undefined : Object.freeze({ ...stepUp }),
  };
}

function findProblems(configuration: Configuration): ConfigurationProblem[] {
  const { schemes, requirements, allowAnonymous } = configuration;
  const problems: ConfigurationProblem[] = [];

  const seen = new Set<string>();
  for (const { id, scheme } of schemes) {
    problems.push(...schemeProblems(id, scheme));
    if (seen.has(id)) {
      problems.push({
        code: 'DUPLICATE_SCHEME',
        message: `The security scheme "${id}" is registered twice. Give the second one another id.`,
      });
    }
    seen.add(id);
  }
  problems.push(...misplacedKeys(schemes));

  if (requirements.length === 0 && !allowAnonymous) {
    problems.push({
      code: 'NO_REQUIREMENT',
      message:
        'No security requirement is registered, so nothing would be enforced. Add one with addSecurityRequirement({ id: [] }), ' +
        'or say new AgentSecurity({ allowAnonymous: true }) if the agent is meant to be open to everyone.',
    });
  }
  for (const requirement of requirements) {
    problems.push(...requirementProblems(requirement.schemes, schemes), ...stepUpProblems(requirement));
  }
  if (!problems.some(({ code }) => code === 'CONFLICTING_PLACE')) {
    problems.push(...keysForAuthorization(configuration));
  }
  problems.push(...resourceProblems(configuration.resource));
  return problems;
}

/** A key in the query whose header is declared is refused as misplaced, so that it could never be met. */
function misplacedKeys(schemes: readonly RegisteredScheme[]): ConfigurationProblem[] {
  const keysIn = (place: 'header' | 'query') =>
    schemes.flatMap(({ id, scheme }) => {
      const declaration = (scheme as Partial<SecurityScheme> | null | undefined)?.declaration;
      return declaration?.type === 'apiKey' && declaration.in === place
        ? [{ id, name: declaration.name }]
        : [];
    });
  return keysIn('header').flatMap(({ id, name }) =>
    keysIn('query')
      .filter((other) => other.name === name)
      .map((other) => ({
        code: 'CONFLICTING_PLACE' as const,
        message: `The security schemes "${id}" and "${other.id}" want a key of the same name, "${name}", in the header and in the query. Give one of them another name.`,
      })),
  );
}

/** A key in Authorization has no auth-scheme before it, so that what has one would be refused as malformed. */
function keysForAuthorization({ schemes, requirements }: Configuration): ConfigurationProblem[] {
  const isEnforced = (id: string) =>
    requirements.some(
      (requirement) => isPlainObject(requirement.schemes) && Object.hasOwn(requirement.schemes, id),
    );
  const users = schemes.flatMap(({ id, scheme }) => {
    const declaration = (scheme as Partial<SecurityScheme> | null | undefined)?.declaration;
    if (
      !isEnforced(id) ||
      !isDeclaration(declaration) ||
      credentialPlace(declaration) !== 'header authorization'
    )
      return [];
    return [{ id, isKey: declaration.type === 'apiKey' }];
  });
  const key = users.find(({ isKey }) => isKey);
  const other = users.find(({ id, isKey }) => id !== key?.id && !isKey);
  if (key === undefined || other === undefined) return [];
  return [
    {
      code: 'CONFLICTING_PLACE',
      message: `The security schemes "${key.id}" and "${other.id}" both want the header Authorization, and a credential of "${other.id}" is no well-formed key. Give the key a header of its own.`,
    },
  ];
}

function schemeProblems(id: unknown, scheme: unknown): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  // The ids are keys of a JSON object on the card; OpenAPI (components) allows just these characters.
  if (typeof id !== 'string' || !/^[A-Za-z0-9._-]+$/.test(id) || id in Object.prototype) {
    problems.push({
      code: 'INVALID_SCHEME_ID',
      message: `"${String(id)}" cannot be the id of a security scheme. Use letters, digits, ".", "_" and "-", and no name that every JavaScript object has.`,
    });
  }
  if (typeof scheme !== 'object' || (scheme as unknown) === null) {
    return [
      ...problems,
      {
        code: 'INVALID_SCHEME',
        message: `The security scheme "${String(id)}" is ${typeof scheme === 'function' ? 'a function' : String(scheme)}, and not an object with extract() and verify(). Is an await missing, a call, or the flow in the flows of oauth2FromIssuer?`,
      },
    ];
  }
  const candidate = scheme as unknown as Record<string, unknown>;
  if (typeof candidate.extract !== 'function' || typeof candidate.verify !== 'function') {
    problems.push({
      code: 'INVALID_SCHEME',
      message: `The security scheme "${String(id)}" has no extract() or no verify(). ${
        typeof candidate.verify === 'function'
          ? 'If it is a token verifier, it belongs into httpBearer({ verifier }).'
          : 'A scheme that cannot verify would let everyone pass; see the SecurityScheme contract. Is an await missing, or the flow in the flows of oauth2FromIssuer?'
      }`,
    });
  }
  if (candidate.declaration !== undefined && !isDeclaration(candidate.declaration)) {
    problems.push({
      code: 'INVALID_SCHEME',
      message: `The security scheme "${String(id)}" has a declaration that no agent card can hold: ${JSON.stringify(candidate.declaration)}. See SecuritySchemeDeclaration.`,
    });
  }
  return problems;
}

function isDeclaration(declaration: unknown): declaration is SecuritySchemeDeclaration {
  if (typeof declaration !== 'object' || declaration === null) return false;
  const { type, in: place, name, scheme, flow, openIdConnectUrl } = declaration as Record<string, unknown>;
  switch (type) {
    case 'apiKey':
      return ['header', 'query', 'cookie'].includes(String(place)) && typeof name === 'string' && name !== '';
    case 'http':
      // RFC 9110 §11.1: an auth-scheme is a token.
      return typeof scheme === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(scheme);
    case 'oauth2':
      return typeof flow === 'object' && flow !== null;
    case 'openIdConnect':
      return typeof openIdConnectUrl === 'string';
    default:
      return type === 'mutualTLS';
  }
}

function requirementProblems(
  requirement: unknown,
  schemes: readonly RegisteredScheme[],
): ConfigurationProblem[] {
  if (!isPlainObject(requirement)) {
    return [
      {
        code: 'INVALID_REQUIREMENT',
        message: `A security requirement must be an object of scheme ids and scopes, such as { myKey: [] }, not ${JSON.stringify(requirement)}.`,
      },
    ];
  }
  const problems: ConfigurationProblem[] = [];
  const shown = JSON.stringify(requirement);
  const involved: RegisteredScheme[] = [];
  for (const [id, scopes] of Object.entries(requirement)) {
    const registered = schemes.find((scheme) => scheme.id === id);
    if (registered === undefined) {
      const known = schemes.map((scheme) => `"${scheme.id}"`).join(', ') || 'none';
      problems.push({
        code: 'UNKNOWN_SCHEME',
        message: `The requirement ${shown} names the security scheme "${id}", which is not registered (registered: ${known}). Register it with addSecurityScheme("${id}", ...).`,
      });
      continue;
    }
    if (schemeProblems(id, registered.scheme).length > 0) continue;
    involved.push(registered);
    if (!Array.isArray(scopes) || !scopes.every(isScope)) {
      problems.push({
        code: 'INVALID_REQUIREMENT',
        message: `The requirement ${shown} must give "${id}" a list of scopes, each without spaces and quotes (RFC 6749 §3.3); write [] for none.`,
      });
      continue;
    }
    for (const scope of scopes) {
      if (registered.scheme.scopes !== undefined && !registered.scheme.scopes.includes(scope)) {
        const declared = registered.scheme.scopes.map((name) => `"${name}"`).join(', ') || 'none';
        problems.push({
          code: 'UNDECLARED_SCOPE',
          message: `The requirement ${shown} asks "${id}" for the scope "${scope}", which that scheme does not declare (declared: ${declared}), so it could never be met. Declare the scope on the scheme, or correct its name.`,
        });
      }
    }
  }
  for (const { place, ids } of conflictingPlaces(involved)) {
    problems.push({
      code: 'CONFLICTING_PLACE',
      message: `The requirement ${shown} needs ${ids.map((id) => `"${id}"`).join(' and ')} at once, but both want one place (${place}), so no request could meet it. Make them alternatives (one requirement each), or move one to another place.`,
    });
  }
  return problems;
}

function stepUpProblems({ schemes, stepUp }: RegisteredRequirement): ConfigurationProblem[] {
  if (stepUp === undefined) return [];
  const { acrValues, maxAge } = stepUp;
  const isUsable =
    unknownNames(stepUp, ['acrValues', 'maxAge']).length === 0 &&
    (acrValues !== undefined || maxAge !== undefined) &&
    (acrValues === undefined ||
      (Array.isArray(acrValues) && acrValues.length > 0 && acrValues.every(isScope))) &&
    (maxAge === undefined || (Number.isSafeInteger(maxAge) && maxAge >= 0)) &&
    Object.keys(schemes).length > 0;
  if (isUsable) return [];
  return [
    {
      code: 'INVALID_REQUIREMENT',
      message: `The requirement ${JSON.stringify(schemes)} asks for a step-up that no caller could meet: ${JSON.stringify(stepUp)}. Give acrValues (a non-empty list of names without spaces), maxAge (whole seconds), or both and nothing else, and at least one scheme.`,
    },
  ];
}

function resourceProblems(resource: string | undefined): ConfigurationProblem[] {
  if (resource === undefined) return [];
  const url = URL.canParse(resource) ? new URL(resource) : undefined;
  if (url !== undefined && isSecure(url) && url.hash === '') return [];
  return [
    {
      code: 'INVALID_OPTION',
      message: `resource must be an absolute https URL without a fragment (RFC 9728 §1.2; http for loopback addresses alone), not ${JSON.stringify(resource)}.`,
    },
  ];
}

/** A Map, a list or an instance has no entries to enforce: it would read as `{}`, the anonymous alternative. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The names of the headers in which the schemes expect secrets, in lower case. */
export function secretHeaders(schemes: readonly RegisteredScheme[]): ReadonlySet<string> {
  const names = new Set(['authorization', 'proxy-authorization', 'cookie']);
  for (const { scheme } of schemes) {
    for (const name of scheme.secretHeaders ?? []) names.add(name.toLowerCase());
    if (scheme.declaration === undefined) continue;
    const [kind, name] = credentialPlace(scheme.declaration).split(' ', 2);
    if (kind === 'header' && name !== undefined) names.add(name);
  }
  return names;
}

/** The pairs of schemes in a requirement that want the same place, such as basic and bearer. */
function conflictingPlaces(
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

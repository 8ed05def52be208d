import { credentialPlace, type SecurityRequirementDeclaration } from './card/declaration.js';
import { ConfigurationError, type ConfigurationProblem } from './errors.js';
import { conflictingPlaces, type Policy, type RegisteredScheme } from './policy.js';

/** What was registered, before anything of it was checked. */
export interface Configuration {
  readonly schemes: readonly RegisteredScheme[];
  readonly requirements: readonly SecurityRequirementDeclaration[];
  readonly allowAnonymous: boolean;
  readonly realm: string;
  readonly verificationTimeout: number;
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

  const named = new Set(configuration.requirements.flatMap((requirement) => Object.keys(requirement)));
  const schemes = configuration.schemes.filter(({ id }) => named.has(id));
  const requirements: SecurityRequirementDeclaration[] =
    configuration.requirements.length === 0 ? [{}] : [...configuration.requirements];
  const compiled = requirements.map((requirement) =>
    schemes.flatMap(({ id }, position) => {
      const scopes = Object.hasOwn(requirement, id) ? requirement[id] : undefined;
      return scopes === undefined ? [] : [{ position, scopes }];
    }),
  );
  const isPublished = (id: string) => schemes.find((scheme) => scheme.id === id)?.scheme.declaration !== undefined;
  return {
    schemes,
    requirements: [
      ...compiled.filter((requirement) => requirement.length > 0),
      ...compiled.filter((requirement) => requirement.length === 0),
    ],
    published: configuration.requirements.map((requirement) =>
      Object.freeze(Object.fromEntries(Object.entries(requirement).filter(([id]) => isPublished(id)))),
    ),
    realm: configuration.realm,
    verificationTimeout: configuration.verificationTimeout,
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

  if (requirements.length === 0 && !allowAnonymous) {
    problems.push({
      code: 'NO_REQUIREMENT',
      message:
        'No security requirement is registered, so nothing would be enforced. Add one with addSecurityRequirement({ id: [] }), ' +
        'or say new AgentSecurity({ allowAnonymous: true }) if the agent is meant to be open to everyone.',
    });
  }
  for (const requirement of requirements) problems.push(...requirementProblems(requirement, schemes));
  return problems;
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
  const candidate = (typeof scheme === 'object' && scheme !== null ? scheme : {}) as Record<string, unknown>;
  if (typeof candidate['extract'] !== 'function' || typeof candidate['verify'] !== 'function') {
    problems.push({
      code: 'INVALID_SCHEME',
      message: `The security scheme "${String(id)}" has no extract() or no verify(). A scheme that cannot verify would let everyone pass; see the SecurityScheme contract.`,
    });
  }
  return problems;
}

function requirementProblems(
  requirement: unknown,
  schemes: readonly RegisteredScheme[],
): ConfigurationProblem[] {
  if (typeof requirement !== 'object' || requirement === null || Array.isArray(requirement)) {
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
  for (const [id, scopes] of Object.entries(requirement as Record<string, unknown>)) {
    const registered = schemes.find((scheme) => scheme.id === id);
    if (registered === undefined) {
      const known = schemes.map((scheme) => `"${scheme.id}"`).join(', ') || 'none';
      problems.push({
        code: 'UNKNOWN_SCHEME',
        message: `The requirement ${shown} names the security scheme "${id}", which is not registered (registered: ${known}). Register it with addSecurityScheme("${id}", ...).`,
      });
      continue;
    }
    involved.push(registered);
    if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string' && scope !== '')) {
      problems.push({
        code: 'INVALID_REQUIREMENT',
        message: `The requirement ${shown} must give "${id}" a list of scopes; write [] for none.`,
      });
      continue;
    }
    for (const scope of scopes as string[]) {
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

/** The names of the headers in which the schemes expect secrets, in lower case. */
export function secretHeaders(schemes: readonly RegisteredScheme[]): ReadonlySet<string> {
  const names = new Set(['authorization', 'proxy-authorization', 'cookie']);
  for (const { scheme } of schemes) {
    if (scheme.declaration === undefined) continue;
    const [kind, name] = credentialPlace(scheme.declaration).split(' ', 2);
    if (kind === 'header' && name !== undefined) names.add(name);
  }
  return names;
}

import type { AgentCard, AgentSkill } from '@a2a-js/sdk';

import { AgentSecurity } from '../agent-security.js';
import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import { oauth2FromIssuer, type OAuth2Flow } from '../schemes/oauth2-from-issuer.js';
import { isSecure } from '../secure-url.js';
import type { DelegationOptions } from '../tokens/delegation.js';
import type { TrustedIssuer } from '../tokens/jwt-from-issuer.js';

/** A skill as the card has it. Only these four have to be given. */
export type ServiceSkill = Pick<AgentSkill, 'id' | 'name' | 'description' | 'tags'> & Partial<AgentSkill>;

export interface AgentServiceOptions<Flow extends OAuth2Flow = OAuth2Flow> extends DelegationOptions {
  readonly name: string;
  readonly description: string;
  /** Default `1.0.0`. */
  readonly version?: string;
  /** The agent's origin, such as `https://agent.example`; the paths are those of `agentRouter` and `agentFetchHandler`. */
  readonly url: string;
  /** The identity provider: its URL, exactly as in its metadata; or a preset such as `keycloak()`. */
  readonly issuer: string | TrustedIssuer;
  /** The `aud` that tokens must have, where the preset does not say it. Default `<url>/a2a`, the agent's `resource`. */
  readonly audience?: string;
  /** The agent as the provider knows it, for the exchange of tokens. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** The scopes that a caller must have, all of them, each with its description. */
  readonly scopes: Readonly<Record<string, string>>;
  readonly skills?: readonly ServiceSkill[];
  /**
   * How callers get their tokens, each an alternative of the card under its own name. Default `authorizationCode` and
   * `clientCredentials`.
   */
  readonly flows?: readonly Flow[];
}

/** What an agent with one identity provider consists of. */
export interface AgentServiceConfig<Flow extends OAuth2Flow = OAuth2Flow> {
  /** For the SDK's request handler. Its security is published by `security`. */
  readonly card: AgentCard;
  /** Schemes and requirements; the ids of the schemes are the names of the flows. */
  readonly security: AgentSecurity<Flow>;
  /** The options of `DelegationClient`. Holds the client secret. */
  readonly delegation: {
    readonly issuer: string;
    readonly clientId: string;
    readonly clientSecret: string;
  };
}

/** Where `agentRouter` and `agentFetchHandler` have them. */
const paths = { JSONRPC: '/a2a/jsonrpc', 'HTTP+JSON': '/a2a/rest' };

/**
 * From one object to an agent with one identity provider: its card, its security, and what it needs to call other agents
 * on behalf of its callers.
 *
 * ```ts
 * const { card, security, delegation } = await agentServiceConfig({ name, description, url, issuer, clientId, clientSecret, scopes });
 * ```
 *
 * For anything else, such as API keys besides or scopes for some callers only, put `AgentSecurity` together yourself.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when an option is missing, the issuer cannot be reached, or it does not
 *   offer a flow
 */
export async function agentServiceConfig<
  const Flow extends OAuth2Flow = 'authorizationCode' | 'clientCredentials',
>(options: AgentServiceOptions<Flow>): Promise<AgentServiceConfig<Flow>> {
  checkOptions<AgentServiceOptions<Flow>>('agentServiceConfig()', options, {
    name: 'any',
    description: 'any',
    version: 'string',
    url: 'any',
    issuer: 'any',
    audience: 'any',
    clientId: 'any',
    clientSecret: 'any',
    scopes: 'any',
    skills: 'any',
    flows: 'any',
    maxDelegationDepth: 'number',
    allowedActors: 'any',
  });
  const { issuer, clientId, clientSecret, scopes, maxDelegationDepth, allowedActors } = options;
  const flows = options.flows ?? (['authorizationCode', 'clientCredentials'] as unknown as readonly Flow[]);
  const { name, description } = options;
  for (const [option, value] of Object.entries({ name, description, clientId, clientSecret })) {
    if (typeof value !== 'string' || value === '') {
      throw invalid(`${option} must be a non-empty string. Is an environment variable missing?`);
    }
  }
  if (typeof scopes !== 'object' || scopes === null || Object.keys(scopes).length === 0) {
    throw invalid('scopes must map at least one scope to its description: without one, any token would do.');
  }
  const origin = originOf(options.url);
  const resource = `${origin}/a2a`;
  const schemes = await oauth2FromIssuer({
    issuer,
    flows,
    scopes,
    audience: options.audience ?? resource,
    maxDelegationDepth,
    allowedActors,
  });
  const security = new AgentSecurity<Flow>({ resource });
  const registry: AgentSecurity<string> = security;
  for (const flow of flows) {
    registry.addSecurityScheme(flow, schemes[flow]);
    registry.addSecurityRequirement({ [flow]: Object.keys(scopes) });
  }
  return {
    card: cardOf(options, origin),
    security,
    delegation: {
      issuer: typeof issuer === 'string' ? issuer : issuer.issuer,
      clientId,
      clientSecret,
    },
  };
}

function originOf(given: unknown): string {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !isSecure(url) || url.href !== `${url.origin}/`) {
    throw invalid(
      "url must be the agent's origin, such as https://agent.example; plain http is for the loopback alone.",
    );
  }
  return url.origin;
}

function cardOf(
  { name, description, version = '1.0.0', skills = [] }: AgentServiceOptions,
  origin: string,
): AgentCard {
  return {
    name,
    description,
    version,
    supportedInterfaces: Object.entries(paths).flatMap(([protocolBinding, path]) =>
      ['1.0', '0.3'].map((protocolVersion) => ({
        url: `${origin}${path}`,
        protocolBinding,
        protocolVersion,
        tenant: '',
      })),
    ),
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: skills.map((skill) => ({
      examples: [],
      inputModes: [],
      outputModes: [],
      securityRequirements: [],
      ...skill,
    })),
    signatures: [],
  };
}

function invalid(message: string): Error {
  return configurationError('INVALID_OPTION', `agentServiceConfig(): ${message}`);
}

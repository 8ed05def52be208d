import type { OAuthFlowDeclaration, SecuritySchemeDeclaration } from '@a2a-auth/server/card';
import { AgentCard } from '@a2a-js/sdk';

import { ClientError } from '../errors.js';
import { isObject, member, type JsonObject } from './json.js';
import type { AgentCardSecurity } from './read-card.js';
import type { CardInterface } from './read-interfaces.js';

/**
 * The SDK's object for a card in whatever spelling, with these interfaces. Of a scheme that can be met in several ways
 * it has the first, and of those that this client does not know none.
 *
 * @throws {ClientError} `CARD_INVALID`
 */
export function toSdkCard(
  card: JsonObject,
  security: AgentCardSecurity,
  interfaces: readonly CardInterface[],
): AgentCard {
  const capabilities = member(card, 'capabilities');
  const extended = member(card, 'supportsAuthenticatedExtendedCard', 'supports_authenticated_extended_card');
  const skills = member(card, 'skills');
  try {
    return AgentCard.fromJSON({
      ...card,
      capabilities: {
        ...(isObject(capabilities) ? capabilities : {}),
        ...(typeof extended === 'boolean' ? { extendedAgentCard: extended } : {}),
      },
      supportedInterfaces: interfaces.map(({ url, binding, version, tenant }) => ({
        url,
        protocolBinding: binding,
        protocolVersion: version,
        tenant,
      })),
      securitySchemes: Object.fromEntries(
        [...security.schemes].flatMap(([id, { ways }]) => ways.slice(0, 1).map((way) => [id, toJson(way)])),
      ),
      securityRequirements: security.requirements.map((requirement) => ({
        schemes: Object.fromEntries(Object.entries(requirement).map(([id, list]) => [id, { list }])),
      })),
      skills: Array.isArray(skills) ? skills.filter(isObject) : [],
    });
  } catch {
    throw new ClientError('CARD_INVALID', 'The SDK cannot read the agent card.');
  }
}

/** The A2A 1.0 form of a scheme, as JSON. */
function toJson({ type, ...scheme }: SecuritySchemeDeclaration): JsonObject {
  switch (type) {
    case 'apiKey': {
      const { in: location, ...rest } = scheme as Extract<SecuritySchemeDeclaration, { type: 'apiKey' }>;
      return { apiKeySecurityScheme: { ...rest, location } };
    }
    case 'http':
      return { httpAuthSecurityScheme: scheme };
    case 'oauth2': {
      const { flow, ...rest } = scheme as { readonly flow: OAuthFlowDeclaration };
      const { type: flowType, ...fields } = flow;
      return { oauth2SecurityScheme: { ...rest, flows: { [flowType]: fields } } };
    }
    case 'openIdConnect':
      return { openIdConnectSecurityScheme: scheme };
    case 'mutualTLS':
      return { mtlsSecurityScheme: scheme };
  }
}

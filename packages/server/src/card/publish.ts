import { isDeepStrictEqual } from 'node:util';

import { AgentCard, SecurityRequirement, SecurityScheme } from '@a2a-js/sdk';
import { LegacyRestTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import { VersionNotSupportedError } from '@a2a-js/sdk/errors';
import { ServerCallContext, type A2ARequestHandler } from '@a2a-js/sdk/server';

import { configurationError } from '../errors.js';
import type { SecurityRequirementDeclaration, SecuritySchemeDeclaration } from './declaration.js';
import { toLegacySecurityScheme, toSecurityRequirement, toSecurityScheme } from './render.js';

/** What an agent publishes about its security. */
export interface PublishedSecurity {
  /** By scheme id, in the order of registration. */
  readonly schemes: ReadonlyMap<string, SecuritySchemeDeclaration>;
  readonly requirements: readonly SecurityRequirementDeclaration[];
}

/**
 * Writes schemes and requirements into a card. A card that already says the same is returned as it is.
 *
 * @throws {ConfigurationError} `CARD_CONFLICT` when the card declares other schemes or requirements by hand: what is
 *   published and what is enforced must be one. `CARD_SIGNED` when the card is signed already: the signature would
 *   not hold any more.
 */
export function publishSecurity(card: AgentCard, security: PublishedSecurity): AgentCard {
  const published: Pick<AgentCard, 'securitySchemes' | 'securityRequirements'> = {
    securitySchemes: Object.fromEntries(
      [...security.schemes].map(([id, scheme]) => [id, toSecurityScheme(scheme)]),
    ),
    securityRequirements: security.requirements.map(toSecurityRequirement),
  };
  if (saysTheSame(card, published)) return card;
  if (!isEmpty(card.securitySchemes) || (card.securityRequirements ?? []).length > 0) {
    throw configurationError(
      'CARD_CONFLICT',
      `The agent card of "${card.name}" declares securitySchemes or securityRequirements of its own, which nobody would ` +
        'enforce. Remove them from the card; AgentSecurity publishes what is registered on it.',
    );
  }
  if ((card.signatures ?? []).length > 0) {
    throw configurationError(
      'CARD_SIGNED',
      `The agent card of "${card.name}" was signed before its security was published, so the signature would not hold. ` +
        'Sign what AgentSecurity.publish(card) returns.',
    );
  }
  return { ...card, ...published };
}

function saysTheSame(
  card: AgentCard,
  published: Pick<AgentCard, 'securitySchemes' | 'securityRequirements'>,
): boolean {
  const json = (of: typeof published) => ({
    schemes: Object.fromEntries(
      Object.entries(of.securitySchemes ?? {}).map(([id, scheme]) => [id, SecurityScheme.toJSON(scheme)]),
    ),
    requirements: (of.securityRequirements ?? []).map((requirement) =>
      SecurityRequirement.toJSON(requirement),
    ),
  });
  return isDeepStrictEqual(json(card), json(published));
}

function isEmpty(record: object | undefined): boolean {
  return record === undefined || Object.keys(record).length === 0;
}

/** The protocol's JSON of a card, A2A 1.0. */
export function toCardJson(card: AgentCard): Record<string, unknown> {
  return AgentCard.toJSON(card) as Record<string, unknown>;
}

/**
 * The protocol's JSON of a card, A2A 0.3, with all schemes and flows: the SDK's translation, whose security part loses
 * the device code flow, with that part written anew.
 *
 * @returns undefined when the card offers no 0.3 interface
 */
export async function toLegacyCardJson(
  card: AgentCard,
  security: PublishedSecurity,
): Promise<Record<string, unknown> | undefined> {
  // The SDK exports its 0.3 card translation only as part of this handler.
  const translator = new LegacyRestTransportHandler({
    getAuthenticatedExtendedAgentCard: () => Promise.resolve(card),
  } as unknown as A2ARequestHandler);
  try {
    const translated = await translator.getAuthenticatedExtendedAgentCard(new ServerCallContext());
    return {
      ...translated,
      securitySchemes: Object.fromEntries(
        [...security.schemes].map(([id, scheme]) => [id, toLegacySecurityScheme(scheme)]),
      ),
      security: security.requirements.map((requirement) => ({ ...requirement })),
    };
  } catch (error) {
    if (error instanceof VersionNotSupportedError) return undefined;
    throw error;
  }
}

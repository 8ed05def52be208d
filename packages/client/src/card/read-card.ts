import type { SecurityRequirementDeclaration } from '@a2a-auth/server/card';

import { ClientError } from '../errors.js';
import { bounded, isObject, member, type JsonObject } from './json.js';
import { readInterfaces, type CardInterface } from './read-interfaces.js';
import { readScheme, type CardScheme } from './read-scheme.js';

/** What a card says of calling the agent, whatever version and spelling it is written in. */
export interface AgentCardSecurity {
  readonly interfaces: readonly CardInterface[];
  readonly schemes: ReadonlyMap<string, CardScheme>;
  /** The alternatives, in the order of the card. Empty: the agent wants no authentication. */
  readonly requirements: readonly SecurityRequirementDeclaration[];
}

/**
 * Reads the security part of an agent card: A2A 1.0, 0.3, mixtures of them, snake_case, or the SDK's object. What it
 * does not know it leaves out or marks; it follows no reference and fetches nothing.
 *
 * @param card JSON that was parsed, or the SDK's `AgentCard`
 * @throws {ClientError} `CARD_INVALID` when it is no card, its requirements cannot be read, or it is out of all bounds
 */
export function readCard(card: unknown): AgentCardSecurity {
  if (!isObject(card)) throw new ClientError('CARD_INVALID', 'The agent card is no JSON object.');
  return {
    interfaces: readInterfaces(card),
    schemes: readSchemes(card),
    requirements: readRequirements(card),
  };
}

function readSchemes(card: JsonObject): ReadonlyMap<string, CardScheme> {
  const names = ['securitySchemes', 'security_schemes'];
  const declared = names.map((name) => member(card, name)).find((value) => sizeOf(value) > 0);
  if (!isObject(declared)) return new Map();
  return new Map(
    bounded(Object.entries(declared), 100, 'security schemes').map(([id, scheme]) => [
      id,
      readScheme(scheme),
    ]),
  );
}

function readRequirements(card: JsonObject): readonly SecurityRequirementDeclaration[] {
  const names = ['securityRequirements', 'security_requirements', 'security'];
  const declared = names.map((name) => member(card, name)).find((value) => sizeOf(value) > 0);
  if (declared === undefined) return [];
  // Reading less than the card says would make a call with fewer credentials than the agent wants.
  if (!Array.isArray(declared)) throw unreadable('is no list');
  return bounded<unknown>(declared, 100, 'security requirements').map(readRequirement);
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : value === undefined ? 0 : 1;
}

/** `{ "schemes": { id: { "list": scopes } } }` of A2A 1.0, or `{ id: scopes }` of OpenAPI. */
function readRequirement(requirement: unknown): SecurityRequirementDeclaration {
  if (!isObject(requirement)) throw unreadable('has an entry that is no object');
  const names = Object.keys(requirement);
  const inner = requirement.schemes;
  const schemes = names.length === 1 && names[0] === 'schemes' && isObject(inner) ? inner : requirement;
  const entries = bounded(Object.entries(schemes), 20, 'schemes in one security requirement');
  return Object.fromEntries(entries.map(([id, scopes]) => [id, readScopes(scopes)]));
}

function readScopes(value: unknown): readonly string[] {
  const scopes = isObject(value) ? (member(value, 'list') ?? []) : (value ?? []);
  if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string'))
    throw unreadable('has scopes that are no list of texts');
  return bounded(scopes, 100, 'scopes for one scheme of a security requirement');
}

function unreadable(how: string): ClientError {
  return new ClientError('CARD_INVALID', `The security requirement of the agent card ${how}.`);
}

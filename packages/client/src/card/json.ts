import { ClientError } from '../errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The first of these members that is there. What an object inherits is no member. */
export function member(object: JsonObject, ...names: readonly string[]): unknown {
  for (const name of names) {
    if (!Object.hasOwn(object, name)) continue;
    const value = object[name];
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** The first of these members, where it is a text of bearable length. */
export function text(object: JsonObject, ...names: readonly string[]): string | undefined {
  const value = member(object, ...names);
  return typeof value === 'string' && value.length <= 4096 ? value : undefined;
}

/** @throws {ClientError} `CARD_INVALID` when there are more */
export function bounded<T>(items: readonly T[], most: number, what: string): readonly T[] {
  if (items.length > most) {
    throw new ClientError(
      'CARD_INVALID',
      `The agent card has ${items.length} ${what}; at most ${most} are read.`,
    );
  }
  return items;
}

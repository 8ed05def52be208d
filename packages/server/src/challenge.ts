/** One challenge of a WWW-Authenticate field (RFC 9110 §11.6.1). */
export interface Challenge {
  /** The auth-scheme, such as `Bearer`. */
  readonly scheme: string;
  /** Auth-params in the order to be written; undefined values are left out. */
  readonly params?: Readonly<Record<string, string | undefined>> | undefined;
}

/**
 * Renders a challenge. Every value is a quoted-string (RFC 9110 §5.6.4); characters that no field value may hold are
 * dropped, so that a value taken from a configuration or a card can never start a header of its own.
 */
export function renderChallenge(challenge: Challenge): string {
  const params = Object.entries(challenge.params ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${quotable(value)}"`],
  );
  return params.length === 0 ? challenge.scheme : `${challenge.scheme} ${params.join(', ')}`;
}

function quotable(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&');
}

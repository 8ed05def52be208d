/** One challenge of a WWW-Authenticate field (RFC 9110 §11.6.1). */
export interface Challenge {
  /** The auth-scheme, such as `Bearer`. */
  readonly scheme: string;
  /** Auth-params in the order to be written; undefined values are left out. */
  readonly params?: Readonly<Record<string, string | undefined>> | undefined;
  /** Further response fields that go with it, such as a fresh DPoP-Nonce (RFC 9449 §8). */
  readonly headers?: Readonly<Record<string, string>> | undefined;
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

/**
 * Whether a scheme's answer can be rendered: tokens for names (RFC 9110 §5.6.2), strings for parameters, and field
 * values that start no header of their own.
 */
export function isChallenge(value: unknown): value is Challenge {
  if (typeof value !== 'object' || value === null) return false;
  const { scheme, params = {}, headers = {} } = value as Record<string, unknown>;
  return (
    isToken(scheme) &&
    isRecord(params, (param) => param === undefined || typeof param === 'string') &&
    isRecord(headers, (field) => typeof field === 'string' && /^[\x20-\x7e]*$/.test(field))
  );
}

function isRecord(value: unknown, isValue: (value: unknown) => boolean): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.entries(value).every(([name, field]) => isToken(name) && isValue(field))
  );
}

function isToken(value: unknown): boolean {
  return typeof value === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value);
}

function quotable(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&');
}

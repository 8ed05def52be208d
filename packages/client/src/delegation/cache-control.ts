/** How long a response may be used again (RFC 9111 §4.2). All in milliseconds. */
export interface Lifetime {
  /** Without asking anybody. */
  readonly fresh: number;
  /** After that, while it is asked whether it changed (RFC 5861 §3). */
  readonly staleWhileRevalidate: number;
}

/** Where the server says nothing (RFC 9111 §4.2.2). */
const UNSAID = 60_000;

/** However long the server says: an agent that moved, or was taken over and is well again, is found within a day. */
const MOST = 24 * 3_600_000;

/**
 * @returns undefined when the response must not be kept
 */
export function lifetimeOf(headers: Headers): Lifetime | undefined {
  const directives = directivesOf(headers.get('cache-control') ?? '');
  if (directives.has('no-store')) return undefined;
  const none = { fresh: 0, staleWhileRevalidate: 0 };
  if (directives.has('no-cache') || headers.get('vary')?.includes('*') === true) return none;
  const age = seconds(headers.get('age') ?? '0');
  const fresh = Math.min(Math.max(statedFreshness(headers, directives) - age, 0), MOST);
  if (directives.has('must-revalidate')) return { fresh, staleWhileRevalidate: 0 };
  return {
    fresh,
    staleWhileRevalidate: Math.min(seconds(directives.get('stale-while-revalidate') ?? '0'), MOST - fresh),
  };
}

function statedFreshness(headers: Headers, directives: ReadonlyMap<string, string>): number {
  const maxAge = directives.get('max-age');
  if (maxAge !== undefined) return seconds(maxAge);
  const expires = headers.get('expires');
  if (expires === null) return UNSAID;
  // RFC 9111 §5.3: what is no date, such as 0, lies in the past.
  const now = Date.parse(headers.get('date') ?? '') || Date.now();
  return (Date.parse(expires) || 0) - now;
}

function directivesOf(field: string): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  for (const [, name = '', quoted, plain] of field.matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]*)))?/g)) {
    const known = name.toLowerCase();
    if (!directives.has(known)) directives.set(known, quoted ?? plain ?? '');
  }
  return directives;
}

/** RFC 9111 §1.2.2; what is no number of seconds is none at all. */
function seconds(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) * 1000 : 0;
}

import { fetchJson } from '../fetch-json.js';
import type { Send } from '../guarded-fetch.js';

const WELL_KNOWN = '/.well-known/agent-card.json';

/** Where the card of an agent is: at the well-known path of an origin; any other URL is that of the card itself. */
export function cardUrl(url: URL): URL {
  return url.pathname === '/' && url.search === '' ? new URL(WELL_KNOWN, url) : url;
}

/**
 * Fetches a card. It is asked for in A2A 1.0, and once more in 0.3 from agents that do not take the question.
 *
 * @returns the JSON, parsed
 * @throws {ClientError} `CARD_UNAVAILABLE`, `CARD_INVALID`; or the reason of `signal`
 */
export function fetchCard(url: URL, send: Send, signal?: AbortSignal): Promise<unknown> {
  return fetchJson(url, send, {
    what: 'The agent card',
    codes: { unavailable: 'CARD_UNAVAILABLE', invalid: 'CARD_INVALID' },
    headers: { 'a2a-version': '1.0' },
    otherHeaders: { 'a2a-version': '0.3' },
    mend: mendOf(url),
    signal,
  });
}

/** The usual mistakes are the URL of an endpoint, or of an agent below a path. */
function mendOf({ origin, pathname }: URL): string | undefined {
  if (pathname.endsWith(WELL_KNOWN)) return undefined;
  const below =
    pathname === '/' || pathname.endsWith('.json')
      ? ''
      : `, or ${origin}${pathname.replace(/\/$/, '')}${WELL_KNOWN}`;
  return `A URL with a path has to be that of the card itself, which is usually ${origin}${WELL_KNOWN}${below}.`;
}

import { LRUCache } from 'lru-cache';

import { fetchCard } from '../card/fetch-card.js';
import { isObject, type JsonObject } from '../card/json.js';
import { ClientError } from '../errors.js';
import type { Send } from '../guarded-fetch.js';
import { sharedWork } from '../oauth/shared-work.js';
import { lifetimeOf } from './cache-control.js';

/** Where a card is, and how it is had. */
interface CardPlace {
  /** The same for cards that are had in the same way from the same place. */
  readonly key: string;
  readonly url: URL;
  readonly send: Send;
}

export type CardCache = (place: CardPlace, signal?: AbortSignal) => Promise<JsonObject>;

interface Entry {
  readonly card: JsonObject;
  /** The card as JSON. */
  readonly text: string;
  readonly etag: string | undefined;
  readonly cacheControl: string | null;
  /** Milliseconds since the epoch. */
  readonly freshUntil: number;
  readonly staleUntil: number;
  /** When it may be asked for again in the background. */
  nextTry: number;
}

/** Characters of all cards together. */
const MAX_SIZE = 64 * 1024 * 1024;

/** Milliseconds between two questions in the background to a server that does not answer. */
const PAUSE = 5_000;

/**
 * A private cache (RFC 9111) of agent cards. Cards are frozen, since those who ask share them. One that must not be kept
 * is shared by those who ask for it at the same time.
 *
 * The returned function throws the errors of `fetchCard`; while a stale card may be used, nobody sees them.
 *
 * @param most how many cards are kept
 */
export function cardCache(most: number): CardCache {
  const entries = new LRUCache<string, Entry>({
    max: most,
    maxSize: MAX_SIZE,
    sizeCalculation: ({ text }) => text.length,
  });
  const share = sharedWork<JsonObject>();

  const load = async ({ key, url, send }: CardPlace, signal: AbortSignal): Promise<JsonObject> => {
    const before = entries.get(key);
    let headers = new Headers();
    let isUnchanged = false;
    const conditional: Send = async (to, init) => {
      const { etag } = before ?? {};
      const response = await send(
        to,
        etag === undefined
          ? init
          : { ...init, headers: { ...(init.headers as Record<string, string>), 'if-none-match': etag } },
      );
      headers = new Headers([...response.headers]);
      isUnchanged = response.status === 304 && before !== undefined && etag !== undefined;
      if (!isUnchanged) return response;
      await response.body?.cancel();
      return new Response(before?.text);
    };
    const card = await fetchCard(url, conditional, signal);
    if (!isObject(card)) throw new ClientError('CARD_INVALID', 'The agent card is no JSON object.');
    const kept = isUnchanged ? before : undefined;
    // RFC 9111 §3.2: what a 304 does not say anew stays as it was.
    if (kept?.cacheControl != null && !headers.has('cache-control')) {
      headers.set('cache-control', kept.cacheControl);
    }
    const lifetime = lifetimeOf(headers);
    if (lifetime === undefined) {
      entries.delete(key);
      return freeze(card);
    }
    const freshUntil = Date.now() + lifetime.fresh;
    const entry: Entry = {
      card: kept?.card ?? freeze(card),
      text: kept?.text ?? JSON.stringify(card),
      etag: headers.get('etag') ?? kept?.etag,
      cacheControl: headers.get('cache-control'),
      freshUntil,
      staleUntil: freshUntil + lifetime.staleWhileRevalidate,
      nextTry: 0,
    };
    entries.set(key, entry);
    return entry.card;
  };

  return async (place, signal) => {
    signal?.throwIfAborted();
    const entry = entries.get(place.key);
    const now = Date.now();
    const ask = (waiting: AbortSignal | undefined) => share(place.key, waiting, (stop) => load(place, stop));
    if (entry === undefined || now >= entry.staleUntil) return ask(signal);
    if (now >= entry.freshUntil && now >= entry.nextTry) {
      entry.nextTry = now + PAUSE;
      // Whoever needs the answer asks again, once the stale card must not be used any more.
      ask(undefined).catch(() => undefined);
    }
    return entry.card;
  };
}

/** Cards are of limited depth. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}

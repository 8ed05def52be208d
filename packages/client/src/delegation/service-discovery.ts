import { LRUCache } from 'lru-cache';
import { Agent, fetch as undiciFetch } from 'undici';

import { cardUrl } from '../card/fetch-card.js';
import type { JsonObject } from '../card/json.js';
import { ClientError } from '../errors.js';
import { guardedFetch, type Send } from '../guarded-fetch.js';
import { checkOptions } from '../options.js';
import { checkPolicy } from '../policy.js';
import { mutualTlsFetch } from '../tls/mutual-tls-fetch.js';
import type { TlsFiles } from '../tls/tls-files.js';
import { aliasFinder, type AliasOptions, type FoundAlias } from './aliases.js';
import { cardCache } from './card-cache.js';

export interface ServiceDiscoveryOptions extends AliasOptions {
  /** This agent's client certificate, shown to the servers of aliases that have a `ca`, and to no others. */
  readonly tls?: Omit<TlsFiles, 'ca'>;
  /** Origins, besides those of aliases, that may be on the loopback or a private network. Default: none. */
  readonly origins?: readonly string[];
  /** How many cards are kept. Default 200. */
  readonly maxCards?: number;
}

/** An agent that was found. */
export interface DiscoveredService {
  /** The agent's URL, for `connect`. */
  readonly url: string;
  /** Its card, as it was served. Frozen, since others get the same. */
  readonly card: JsonObject;
  /** How it is reached: with the `ca` of its alias. Follows no redirect. */
  readonly fetch: typeof fetch;
}

/** Where an agent is, and how it is reached; its card is another matter. */
interface Place {
  readonly url: string;
  readonly fetch: typeof fetch;
  /** For the handshake with the server of an alias. */
  readonly tls: TlsFiles | undefined;
  readonly card: (signal?: AbortSignal) => Promise<JsonObject>;
}

export const place = Symbol('place');

/** Ways to agents that are kept open; more only where very many agents are called. */
const MAX_WAYS = 100;

/**
 * Finds other agents, by URL or by a name that you gave them, and keeps their cards as HTTP has it: `max-age`, ETag,
 * `stale-while-revalidate`, `no-store`. A card of which the server says nothing is kept for a minute, none longer than
 * a day. However many ask at the same time, it is fetched once.
 *
 * An alias may lead anywhere, as you chose it. A URL leads to public addresses alone, unless `origins` has it: it may have
 * come from anybody.
 */
export class ServiceDiscovery {
  readonly #options: ServiceDiscoveryOptions;
  readonly #findAlias: (name: string) => Promise<FoundAlias>;
  readonly #cards: ReturnType<typeof cardCache>;
  readonly #ways = new LRUCache<string, Send>({ max: MAX_WAYS });

  /** @throws {ClientError} `INVALID_OPTION` */
  constructor(options: ServiceDiscoveryOptions = {}) {
    checkOptions('ServiceDiscovery', options, {
      aliases: true,
      aliasFolder: true,
      tls: true,
      origins: true,
      maxCards: true,
    });
    const { maxCards = 200, origins = [], tls } = options;
    if (!Number.isInteger(maxCards) || maxCards < 1) throw invalid('maxCards must be a positive integer.');
    if (tls !== undefined) checkOptions('ServiceDiscovery, tls', tls, { certificate: true, key: true });
    if (
      tls !== undefined &&
      [tls.certificate, tls.key].some((path) => typeof path !== 'string' || path === '')
    ) {
      throw invalid('tls must be { certificate, key }, the paths of two PEM files.');
    }
    checkPolicy('https://any.example', { origins });
    this.#options = { ...options, origins };
    this.#findAlias = aliasFinder(options);
    this.#cards = cardCache(maxCards);
  }

  /**
   * Finds an agent and its card.
   *
   * @param service an alias; or the agent's origin, whose card is at the well-known path; or the card's own URL
   * @throws {ClientError} `CARD_UNAVAILABLE`, `CARD_INVALID`, `ADDRESS_REFUSED`; `INVALID_OPTION` when there is no such alias
   */
  async resolve(
    service: string | URL,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<DiscoveredService> {
    const { url, fetch, card } = await this[place](service, []);
    return { url, fetch, card: await card(options.signal) };
  }

  /**
   * @param own further origins that may be anywhere
   * @internal
   */
  async [place](service: string | URL, own: readonly URL[]): Promise<Place> {
    const isAlias = typeof service === 'string' && !service.includes('://');
    const alias = isAlias ? await this.#findAlias(service) : undefined;
    const url = alias?.url ?? (typeof service === 'string' ? service : service.href);
    const [agent, ...free] = checkPolicy(url, { origins: this.#options.origins }).own as [URL, ...URL[]];
    const open = [...(alias === undefined ? [] : [agent]), ...free, ...own];
    const { tls } = this.#options;
    const files = alias?.ca === undefined || tls === undefined ? undefined : { ...tls, ca: alias.ca.path };
    const key = JSON.stringify([open.map(({ origin }) => origin), alias?.ca ?? null, agent.origin]);
    let send = this.#ways.get(key);
    if (send === undefined) {
      send = wayTo(agent.origin, open, alias?.ca, files);
      this.#ways.set(key, send);
    }
    const way = send;
    return {
      url,
      tls: files,
      fetch: async (input, init) => fetchBy(way, input, init),
      card: (signal) => this.#cards({ key: `${key} ${url}`, url: cardUrl(agent), send: way }, signal),
    };
  }
}

function wayTo(
  origin: string,
  open: readonly URL[],
  ca: FoundAlias['ca'],
  files: TlsFiles | undefined,
): Send {
  const guarded = guardedFetch(open);
  if (ca === undefined) return guarded;
  const own = files === undefined ? trusting(ca.pem) : mutualTlsFetch(files);
  return (url, init) => (url.origin === origin ? own(url, init) : guarded(url, init));
}

/** A fetch that takes servers with certificates of this authority alone. */
function trusting(ca: string): (url: URL, init: RequestInit) => Promise<Response> {
  const dispatcher = new Agent({ connect: { ca } });
  return async (url, init) => {
    const response = await undiciFetch(url, { ...(init as object), dispatcher });
    return response;
  };
}

/** undici's fetch takes no Request of Node's. */
async function fetchBy(
  send: Send,
  input: Parameters<typeof fetch>[0],
  init: RequestInit = {},
): Promise<Response> {
  const isRequest = input instanceof Request;
  const own: RequestInit = isRequest
    ? {
        method: input.method,
        headers: input.headers,
        signal: input.signal,
        ...(input.body === null ? {} : { body: await input.arrayBuffer() }),
      }
    : {};
  return send(new URL(isRequest ? input.url : input), { ...own, ...init, redirect: 'manual' });
}

function invalid(message: string): ClientError {
  return new ClientError('INVALID_OPTION', `ServiceDiscovery(): ${message}`);
}

import { Resolver } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';

import { isSecure } from '../secure-url.js';
import { isLoopbackAddress, isSpecialAddress } from '../addresses/special-addresses.js';

/** A webhook that must not be called. The message holds neither its credentials nor its path. */
export class WebhookRefused extends Error {
  override readonly name = 'WebhookRefused';
  readonly code = 'WEBHOOK_REFUSED';
}

/** Finds the addresses of a host. */
export type HostResolver = (hostname: string) => Promise<readonly string[]>;

/** Where a webhook may be. */
export interface AddressRules {
  readonly origins: ReadonlySet<string> | undefined;
  readonly allowLoopback: boolean;
  readonly resolve: HostResolver;
}

/** A place that was checked as far as can be without the network. */
export interface WebhookAddress {
  readonly url: URL;
  /**
   * Finds the addresses to connect to, and none that must not be called. Undefined for an origin that the operator named,
   * which may be anywhere.
   */
  readonly resolve: HostResolver | undefined;
}

/** No real webhook is longer; each notification keeps it. */
const MAX_URL_LENGTH = 2048;

/**
 * @throws {WebhookRefused}
 */
export function webhookAddress(value: unknown, rules: AddressRules): WebhookAddress {
  if (typeof value !== 'string' || value.length > MAX_URL_LENGTH || !URL.canParse(value)) {
    throw new WebhookRefused(`The url of the webhook must be a URL of at most ${MAX_URL_LENGTH} characters.`);
  }
  const url = new URL(value);
  if (url.username !== '' || url.password !== '') {
    throw new WebhookRefused('The url of the webhook must hold no user name and no password.');
  }
  if (rules.origins !== undefined) {
    if (rules.origins.has(url.origin)) return { url, resolve: undefined };
    throw new WebhookRefused(`This agent calls no webhooks at ${url.origin}.`);
  }
  if (!isSecure(url)) throw new WebhookRefused('The url of the webhook must be https.');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (rules.allowLoopback && (host === 'localhost' || isLoopbackAddress(host))) {
    return { url, resolve: async () => (host === 'localhost' ? ['127.0.0.1', '::1'] : [host]) };
  }
  // Plain http, which is for the loopback alone, never gets further than here.
  if (url.protocol !== 'https:' || (isIP(host) !== 0 && isSpecialAddress(host))) throw notPublic(url);
  return { url, resolve: isIP(host) === 0 ? publicOnly(rules.resolve, url) : async () => [host] };
}

function publicOnly(resolve: HostResolver, url: URL): HostResolver {
  return async (hostname) => {
    const addresses = await resolve(hostname);
    // One special address among public ones is no mistake of an honest operator.
    if (addresses.length === 0 || addresses.some(isSpecialAddress)) throw notPublic(url);
    return addresses;
  };
}

/** It says no more, so that nobody can learn from it which names an internal DNS server knows. */
export function notPublic(url: URL): WebhookRefused {
  return new WebhookRefused(`The webhook's host, ${url.host}, has no address on the public network.`);
}

/**
 * Asks the DNS itself, not the operating system: what that does blocks a thread that the file system needs as well, and it
 * is callers who choose the name.
 */
export const resolveByDns: HostResolver = async (hostname) => {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const [first] = answers;
  if (addresses.length === 0 && first.status === 'rejected') throw first.reason;
  return addresses;
};

/** The addresses that a connection is made to are the ones that were checked: nothing is resolved anew in between. */
export function lookupBy(resolve: HostResolver): LookupFunction {
  return (hostname, { all, family }, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const wanted = family === 6 || family === 'IPv6' ? 6 : family === 4 || family === 'IPv4' ? 4 : 0;
        const found = addresses
          .map((address) => ({ address, family: isIP(address) }))
          .filter((entry) => entry.family !== 0 && (wanted === 0 || entry.family === wanted));
        const [first] = found;
        if (first === undefined) callback(new Error('The host has no usable address.'), []);
        else if (all === true) callback(null, found);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(String(error)), []);
      },
    );
  };
}

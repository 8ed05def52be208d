import { lookup as resolve, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';

import { isLoopbackAddress, isSpecialAddress } from '@a2a-auth/server/addresses';
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';

import { sameIdentity } from './apply-credentials.js';
import type { TlsIdentity } from './credential-source.js';
import { ClientError } from './errors.js';
import { isLoopback } from './secure-url.js';

/** A fetch that can present a client certificate. */
export type Send = (url: URL, init: RequestInit, identity?: TlsIdentity) => Promise<Response>;

/**
 * A fetch for addresses of which some were chosen by a card. Whatever the user did not name may lead to public addresses
 * only: the one that is connected to is checked, so that no name can be resolved anew in between.
 *
 * @param own the origins the user named; they may be anywhere. When all of them are on the loopback, others may be too.
 */
export function guardedFetch(own: readonly URL[]): Send {
  // Not their hosts: with another scheme or port, the name could lead to what no certificate vouches for.
  const origins = new Set(own.map(({ origin }) => origin));
  const loopback = own.length > 0 && own.every(({ hostname }) => isLoopback(hostname));
  const isAllowed = (address: string) =>
    !isSpecialAddress(address) || (loopback && isLoopbackAddress(address));
  const agentFor = agents((identity) => {
    const tls =
      identity === undefined ? {} : { cert: identity.certificate, key: identity.key, ca: identity.ca };
    const free = buildConnector(tls);
    const guarded = buildConnector({ ...tls, lookup: guardedLookup(isAllowed) });
    return new Agent({
      connect(options, callback) {
        const host = bare(options.hostname);
        // An address in the place of a name is never looked up.
        if (origins.has(`${options.protocol}//${options.host ?? ''}`)) free(options, callback);
        else if (isIP(host) !== 0 && !isAllowed(host)) callback(refusedAddress(options.hostname), null);
        else guarded(options, callback);
      },
    });
  });
  return async (url, init, identity) => {
    try {
      const response = await undiciFetch(url, {
        ...(init as object),
        dispatcher: agentFor(identity),
      });
      return response;
    } catch (error) {
      const cause: unknown = error instanceof Error ? error.cause : undefined;
      throw cause instanceof ClientError ? cause : error;
    }
  };
}

/** An IPv6 address without the brackets that it has in a URL. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function guardedLookup(isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses: readonly LookupAddress[] | undefined) => {
      const [first] = addresses ?? [];
      if (error !== null) callback(error, []);
      else if (first === undefined || addresses?.every(({ address }) => isAllowed(address)) !== true)
        callback(refusedAddress(hostname), []);
      else if (options.all === true) callback(null, [...(addresses ?? [])]);
      else callback(null, first.address, first.family);
    });
  };
}

function refusedAddress(hostname: string): ClientError {
  return new ClientError(
    'ADDRESS_REFUSED',
    `${JSON.stringify(hostname)}, which the agent card named, is not on the public network. Name its origin in ` +
      'policy.origins if it is yours.',
  );
}

/** One agent for calls without, and one for the certificate in use: certificates are replaced now and then. */
function agents(create: (identity: TlsIdentity | undefined) => Agent) {
  const plain = create(undefined);
  let current: { identity: TlsIdentity; agent: Agent } | undefined;
  return (identity: TlsIdentity | undefined): Agent => {
    if (identity === undefined) return plain;
    if (current === undefined || !sameIdentity(current.identity, identity)) {
      // Its calls in flight go on to their end.
      void current?.agent.close();
      current = { identity, agent: create(identity) };
    }
    return current.agent;
  };
}

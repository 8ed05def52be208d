import type { SecuritySchemeDeclaration } from '@a2a-auth/server/card';
import type { ServerMetadata } from 'openid-client';

import { ClientError } from '../errors.js';
import { quote } from '../quote.js';
import { isSecureUrl } from './outbound.js';
import { discoverIssuer } from './discovery.js';

/**
 * Which authorization servers a card may name: their exact issuers, or a function that is asked about an issuer or,
 * where the card names none, about each endpoint.
 */
export type Trust = readonly string[] | ((url: string) => boolean);

export interface ServerOptions {
  /** The authorization server, exactly as its metadata has it. */
  readonly issuer?: string;
  /** In place of `issuer`, for a server without metadata. */
  readonly tokenEndpoint?: string;
  /**
   * Which servers may be used that a card names. Default: none; then the source has to have `issuer` or `tokenEndpoint`.
   * Beside `issuer`: under which other names cards may speak of it.
   */
  readonly trust?: Trust;
}

/** An authorization server that may be used. */
export interface TrustedServer {
  /** The same for the same server. */
  readonly id: string;
  /** How it is called in messages. */
  readonly name: string;
  /** Whether `issuer` in the metadata is real; otherwise there is no metadata but the endpoints. */
  readonly isIssuerKnown: boolean;
  load(): Promise<ServerMetadata>;
}

/** Which server gives the tokens for a scheme. Throws `ISSUER_NOT_TRUSTED` when policy allows none. */
export type ServerChoice = (scheme: SecuritySchemeDeclaration) => TrustedServer;

/**
 * The server that the user configured, whatever the card says; without one, that of the card, if it is trusted.
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export function chooseServer(
  source: string,
  options: ServerOptions,
  fetchBounded: typeof fetch,
): ServerChoice {
  const { issuer, tokenEndpoint, trust } = options;
  for (const [name, url] of Object.entries({ issuer, tokenEndpoint })) {
    if (url !== undefined && !isSecureUrl(url)) {
      throw new ClientError(
        'INVALID_OPTION',
        `${source}(): ${name} must be an https URL, as text; plain http is for loopback addresses alone.`,
      );
    }
  }
  if (
    trust !== undefined &&
    typeof trust !== 'function' &&
    !(Array.isArray(trust) && trust.every(isSecureUrl))
  ) {
    throw new ClientError(
      'INVALID_OPTION',
      `${source}(): trust must be a list of issuers, which are https URLs, or a function.`,
    );
  }
  const issuers = new Map<string, TrustedServer>();
  const byIssuer = (name: string): TrustedServer => {
    let server = issuers.get(name);
    if (server === undefined) {
      server = serverOfIssuer(name, fetchBounded);
      issuers.set(name, server);
    }
    return server;
  };
  if (issuer !== undefined) {
    const configured = byIssuer(issuer);
    if (tokenEndpoint === undefined) return () => configured;
    const server: TrustedServer = {
      ...configured,
      load: async () => ({ ...(await configured.load()), token_endpoint: tokenEndpoint }),
    };
    return () => server;
  }
  if (tokenEndpoint !== undefined) {
    const server = serverOfEndpoints({ token_endpoint: tokenEndpoint });
    return () => server;
  }
  if (trust === undefined) {
    throw new ClientError(
      'INVALID_OPTION',
      `${source}() needs an issuer or a tokenEndpoint, or trust, which says whose of a card may be used.`,
    );
  }
  const chosen = new WeakMap<SecuritySchemeDeclaration, TrustedServer>();
  return (scheme) => {
    let server = chosen.get(scheme);
    if (server === undefined) {
      server = serverOfCard(scheme, trust, byIssuer);
      chosen.set(scheme, server);
    }
    return server;
  };
}

/** The issuers that a scheme's metadata address can stand for, without asking anybody. Empty when it names none. */
export function issuersNamedBy(scheme: SecuritySchemeDeclaration): readonly string[] {
  const url =
    scheme.type === 'openIdConnect'
      ? scheme.openIdConnectUrl
      : scheme.type === 'oauth2'
        ? scheme.oauth2MetadataUrl
        : undefined;
  if (url === undefined || !URL.canParse(url)) return [];
  const { origin, pathname } = new URL(url);
  // OpenID Connect Discovery 1.0 §4 appends to the issuer's path; RFC 8414 §3 inserts before it.
  const appended = /^(.*)\/\.well-known\/openid-configuration$/.exec(pathname)?.[1];
  const inserted = /^\/\.well-known\/(?:oauth-authorization-server|openid-configuration)(\/.*)?$/.exec(
    pathname,
  );
  const path = appended ?? (inserted === null ? undefined : (inserted[1] ?? ''));
  if (path === undefined) return [];
  // Whether the issuer ends with a slash cannot be seen.
  const issuer = `${origin}${path}`.replace(/\/$/, '');
  return [issuer, `${issuer}/`];
}

/** Whether this trust covers an issuer or endpoint. A function that does not say exactly yes says no. */
export function isTrusted(trust: Trust, url: string): boolean {
  const trusted: unknown = typeof trust === 'function' ? trust(url) : trust.includes(url);
  return trusted === true;
}

function serverOfCard(
  scheme: SecuritySchemeDeclaration,
  trust: Trust,
  byIssuer: (issuer: string) => TrustedServer,
): TrustedServer {
  const named = issuersNamedBy(scheme);
  const trusted = named.find((issuer) => isSecureUrl(issuer) && isTrusted(trust, issuer));
  if (trusted !== undefined) return byIssuer(trusted);
  if (named.length > 0) throw notTrusted(`the issuer ${quote(named[0] ?? '')}`);
  if (scheme.type !== 'oauth2') throw notTrusted('no issuer');
  if (typeof trust !== 'function') return serverWithTokenEndpoint(scheme.flow.tokenUrl, trust.map(byIssuer));
  const endpoints = endpointsOf(scheme);
  const untrusted = Object.values(endpoints).find((url) => !isEndpoint(url) || !isTrusted(trust, url));
  if (untrusted !== undefined) throw notTrusted(`the endpoint ${quote(untrusted)}`);
  return serverOfEndpoints(endpoints);
}

function notTrusted(what: string): ClientError {
  return new ClientError(
    'ISSUER_NOT_TRUSTED',
    `The card names ${what}, which is not trusted. Give the source an issuer, or name the issuer in trust.`,
  );
}

type Endpoints = Pick<ServerMetadata, 'authorization_endpoint' | 'device_authorization_endpoint'> & {
  readonly token_endpoint: string;
};

/** As they will be called: whoever judges an address by its text must not be shown another one (`https://evil\.good/`). */
function endpointsOf({ flow }: Extract<SecuritySchemeDeclaration, { type: 'oauth2' }>): Endpoints {
  const parsed = (url: string) => (URL.canParse(url) ? new URL(url).href : url);
  return {
    token_endpoint: parsed(flow.tokenUrl),
    ...(flow.type === 'authorizationCode' ? { authorization_endpoint: parsed(flow.authorizationUrl) } : {}),
    ...(flow.type === 'deviceCode'
      ? { device_authorization_endpoint: parsed(flow.deviceAuthorizationUrl) }
      : {}),
  };
}

/** A user name could pose as the host. */
function isEndpoint(url: string): boolean {
  return isSecureUrl(url) && new URL(url).username === '' && new URL(url).password === '';
}

/** A server of which nothing is known but these endpoints. */
export function serverOfEndpoints(endpoints: Endpoints): TrustedServer {
  const { token_endpoint: id } = endpoints;
  return {
    id,
    name: `The authorization server at ${new URL(id).origin}`,
    isIssuerKnown: false,
    load: () => Promise.resolve({ issuer: id, ...endpoints }),
  };
}

function serverOfIssuer(issuer: string, fetchBounded: typeof fetch): TrustedServer {
  return {
    id: issuer,
    name: `The authorization server ${issuer}`,
    isIssuerKnown: true,
    load: remembered(() => discoverIssuer(issuer, fetchBounded)),
  };
}

/** Cards without the address of the metadata, such as all of 0.3, name a token endpoint: whose it is, the issuers say. */
function serverWithTokenEndpoint(tokenEndpoint: string, servers: readonly TrustedServer[]): TrustedServer {
  const load = async () => {
    const found = await Promise.allSettled(servers.map((server) => server.load()));
    for (const result of found) {
      if (result.status === 'fulfilled' && result.value.token_endpoint === tokenEndpoint) return result.value;
    }
    for (const result of found) if (result.status === 'rejected') throw result.reason;
    throw notTrusted(`the token endpoint ${quote(tokenEndpoint)}`);
  };
  return {
    id: tokenEndpoint,
    name: `The authorization server of ${quote(tokenEndpoint)}`,
    isIssuerKnown: true,
    load,
  };
}

/** Metadata changes rarely; while it cannot be had anew the old is used on. */
const MAX_AGE = 3_600_000;

function remembered<T>(load: () => Promise<T>): () => Promise<T> {
  let value: T | undefined;
  let loadedAt = -Infinity;
  let pending: Promise<T> | undefined;
  const loadAnew = async () => {
    try {
      value = await load();
      loadedAt = Date.now();
      return value;
    } catch (error) {
      if (value === undefined) throw error;
      return value;
    } finally {
      pending = undefined;
    }
  };
  return () => {
    if (value !== undefined && Date.now() - loadedAt < MAX_AGE) return Promise.resolve(value);
    return (pending ??= loadAnew());
  };
}

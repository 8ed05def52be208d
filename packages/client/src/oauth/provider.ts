import type { SecuritySchemeDeclaration } from '@a2a-auth/server/card';
import {
  allowInsecureRequests,
  Configuration,
  customFetch,
  type CustomFetch,
  type ServerMetadata,
} from 'openid-client';

import type { TlsIdentity } from '../credential-source.js';
import { ClientError, type ClientErrorCode } from '../errors.js';
import { notice } from '../notice.js';
import { quote } from '../quote.js';
import { mutualTlsFetchWith } from '../tls/mutual-tls-fetch.js';
import { tlsIdentity } from '../tls/tls-files.js';
import {
  checkClientAuthentication,
  toClientAuth,
  type ClientAuthenticationOptions,
} from './client-authentication.js';
import { boundedFetch, type OutboundOptions } from './outbound.js';
import { toClientError } from './token-error.js';
import {
  chooseServer,
  issuersNamedBy,
  isTrusted,
  type ServerChoice,
  type ServerOptions,
  type TrustedServer,
} from './trusted-server.js';

export interface ProviderOptions extends ServerOptions, ClientAuthenticationOptions, OutboundOptions {}

/** The authorization servers of a source, and the client as they know it. */
export interface Provider {
  readonly clientId: string;
  /** Why a scheme's tokens cannot come from here. */
  unfitFor(scheme: SecuritySchemeDeclaration): string | undefined;
  /**
   * @throws {ClientError} `ISSUER_NOT_TRUSTED`
   */
  serverFor(scheme: SecuritySchemeDeclaration): TrustedServer;
  /**
   * Speaks to a server.
   *
   * @param refused the code of the error when the server says no
   * @throws {ClientError}
   */
  call<T>(options: ProviderCall, use: (configuration: Configuration) => Promise<T>): Promise<T>;
  /** The client certificate, where there is one. */
  identity(): Promise<TlsIdentity | undefined>;
}

interface ProviderCall {
  readonly server: TrustedServer;
  readonly refused: ClientErrorCode;
  /** Whose token endpoint is compared with the server's. */
  readonly scheme?: SecuritySchemeDeclaration | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param source the name of the function that the options were given to
 * @param choose the server to use, for those who know it already
 * @throws {ClientError} `INVALID_OPTION`
 */
export function openProvider(source: string, options: ProviderOptions, choose?: ServerChoice): Provider {
  checkClientAuthentication(source, options);
  const { clientId, tls, issuer, trust = [] } = options;
  if (tls !== undefined && options.fetch !== undefined) {
    throw new ClientError('INVALID_OPTION', `${source}() takes tls or fetch, but not both.`);
  }
  const loadIdentity = tls === undefined ? undefined : tlsIdentity(source, tls);
  const fetchBounded = boundedFetch(
    loadIdentity === undefined ? options : { ...options, fetch: mutualTlsFetchWith(loadIdentity) },
  );
  const serverFor = choose ?? chooseServer(source, options, fetchBounded);

  const configurationFor = (server: TrustedServer, metadata: ServerMetadata, signal?: AbortSignal) => {
    const configuration = new Configuration(
      metadata,
      clientId,
      // RFC 8705 §5: where client certificates are presented, endpoints may have addresses of their own.
      { use_mtls_endpoint_aliases: tls !== undefined },
      toClientAuth(options, metadata, server.isIssuerKnown),
    );
    const call: typeof fetch = (input, init) =>
      fetchBounded(input, {
        ...init,
        ...(signal === undefined
          ? {}
          : { signal: init?.signal ? AbortSignal.any([signal, init.signal]) : signal }),
      });
    configuration[customFetch] = (server.isIssuerKnown ? call : withoutIdToken(call)) as CustomFetch;
    // The fetch has the timeout, and allows plain http for the loopback alone.
    configuration.timeout = undefined;
    allowInsecureRequests(configuration);
    return configuration;
  };

  return {
    clientId,
    serverFor,
    unfitFor(scheme) {
      const named = issuersNamedBy(scheme);
      if (issuer !== undefined && named.length > 0) {
        return named.includes(issuer) || named.some((other) => isTrusted(trust, other))
          ? undefined
          : `The card wants tokens of ${named[0] ?? ''}; those of this source are from ${issuer}.`;
      }
      if (scheme.type === 'http') {
        return options.issuer === undefined && options.tokenEndpoint === undefined
          ? 'Neither the card nor the source names an authorization server.'
          : undefined;
      }
      try {
        serverFor(scheme);
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : 'Its authorization server is not trusted.';
      }
    },
    async call({ server, refused, scheme, signal }, use) {
      try {
        const metadata = await server.load();
        if (scheme !== undefined) compareEndpoints(server, metadata, scheme);
        return await use(configurationFor(server, metadata, signal));
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        throw toClientError(error, server.name, refused);
      }
    },
    identity: async () => loadIdentity?.(),
  };
}

function compareEndpoints(
  { name }: TrustedServer,
  metadata: ServerMetadata,
  scheme: SecuritySchemeDeclaration,
): void {
  if (scheme.type !== 'oauth2' || scheme.flow.tokenUrl === metadata.token_endpoint) return;
  notice(
    'OTHER_TOKEN_ENDPOINT',
    `The card names the token endpoint ${quote(scheme.flow.tokenUrl)}. ${name} was used instead, at ${quote(metadata.token_endpoint ?? 'none')}.`,
  );
}

/** An ID token of an issuer that is not known proves nothing, and is not used. */
function withoutIdToken(fetchImpl: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await fetchImpl(input, init);
    if (!response.ok) return response;
    const { status, headers } = response;
    const text = await response.text();
    try {
      return new Response(
        JSON.stringify(JSON.parse(text, (name, value: unknown) => (name === 'id_token' ? undefined : value))),
        { status, headers },
      );
    } catch {
      return new Response(text, { status, headers });
    }
  };
}

import {
  allowInsecureRequests,
  customFetch,
  discovery,
  None,
  type ClientAuth,
  type Configuration,
  type CustomFetch,
  type ServerMetadata,
} from 'openid-client';

import { assertSecure, boundedFetch, OutboundError, type OutboundOptions } from './outbound.js';

export interface DiscoveryOptions extends OutboundOptions {
  readonly clientId?: string;
  readonly clientAuthentication?: ClientAuth;
  readonly clientMetadata?: Readonly<Record<string, string>>;
}

/**
 * Finds an issuer's metadata: OpenID Connect Discovery 1.0 first, then RFC 8414.
 *
 * @throws {OutboundError} when neither is there, or the metadata names another issuer
 */
export async function discoverIssuer(issuer: string, options: DiscoveryOptions = {}): Promise<Configuration> {
  if (!URL.canParse(issuer)) throw new OutboundError(`The issuer ${JSON.stringify(issuer)} is not a URL.`);
  const url = new URL(issuer);
  assertSecure(url);
  const failures: string[] = [];
  for (const algorithm of ['oidc', 'oauth2'] as const) {
    try {
      const configuration = await discovery(
        url,
        options.clientId ?? 'a2a-auth',
        options.clientMetadata,
        options.clientAuthentication ?? None(),
        {
          algorithm,
          timeout: (options.timeout ?? 5_000) / 1000,
          [customFetch]: boundedFetch(options) as CustomFetch,
          // Plain http is let through here, because the fetch allows it for the loopback alone.
          execute: [allowInsecureRequests],
        },
      );
      assertIssuer(issuer, configuration.serverMetadata());
      return configuration;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new OutboundError(`The metadata of the issuer ${issuer} cannot be had (${failures.join('; ')}).`);
}

/** RFC 8414 §3.3: identical, without the normalisation that URLs get elsewhere. */
function assertIssuer(issuer: string, metadata: ServerMetadata): void {
  if (metadata.issuer !== issuer) {
    throw new OutboundError(
      `the metadata names the issuer ${JSON.stringify(metadata.issuer)} instead of ${JSON.stringify(issuer)}`,
    );
  }
}

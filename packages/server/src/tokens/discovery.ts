import {
  allowInsecureRequests,
  customFetch,
  discovery,
  None,
  type CustomFetch,
  type ServerMetadata,
} from 'openid-client';

import { assertSecure, boundedFetch, OutboundError, reasonOf, type OutboundOptions } from './outbound.js';

/** What an issuer says about itself. */
export interface DiscoveredIssuer {
  readonly metadata: ServerMetadata;
  /** The address of the document that said so. */
  readonly foundAt: string;
}

/**
 * Finds an issuer's metadata: OpenID Connect Discovery 1.0 first, then RFC 8414.
 *
 * @throws {OutboundError} when neither is there, or the metadata names another issuer
 */
export async function discoverIssuer(
  issuer: string,
  options: OutboundOptions = {},
): Promise<DiscoveredIssuer> {
  if (!URL.canParse(issuer)) throw new OutboundError(`The issuer ${JSON.stringify(issuer)} is not a URL.`);
  const url = new URL(issuer);
  assertSecure(url);
  const failures = new Set<string>();
  for (const algorithm of ['oidc', 'oauth2'] as const) {
    try {
      let foundAt = issuer;
      const fetchBounded = boundedFetch(options);
      const configuration = await discovery(url, 'a2a-auth', undefined, None(), {
        algorithm,
        timeout: (options.timeout ?? 5_000) / 1000,
        [customFetch]: ((address, init) => {
          foundAt = address;
          return fetchBounded(address, init as RequestInit);
        }) satisfies CustomFetch,
        // Plain http is let through here, because the fetch allows it for the loopback alone.
        execute: [allowInsecureRequests],
      });
      const metadata = configuration.serverMetadata();
      assertIssuer(issuer, metadata);
      return { metadata, foundAt };
    } catch (error) {
      failures.add(isOtherIssuer(error) ? otherIssuer(issuer, error.cause.body.issuer) : reasonOf(error));
    }
  }
  throw new OutboundError(
    `The metadata of the issuer ${issuer} cannot be had (${[...failures].join('; ')}).`,
  );
}

/** RFC 8414 §3.3: identical, without the normalisation that URLs get elsewhere. */
function assertIssuer(issuer: string, metadata: ServerMetadata): void {
  if (metadata.issuer !== issuer) throw new OutboundError(otherIssuer(issuer, metadata.issuer));
}

/** openid-client compares as well, and keeps what it found in the cause. */
function isOtherIssuer(error: unknown): error is { cause: { body: { issuer: unknown } } } {
  const { cause } = error as { cause?: { attribute?: unknown } };
  return cause?.attribute === 'issuer' && 'body' in cause;
}

function otherIssuer(issuer: string, named: unknown): string {
  return `it names the issuer ${JSON.stringify(named)} instead of ${JSON.stringify(issuer)}; give the issuer exactly as it has it`;
}

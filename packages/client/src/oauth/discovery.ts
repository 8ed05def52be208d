import {
  allowInsecureRequests,
  customFetch,
  discovery,
  None,
  type CustomFetch,
  type ServerMetadata,
} from 'openid-client';

import { ClientError } from '../errors.js';
import { quote } from '../quote.js';
import { clientErrorIn } from './token-error.js';

/** Seconds. The fetch has a timeout of its own, which says who did not answer. */
const LONGER_THAN_THE_FETCH = 3_600;

/**
 * Finds an issuer's metadata: OpenID Connect Discovery 1.0 first, then RFC 8414.
 *
 * @throws {ClientError} `PROVIDER_UNAVAILABLE` when neither is there, `ISSUER_NOT_TRUSTED` when the metadata names
 *   another issuer
 */
export async function discoverIssuer(issuer: string, fetchBounded: typeof fetch): Promise<ServerMetadata> {
  let failure: ClientError | undefined;
  for (const algorithm of ['oidc', 'oauth2'] as const) {
    try {
      const configuration = await discovery(new URL(issuer), 'a2a-auth', undefined, None(), {
        algorithm,
        timeout: LONGER_THAN_THE_FETCH,
        [customFetch]: fetchBounded as CustomFetch,
        // Plain http is let through here, because the fetch allows it for the loopback alone.
        execute: [allowInsecureRequests],
      });
      const metadata = configuration.serverMetadata();
      // RFC 8414 §3.3: identical, without the normalisation that URLs get elsewhere.
      if (metadata.issuer !== issuer) throw otherIssuer(issuer, metadata.issuer);
      return metadata;
    } catch (error) {
      const named = issuerIn(error);
      const current = named === undefined ? clientErrorIn(error) : otherIssuer(issuer, named);
      // A document that names another issuer says more than one that is not there.
      if (failure?.code !== 'ISSUER_NOT_TRUSTED') failure = current ?? failure ?? noMetadata(issuer);
    }
  }
  throw failure ?? noMetadata(issuer);
}

/** openid-client compares as well, and keeps what it found in the cause. */
function issuerIn(error: unknown): unknown {
  const cause = (error as { cause?: { attribute?: unknown; body?: { issuer?: unknown } } }).cause;
  return cause?.attribute === 'issuer' ? cause.body?.issuer : undefined;
}

function otherIssuer(issuer: string, named: unknown): ClientError {
  return new ClientError(
    'ISSUER_NOT_TRUSTED',
    `The metadata of ${issuer} names the issuer ${quote(String(named))}. Give the issuer exactly as it names itself.`,
  );
}

function noMetadata(issuer: string): ClientError {
  return new ClientError(
    'PROVIDER_UNAVAILABLE',
    `The issuer ${issuer} publishes no metadata that can be read (OpenID Connect Discovery, RFC 8414).`,
  );
}

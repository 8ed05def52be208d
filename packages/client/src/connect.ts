import type { Client, ClientConfig } from '@a2a-js/sdk/client';

import { authenticatingFetch } from './authenticating-fetch.js';
import { cardUrl, fetchCard } from './card/fetch-card.js';
import type { JsonObject } from './card/json.js';
import { readCard } from './card/read-card.js';
import { verifyCard, type CardTrust } from './card/verify-card.js';
import { clientForCard } from './client-for-card.js';
import type { ClientTransport } from './client-transport.js';
import type { TlsIdentity } from './credential-source.js';
import type { AuthRequiredTask } from './denial.js';
import { guardedFetch, type Send } from './guarded-fetch.js';
import { checkOptions } from './options.js';
import { planFor, requireSources, type Credentials } from './plan.js';
import { checkPolicy, type ClientPolicy } from './policy.js';

export interface ConnectOptions {
  /** By scheme id, or a list of which each scheme gets the first that fits. */
  readonly credentials: Credentials;
  /** Default: credentials go to the origin of the card alone, and for the scopes of the card. */
  readonly policy?: ClientPolicy | undefined;
  /** Whose signature the card must have. Default: a card needs none, and one that it has is not looked at. */
  readonly requireSignedCard?: CardTrust | undefined;
  /** Called with each task that waits for a credential in its midst, as messages and streams tell of it. Not waited for. */
  readonly onAuthRequired?: ((task: AuthRequiredTask) => void) | undefined;
  /** The agent's resource identifier (RFC 8707), for which tokens are asked. Default: none is named. */
  readonly resource?: string | undefined;
  /**
   * The fetch underneath, also for the card. Default: one that connects to no private address but those of `url` and
   * `policy.origins`, and can present client certificates; yours has to see to the first, and cannot do the second.
   */
  readonly fetch?: typeof fetch | undefined;
  /** Further transports, such as `grpcTransport()` of `@a2a-auth/client/grpc`. JSON-RPC and HTTP+JSON are there always. */
  readonly transports?: readonly ClientTransport[] | undefined;
  /** The bindings to try first, as the SDK has them. Default: the order of the card. */
  readonly preferredTransports?: readonly string[] | undefined;
  /** The SDK's configuration of its client: polling, interceptors and so on. */
  readonly clientConfig?: ClientConfig | undefined;
  /** Gives up fetching the card. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * From the address of an agent to the SDK's own client, authenticated: fetches the card, finds the alternative that
 * `credentials` can meet, and meets it with each call.
 *
 * @param url the agent's origin, whose card is at the well-known path; or the card's own URL. https, or the loopback.
 * @throws {ClientError} `CARD_UNAVAILABLE`, `CARD_INVALID`, `CARD_UNSIGNED`, `CARD_SIGNATURE_INVALID`; `NO_ALTERNATIVE` when
 *   no alternative can be met; `ADDRESS_REFUSED` when the agent has no interface to which credentials may go;
 *   `INVALID_OPTION`
 */
export async function connect(url: string | URL, options: ConnectOptions): Promise<Client> {
  checkOptions('connect()', options, {
    credentials: true,
    policy: true,
    requireSignedCard: true,
    onAuthRequired: true,
    resource: true,
    fetch: true,
    transports: true,
    preferredTransports: true,
    clientConfig: true,
    signal: true,
  });
  const { credentials, requireSignedCard, onAuthRequired, resource, fetch: given, signal, ...rest } = options;
  const { policy: allowed, ...sdkOptions } = rest;
  const policy = checkPolicy(url, allowed);
  const address = cardUrl(new URL(url));
  // An agent may want the certificate before it shows its card. It goes to the address that the user gave.
  const identity = given === undefined ? await clientCertificate(credentials, address, signal) : undefined;
  const guarded = guardedFetch(policy.own);
  const send: Send = (to, init) => (given === undefined ? guarded(to, init, identity) : given(to.href, init));
  const fetched = await fetchCard(address, send, signal);
  // Of a signed card, only what the signature covers is read.
  const card = requireSignedCard === undefined ? fetched : await verifyCard(fetched, requireSignedCard);
  const security = readCard(card);
  const plan = planFor(security, credentials, policy);
  const session = { url, plan, policy: allowed, resource, onAuthRequired };
  return clientForCard({
    card: card as JsonObject,
    security,
    session,
    fetch: authenticatingFetch({ ...session, fetch: given }),
    ...sdkOptions,
  });
}

/** The certificate of the first source that has one. */
async function clientCertificate(
  credentials: Credentials,
  url: URL,
  signal: AbortSignal | undefined,
): Promise<TlsIdentity | undefined> {
  const scheme = { type: 'mutualTLS' } as const;
  for (const [schemeId, source] of Object.entries(requireSources(credentials))) {
    if (url.protocol !== 'https:' || source.unfitFor(scheme) !== undefined) continue;
    const http = { method: 'GET', url: url.href };
    const { tls } = await source.credential({
      schemeId,
      scheme,
      scopes: [],
      resource: undefined,
      http,
      signal,
    });
    return tls;
  }
  return undefined;
}

import {
  ClientFactory,
  JsonRpcTransportFactory,
  RestTransportFactory,
  type Client,
  type ClientConfig,
} from '@a2a-js/sdk/client';

import { authenticatingFetch, refusedDestination } from './authenticating-fetch.js';
import { cardUrl, fetchCard } from './card/fetch-card.js';
import type { JsonObject } from './card/json.js';
import { readCard, type AgentCardSecurity } from './card/read-card.js';
import type { CardInterface } from './card/read-interfaces.js';
import { toSdkCard } from './card/sdk-card.js';
import { verifyCard, type CardTrust } from './card/verify-card.js';
import type { AuthRequiredTask } from './denial.js';
import { ClientError } from './errors.js';
import type { TlsIdentity } from './credential-source.js';
import { guardedFetch, type Send } from './guarded-fetch.js';
import { planFor, requireSources, type AuthenticationPlan, type Credentials } from './plan.js';
import { checkPolicy, isAllowedDestination, type ClientPolicy, type Policy } from './policy.js';

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
  const { credentials, requireSignedCard, preferredTransports, clientConfig, signal, ...rest } = options;
  const policy = checkPolicy(url, rest.policy);
  const { fetch: given } = rest;
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
  const authenticated = authenticatingFetch({ ...rest, url, plan });
  const interfaces = usableInterfaces(security, plan, policy);
  const transports = [JsonRpcTransportFactory, RestTransportFactory].map(
    (Factory) => new Factory(transportOptions(authenticated) as never),
  );
  const factory = new ClientFactory({
    transports,
    ...(clientConfig === undefined ? {} : { clientConfig }),
    ...(preferredTransports === undefined ? {} : { preferredTransports: [...preferredTransports] }),
    // The card is in the SDK's form already, in which the SDK's own resolver would lose the schemes.
    cardResolver: { resolve: () => Promise.reject(new TypeError('The card was fetched already.')) },
  });
  return factory.createFromAgentCard(toSdkCard(card as JsonObject, security, interfaces));
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

const bindings = new Set(['JSONRPC', 'HTTP+JSON']);

/** The interfaces that this client speaks and the credentials may go to. */
function usableInterfaces(
  { interfaces }: AgentCardSecurity,
  { chosen }: AuthenticationPlan,
  policy: Policy,
): readonly CardInterface[] {
  const spoken = interfaces.flatMap((candidate) => {
    const { url, binding } = candidate;
    return bindings.has(binding) && URL.canParse(url) ? [{ candidate, url: new URL(url) }] : [];
  });
  const [first] = spoken;
  if (first === undefined) {
    throw new ClientError(
      'CARD_INVALID',
      'The agent card offers no interface that this client speaks: JSONRPC or HTTP+JSON.',
    );
  }
  const usable = spoken.filter(({ url }) =>
    chosen?.steps.length === 0 ? /^https?:$/.test(url.protocol) : isAllowedDestination(policy, url),
  );
  if (usable.length === 0) throw refusedDestination(first.url);
  return usable.map(({ candidate }) => candidate);
}

/** The SDK has classes for the options of its factories, and exports none of them. */
function transportOptions(authenticated: typeof fetch): unknown {
  return { fetchImpl: authenticated, legacyCompat: { enabled: true } };
}

import {
  ClientFactory,
  JsonRpcTransportFactory,
  RestTransportFactory,
  type Client,
  type ClientConfig,
} from '@a2a-js/sdk/client';

import { refusedDestination } from '../authenticating-fetch.js';
import type { JsonObject } from '../card/json.js';
import type { AgentCardSecurity } from '../card/read-card.js';
import { toSdkCard } from '../card/sdk-card.js';
import { ClientError } from '../errors.js';
import { isAllowedDestination, type Policy } from '../policy.js';

interface ClientForCardOptions {
  readonly card: JsonObject;
  /** What `readCard` found in it. */
  readonly security: AgentCardSecurity;
  readonly policy: Policy;
  readonly fetch: typeof fetch;
  readonly preferredTransports?: readonly string[] | undefined;
  readonly clientConfig?: ClientConfig | undefined;
}

const bindings = new Set(['JSONRPC', 'HTTP+JSON']);

/**
 * The SDK's client for a card that is here already, with the interfaces to which credentials may go.
 *
 * @throws {ClientError} `CARD_INVALID`; `ADDRESS_REFUSED` when there is no such interface
 */
export async function clientForCard(options: ClientForCardOptions): Promise<Client> {
  const { card, security, policy, preferredTransports, clientConfig } = options;
  const spoken = security.interfaces.filter(({ url, binding }) => bindings.has(binding) && URL.canParse(url));
  const usable = spoken.filter(({ url }) => isAllowedDestination(policy, new URL(url)));
  if (spoken[0] === undefined) {
    throw new ClientError(
      'CARD_INVALID',
      'The agent card offers no interface that this client speaks: JSONRPC or HTTP+JSON.',
    );
  }
  if (usable.length === 0) throw refusedDestination(new URL(spoken[0].url));
  // The SDK has classes for the options of its factories, and exports none of them.
  const transport: unknown = { fetchImpl: options.fetch, legacyCompat: { enabled: true } };
  const factory = new ClientFactory({
    transports: [JsonRpcTransportFactory, RestTransportFactory].map(
      (Factory) => new Factory(transport as never),
    ),
    ...(clientConfig === undefined ? {} : { clientConfig }),
    ...(preferredTransports === undefined ? {} : { preferredTransports: [...preferredTransports] }),
    // The card is in the SDK's form already, in which the SDK's own resolver would lose the schemes.
    cardResolver: { resolve: () => Promise.reject(new TypeError('The card was fetched already.')) },
  });
  return factory.createFromAgentCard(toSdkCard(card, security, usable));
}

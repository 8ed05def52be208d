import {
  ClientFactory,
  JsonRpcTransportFactory,
  RestTransportFactory,
  type Client,
  type ClientConfig,
  type TransportFactory,
} from '@a2a-js/sdk/client';

import { refusedDestination } from './authenticating-fetch.js';
import type { JsonObject } from './card/json.js';
import type { AgentCardSecurity } from './card/read-card.js';
import { toSdkCard } from './card/sdk-card.js';
import type { ClientTransport, OpenTransport, TransportSession } from './client-transport.js';
import { ClientError } from './errors.js';
import { checkPolicy, isAllowedDestination } from './policy.js';

interface ClientForCardOptions {
  readonly card: JsonObject;
  /** What `readCard` found in it. */
  readonly security: AgentCardSecurity;
  readonly session: TransportSession;
  /** What JSON-RPC and HTTP+JSON are called by. */
  readonly fetch: typeof fetch;
  readonly transports?: readonly ClientTransport[] | undefined;
  readonly preferredTransports?: readonly string[] | undefined;
  readonly clientConfig?: ClientConfig | undefined;
}

/**
 * The SDK's client for a card that is here already, with the interfaces that are spoken and may be called.
 *
 * @throws {ClientError} `CARD_INVALID` when there is none that is spoken; why the first one is refused, when all are
 */
export async function clientForCard(options: ClientForCardOptions): Promise<Client> {
  const { card, security, session, transports = [], preferredTransports, clientConfig } = options;
  const open = new Map([
    ['JSONRPC', overHttp(JsonRpcTransportFactory, options)],
    ['HTTP+JSON', overHttp(RestTransportFactory, options)],
    ...checkTransports(transports).map((transport) => [transport.binding, transport.open(session)] as const),
  ]);
  const judged = security.interfaces.flatMap((candidate) => {
    const transport = open.get(candidate.binding);
    return transport === undefined ? [] : [{ candidate, refusal: transport.refusal(candidate.url) }];
  });
  const usable = judged.filter(({ refusal }) => refusal === undefined);
  if (usable.length === 0) throw judged[0]?.refusal ?? noneSpoken([...open.keys()], security);
  const factory = new ClientFactory({
    transports: [...open.values()].map((transport) => transport.factory),
    ...(clientConfig === undefined ? {} : { clientConfig }),
    ...(preferredTransports === undefined ? {} : { preferredTransports: [...preferredTransports] }),
    // The card is in the SDK's form already, in which the SDK's own resolver would lose the schemes.
    cardResolver: { resolve: () => Promise.reject(new TypeError('The card was fetched already.')) },
  });
  return factory.createFromAgentCard(
    toSdkCard(
      card,
      security,
      usable.map(({ candidate }) => candidate),
    ),
  );
}

/** JSON-RPC or HTTP+JSON. */
function overHttp(
  Factory: new (options: never) => TransportFactory,
  { session, fetch }: ClientForCardOptions,
): OpenTransport {
  const policy = checkPolicy(session.url, session.policy);
  const usesNothing = session.plan.chosen?.steps.length === 0;
  // The SDK has classes for the options of its factories, and exports none of them.
  const sdkOptions: unknown = { fetchImpl: fetch, legacyCompat: { enabled: true } };
  return {
    refusal(address) {
      if (!URL.canParse(address))
        return new ClientError('CARD_INVALID', 'The agent card has an interface whose url is none.');
      const url = new URL(address);
      const usable = usesNothing ? /^https?:$/.test(url.protocol) : isAllowedDestination(policy, url);
      return usable ? undefined : refusedDestination(url);
    },
    factory: new Factory(sdkOptions as never),
  };
}

function checkTransports(given: unknown): readonly ClientTransport[] {
  const transports: readonly Partial<ClientTransport>[] = Array.isArray(given) ? given : [{}];
  if (transports.every((transport) => typeof transport?.open === 'function'))
    return transports as readonly ClientTransport[];
  throw new ClientError('INVALID_OPTION', 'transports must be a list of transports: [grpcTransport()].');
}

function noneSpoken(spoken: readonly string[], { interfaces }: AgentCardSecurity): ClientError {
  const hint =
    !spoken.includes('GRPC') && interfaces.some(({ binding }) => binding === 'GRPC')
      ? ' For its gRPC interface, give transports: [grpcTransport()] of @a2a-auth/client/grpc.'
      : '';
  return new ClientError(
    'CARD_INVALID',
    `The agent card offers no interface that this client speaks: ${spoken.join(' or ')}.${hint}`,
  );
}

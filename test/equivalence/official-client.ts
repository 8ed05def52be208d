import type { AgentCard } from '@a2a-js/sdk';
import {
  ClientFactory,
  JsonRpcTransportFactory,
  RestTransportFactory,
  type Client,
} from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';
import { decodeStatus, GRPC_STATUS_DETAILS_BIN } from '@a2a-js/sdk/errors/grpc';
import {
  InterceptingCall,
  type CallOptions,
  type ChannelCredentials,
  type Interceptor,
  type StatusObject,
} from '@grpc/grpc-js';

import type { Presented } from './subjects.js';

/** How an answer went over the wire, apart from what the official client made of it. */
interface OnTheWire {
  /** The status by the name of `google.rpc.Code`; OK for whatever HTTP answers with 200. */
  readonly status: string;
  readonly challenges: string;
  readonly retryAfter: number | undefined;
}

export interface Connection {
  readonly client: Client;
  /** Of the last call. */
  readonly wire: () => OnTheWire | undefined;
}

const legacyCompat = { enabled: true };

/** The official client over JSON-RPC or HTTP+JSON. */
export function clientByHttp(card: AgentCard, fetchImpl: typeof fetch): Promise<Client> {
  const options = { legacyCompat, fetchImpl };
  const transports = [new JsonRpcTransportFactory(options), new RestTransportFactory(options)];
  return new ClientFactory({ transports }).createFromAgentCard(card);
}

export function clientByGrpc(
  card: AgentCard,
  grpcChannelCredentials: ChannelCredentials,
  grpcCallOptions: Partial<CallOptions>,
): Promise<Client> {
  const transport = new GrpcTransportFactory({ grpcChannelCredentials, grpcCallOptions, legacyCompat });
  return new ClientFactory({ transports: [transport] }).createFromAgentCard(card);
}

const httpStatuses: Readonly<Record<number, string>> = {
  200: 'OK',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
};

/** The official client, which presents this to whatever it calls by `send`. */
export async function connectByHttp(
  card: AgentCard,
  { headers, query = {}, proof }: Presented,
  send: typeof fetch,
): Promise<Connection> {
  let wire: OnTheWire | undefined;
  const client = await clientByHttp(card, async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const proven = await proof?.({ method: init?.method ?? 'GET', url: url.href });
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const response = await send(url, {
      ...init,
      headers: { ...(init?.headers as object), ...headers, ...proven },
    });
    const retryAfter = response.headers.get('retry-after');
    wire = {
      status: httpStatuses[response.status] ?? String(response.status),
      challenges: response.headers.get('www-authenticate') ?? '',
      retryAfter: retryAfter === null ? undefined : Number(retryAfter),
    };
    return response;
  });
  return { client, wire: () => wire };
}

const grpcStatuses: Readonly<Record<number, string>> = {
  0: 'OK',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

/** The official client over gRPC, whose interceptor presents this. */
export async function connectByGrpc(
  card: AgentCard,
  { headers, proof }: Presented,
  channelCredentials: ChannelCredentials,
): Promise<Connection> {
  let wire: OnTheWire | undefined;
  const address = card.supportedInterfaces[0]?.url ?? '';
  const interceptor: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        const url = `https://${address}${options.method_definition.path}`;
        void Promise.resolve(proof?.({ method: 'POST', url })).then((proven) => {
          for (const [name, value] of Object.entries({ ...headers, ...proven })) metadata.set(name, value);
          next(metadata, {
            onReceiveStatus(received, pass) {
              wire = {
                status: grpcStatuses[received.code] ?? String(received.code),
                challenges: received.metadata.get('www-authenticate').join(', '),
                retryAfter: retryAfterOf(received),
              };
              pass(received);
            },
            onReceiveMetadata: (received, pass) => {
              pass(received);
            },
            onReceiveMessage: (received, pass) => {
              pass(received);
            },
          });
        });
      },
    });
  const client = await clientByGrpc(card, channelCredentials, { interceptors: [interceptor] });
  return { client, wire: () => wire };
}

/** Of the `google.rpc.RetryInfo`: the seconds, which here need one byte, are its last. */
function retryAfterOf({ metadata }: StatusObject): number | undefined {
  const [blob] = metadata.get(GRPC_STATUS_DETAILS_BIN);
  if (!Buffer.isBuffer(blob)) return undefined;
  const { details } = decodeStatus(blob);
  return details.find(({ typeUrl }) => typeUrl.endsWith('.RetryInfo'))?.value.at(-1);
}

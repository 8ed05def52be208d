import type { Transport } from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';

import type { ClientTransport } from '../client-transport.js';
import { ClientError } from '../errors.js';
import { checkPolicy } from '../policy.js';
import { quote } from '../quote.js';
import { authenticatingInterceptor } from './authenticating-interceptor.js';
import { endpointOf, targetOf } from './endpoint.js';
import { prepareCalls } from './prepare-calls.js';

const binding = 'GRPC';

/**
 * gRPC for `connect`, in A2A 1.0 and 0.3.
 *
 * ```ts
 * const client = await connect(url, { credentials, transports: [grpcTransport()] });
 * ```
 */
export function grpcTransport(): ClientTransport {
  return {
    binding,
    open: (session) => ({
      refusal(address) {
        if (endpointOf(address, checkPolicy(session.url, session.policy)) === undefined)
          return new ClientError(
            'CARD_INVALID',
            `${quote(address)}, which the agent card names, is no gRPC address.`,
          );
        try {
          prepareCalls({ ...session, endpoint: address });
          return undefined;
        } catch (error) {
          if (error instanceof ClientError) return error;
          throw error;
        }
      },
      factory: {
        protocolName: binding,
        async create(address, card) {
          const options = { ...session, endpoint: address };
          const factory = new GrpcTransportFactory({
            grpcCallOptions: { interceptors: [authenticatingInterceptor(options)] },
            legacyCompat: { enabled: true },
          });
          // The SDK tells the versions apart by the address, which it opens a channel to as it is. That one is never used.
          const url = targetOf(prepareCalls(options).endpoint);
          const supportedInterfaces = card.supportedInterfaces
            .filter((one) => one.protocolBinding.toUpperCase() === binding && one.url === address)
            .map((one) => ({ ...one, url }));
          return throwingCauses(await factory.create(url, { ...card, supportedInterfaces }));
        },
      },
    }),
  };
}

/** A transport that throws what a credential source threw, which the SDK has wrapped up like the errors of agents. */
function throwingCauses(transport: Transport): Transport {
  return new Proxy(transport, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const result: unknown = Reflect.apply(value, target, args);
        return isStream(result) ? rethrowingStream(result) : rethrowing(result);
      };
    },
  });
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

async function rethrowing(result: unknown): Promise<unknown> {
  try {
    return await result;
  } catch (error) {
    throw causeOf(error);
  }
}

async function* rethrowingStream(stream: AsyncIterable<unknown>): AsyncGenerator {
  try {
    yield* stream;
  } catch (error) {
    throw causeOf(error);
  }
}

/** The error of grpc-js that the SDK has wrapped up has a cause when no server sent it. */
function causeOf(error: unknown): unknown {
  const { cause } = error as { readonly cause?: { readonly cause?: unknown } };
  return cause?.cause ?? error;
}

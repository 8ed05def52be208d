import type { SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
  type Client,
} from '@a2a-js/sdk/client';

import { textMessage } from './agent.js';
import type { Headers } from './credentials.js';

/** The two bindings over plain HTTP, in the two versions. */
export const combinations = [
  { binding: 'JSONRPC', version: '1.0' },
  { binding: 'JSONRPC', version: '0.3' },
  { binding: 'HTTP+JSON', version: '1.0' },
  { binding: 'HTTP+JSON', version: '0.3' },
] as const;

export type Combination = (typeof combinations)[number];

/** The SDK has classes for the options of its factories, and exports none of them. */
type Options = NonNullable<
  ConstructorParameters<typeof JsonRpcTransportFactory>[0] &
    ConstructorParameters<typeof RestTransportFactory>[0]
>;

/** The official client, made from the agent's own card, for one binding and version. */
export async function connect(
  agentUrl: string,
  { binding, version }: Combination,
  headers: Headers,
): Promise<Client> {
  const options: unknown = {
    legacyCompat: { enabled: true },
    fetchImpl: ((input, init) =>
      fetch(input, {
        ...init,
        headers: { ...(init?.headers as Headers | undefined), ...headers },
      })) satisfies typeof fetch,
  };
  const card = await new DefaultAgentCardResolver().resolve(agentUrl);
  const supportedInterfaces = card.supportedInterfaces.filter(
    ({ protocolBinding, protocolVersion }) => protocolBinding === binding && protocolVersion === version,
  );
  const factory = new ClientFactory({
    transports: [JsonRpcTransportFactory, RestTransportFactory].map(
      (Factory) => new Factory(options as Options),
    ),
  });
  return factory.createFromAgentCard({ ...card, supportedInterfaces });
}

export function request(text: string, fields?: Parameters<typeof textMessage>[1]): SendMessageRequest {
  return { tenant: '', message: textMessage(text, fields), configuration: undefined, metadata: undefined };
}

/** Sends a message whose answer must be a task. */
export async function sendForTask(client: Client, ...args: Parameters<typeof request>): Promise<Task> {
  const answer = await client.sendMessage(request(...args));
  if (!('status' in answer)) throw new Error('The answer is no task.');
  return answer;
}

export async function collect(stream: AsyncIterable<StreamResponse>): Promise<StreamResponse[]> {
  const events: StreamResponse[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

import { SendMessageRequest } from '@a2a-js/sdk';
import { A2AService } from '@a2a-js/sdk/server/grpc';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';

import { CONNECTIONS } from './settings.js';

const request = SendMessageRequest.fromJSON({
  message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Hello?' }] },
});
const { path, requestSerialize, responseDeserialize } = A2AService.sendMessage;

/**
 * Sends messages over gRPC, each of as many callers the next one upon the answer.
 *
 * @param headers called for each request
 * @returns requests a second
 * @throws {Error} unless every one of them was answered
 */
export async function grpcLoad(
  port: number,
  requests: number,
  headers: () => Readonly<Record<string, string>>,
): Promise<number> {
  const client = new Client(`127.0.0.1:${String(port)}`, credentials.createInsecure());
  let left = requests;
  const send = () =>
    new Promise<void>((resolve, reject) => {
      const metadata = new Metadata();
      for (const [name, value] of Object.entries({ 'a2a-version': '1.0', ...headers() }))
        metadata.set(name, value);
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        (error: ServiceError | null, answer) => {
          if (error !== null) reject(error);
          else if (answer?.payload?.$case === 'message') resolve();
          else reject(new Error('The agent answered with something else.'));
        },
      );
    });
  const caller = async () => {
    while (left-- > 0) await send();
  };
  const startedAt = performance.now();
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, caller));
    return (requests / (performance.now() - startedAt)) * 1000;
  } finally {
    client.close();
  }
}

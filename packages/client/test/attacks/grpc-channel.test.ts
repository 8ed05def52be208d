import { ClientFactory } from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';
import { bearer } from '@a2a-auth/client';
import { grpcAuthentication } from '@a2a-auth/client/grpc';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { A2AService } from '@a2a-js/sdk/server/grpc';
import { expect, it, onTestFinished } from 'vitest';

import { agentCard } from '../../../../test/support/agent.js';
import { sendForTask } from '../../../../test/support/client.js';
import { bearerScheme, cardJson } from '../support/card.js';

/** Listens, and remembers the tokens it is sent. */
async function startListener() {
  const heard: unknown[] = [];
  const server = new Server();
  server.addService(A2AService, {
    sendMessage: (call: { metadata: { get(name: string): unknown[] } }, callback: (error: Error) => void) => {
      heard.push(...call.metadata.get('authorization'));
      callback(new Error('Heard.'));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  onTestFinished(() => {
    server.forceShutdown();
  });
  return { port, heard };
}

/** A client whose card says where to call, with credentials for an endpoint that the user named. */
async function connectTo(target: string, endpoint: string) {
  const { channelCredentials, callCredentials } = await grpcAuthentication({
    url: endpoint,
    endpoint,
    card: cardJson({ token: bearerScheme }, [{ token: [] }]),
    credentials: [bearer('S3CRET')],
  });
  const factory = new ClientFactory({
    transports: [
      new GrpcTransportFactory({
        grpcChannelCredentials: channelCredentials,
        grpcCallOptions: { credentials: callCredentials },
      }),
    ],
  });
  const url = { url: target, protocolBinding: 'GRPC', protocolVersion: '1.0', tenant: '' };
  return factory.createFromAgentCard({ ...agentCard('http://localhost'), supportedInterfaces: [url] });
}

it('a card that has the channel opened to another host gets no token', async () => {
  const { port, heard } = await startListener();
  const client = await connectTo(`localhost:${String(port)}`, `http://127.0.0.1:${String(port)}`);
  await expect(sendForTask(client, 'hello')).rejects.toThrow(/not sent to "localhost"/);
  expect(heard).toEqual([]);
});

it('the host that the user named gets it', async () => {
  const { port, heard } = await startListener();
  const client = await connectTo(`localhost:${String(port)}`, `http://localhost:${String(port)}`);
  await expect(sendForTask(client, 'hello')).rejects.toThrow(/Heard/);
  expect(heard).toEqual(['Bearer S3CRET']);
});

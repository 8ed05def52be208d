import { TaskState, type AgentCard } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';
import { A2AService, grpcService, UserBuilder } from '@a2a-js/sdk/server/grpc';
import { apiKey, bearer, type Credential } from '@a2a-auth/client';
import { grpcAuthentication, type GrpcAuthenticationOptions } from '@a2a-auth/client/grpc';
import { Server, ServerCredentials, type Metadata } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';

import {
  bearerScheme,
  cardJson,
  cookieKey,
  headerKey,
  mtlsScheme,
  queryKey,
} from '../../packages/client/test/support/card.js';
import { countingSource } from '../../packages/client/test/support/source.js';
import { agentCard, createAgent } from '../support/agent.js';
import { sendForTask } from '../support/client.js';
import { certificateAuthority } from '../support/oauth/certificates.js';

const grpcInterface = (url: string) => ({ url, protocolBinding: 'GRPC', protocolVersion: '1.0', tenant: '' });

/** A gRPC agent of the SDK that remembers the metadata it was sent. */
async function startGrpc(serverCredentials = ServerCredentials.createInsecure()) {
  const card = agentCard('http://127.0.0.1', { supportedInterfaces: [grpcInterface('127.0.0.1')] });
  const service = grpcService({
    requestHandler: createAgent(card).requestHandler,
    userBuilder: UserBuilder.noAuthentication,
  });
  const seen: Metadata[] = [];
  const server = new Server();
  const sendMessage: typeof service.sendMessage = (call, callback) => {
    seen.push(call.metadata);
    service.sendMessage(call, callback);
  };
  server.addService(A2AService, { ...service, sendMessage });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', serverCredentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  onTestFinished(() => {
    server.forceShutdown();
  });
  return { target: `127.0.0.1:${String(port)}`, seen };
}

/** The official client over gRPC, with this authentication. */
async function connectGrpc(
  target: string,
  options: Omit<GrpcAuthenticationOptions, 'endpoint'> & { readonly endpoint?: string },
) {
  const { channelCredentials, callCredentials } = await grpcAuthentication({ endpoint: target, ...options });
  const factory = new ClientFactory({
    transports: [
      new GrpcTransportFactory({
        grpcChannelCredentials: channelCredentials,
        grpcCallOptions: { credentials: callCredentials },
      }),
    ],
  });
  const card: AgentCard = {
    ...agentCard('http://127.0.0.1'),
    supportedInterfaces: [grpcInterface(target)],
  };
  return factory.createFromAgentCard(card);
}

const tokenAndKey = cardJson({ token: bearerScheme, key: headerKey('X-Key') }, [{ token: [], key: [] }]);

it('sends the metadata of all schemes, to the loopback in plain', async () => {
  const agent = await startGrpc();
  const url = `http://${agent.target}`;
  const client = await connectGrpc(agent.target, {
    url,
    endpoint: url,
    card: tokenAndKey,
    credentials: [bearer('t'), apiKey('k')],
  });
  expect((await sendForTask(client, 'hello')).status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
  expect(agent.seen[0]?.getMap()).toMatchObject({ authorization: 'Bearer t', 'x-key': 'k' });
});

it('tells sources which method is called', async () => {
  const agent = await startGrpc();
  const url = `http://${agent.target}`;
  const { source, requests } = countingSource();
  const card = cardJson({ token: bearerScheme }, [{ token: [] }]);
  await sendForTask(
    await connectGrpc(agent.target, { url, endpoint: url, card, credentials: [source] }),
    'hello',
  );
  expect(requests[0]?.http).toEqual({ method: 'POST', url: `${url}/lf.a2a.v1.A2AService/SendMessage` });
});

it('presents a client certificate', async () => {
  const authority = certificateAuthority();
  const { key, cert } = authority.server();
  const agent = await startGrpc(
    ServerCredentials.createSsl(
      Buffer.from(authority.ca),
      [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }],
      true,
    ),
  );
  const caller = authority.client('caller');
  const { source } = countingSource({
    unfitFor: () => undefined,
    credential: async () => ({ tls: { certificate: caller.cert, key: caller.key, ca: authority.ca } }),
  });
  const card = cardJson({ mtls: mtlsScheme }, [{ mtls: [] }]);
  const client = await connectGrpc(agent.target, {
    url: `https://${agent.target}`,
    card,
    credentials: [source],
  });
  expect((await sendForTask(client, 'hello')).status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
});

describe('it is refused', () => {
  const url = 'https://agent.example';
  const set = (options: Partial<GrpcAuthenticationOptions>) =>
    grpcAuthentication({
      url,
      endpoint: 'agent.example',
      card: tokenAndKey,
      credentials: [bearer('t'), apiKey('k')],
      ...options,
    });

  it.each(['evil.example:443', 'agent.example:50051', 'http://agent.example', 'https://a:b@agent.example'])(
    'to have secrets sent to %s',
    async (endpoint) => {
      await expect(set({ endpoint })).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    },
  );

  it('to call what is no address', async () => {
    await expect(set({ endpoint: 'https://' })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });

  it.each([
    ['a query parameter', queryKey()],
    ['a cookie', cookieKey()],
  ])('to meet an alternative with a key in %s', async (_name, key) => {
    const card = cardJson({ key }, [{ key: [] }]);
    await expect(set({ card, credentials: [apiKey('k')] })).rejects.toMatchObject({
      code: 'CREDENTIAL_UNUSABLE',
    });
  });

  it('to present a certificate without TLS', async () => {
    const { source } = countingSource({
      unfitFor: () => undefined,
      credential: async () => ({ tls: { certificate: 'c', key: 'k' } }),
    });
    const local = 'http://localhost:1';
    const card = cardJson({ mtls: mtlsScheme }, [{ mtls: [] }]);
    await expect(set({ url: local, endpoint: local, card, credentials: [source] })).rejects.toMatchObject({
      code: 'CREDENTIAL_UNUSABLE',
    });
  });

  it.each([
    ['metadata of gRPC itself', { headers: { 'grpc-timeout': '1' } }],
    ['binary metadata', { headers: { 'key-bin': 'x' } }],
    ['a query parameter that the source adds', { query: { a: 'b' } }],
  ] satisfies [string, Credential][])('to send %s', async (_name, credential) => {
    const agent = await startGrpc();
    const local = `http://${agent.target}`;
    const { source } = countingSource({ credential: async () => credential });
    const card = cardJson({ token: bearerScheme }, [{ token: [] }]);
    const client = await connectGrpc(agent.target, {
      url: local,
      endpoint: local,
      card,
      credentials: [source],
    });
    await expect(sendForTask(client, 'hello')).rejects.toThrow(/is no metadata|has no place/);
    expect(agent.seen).toEqual([]);
  });
});

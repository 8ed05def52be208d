import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

import { principalsOf, serveMutualTls, type AgentSecurity } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import { agentServices } from '@a2a-auth/server/grpc';
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
  credentials,
  InterceptingCall,
  Server as GrpcServer,
  ServerCredentials,
  type Interceptor,
  type StatusObject,
} from '@grpc/grpc-js';
import express from 'express';
import { Agent, fetch as undiciFetch } from 'undici';

import { agentCard, createAgent } from '../support/agent.js';
import { combinations } from '../support/client.js';
import { pki, type Presented } from './subjects.js';

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

export interface Running {
  connect(presented: Presented): Promise<Connection>;
  /** The schemes that vouched for the last message which reached the agent. */
  callers(): readonly string[];
  close(): Promise<void> | void;
}

/** A way to an agent. */
export interface Binding {
  readonly name: string;
  /** Whether a certificate that the TLS layer did not accept is not shown to us, and so counts as none. */
  readonly hidesUntrustedCertificates?: boolean;
  start(security: AgentSecurity<string>): Promise<Running>;
}

const statusNames: Readonly<Record<number, string>> = {
  200: 'OK',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
};

/** The official agent, and who called it. */
function agentOf(card: AgentCard) {
  const { requestHandler, executor } = createAgent(card);
  const callers = () => {
    const last = executor.calls.at(-1);
    return last === undefined ? [] : [...principalsOf(last).keys()];
  };
  return { requestHandler, callers };
}

type HttpCombination = (typeof combinations)[number];
type Fetch = (url: string, init: RequestInit) => Promise<Response>;

async function connectByHttp(
  card: AgentCard,
  { binding, version }: HttpCombination,
  headers: Presented['headers'],
  send: Fetch,
): Promise<Connection> {
  let wire: OnTheWire | undefined;
  const fetchImpl: typeof fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const response = await send(url, { ...init, headers: { ...(init?.headers as object), ...headers } });
    const retryAfter = response.headers.get('retry-after');
    wire = {
      status: statusNames[response.status] ?? String(response.status),
      challenges: response.headers.get('www-authenticate') ?? '',
      retryAfter: retryAfter === null ? undefined : Number(retryAfter),
    };
    return response;
  };
  const options = { legacyCompat: { enabled: true }, fetchImpl };
  const factory = new ClientFactory({
    transports: [new JsonRpcTransportFactory(options), new RestTransportFactory(options)],
  });
  const client = await factory.createFromAgentCard(only(card, binding, version));
  return { client, wire: () => wire };
}

function only(card: AgentCard, binding: string, version: string): AgentCard {
  const supportedInterfaces = card.supportedInterfaces.filter(
    ({ protocolBinding, protocolVersion }) => protocolBinding === binding && protocolVersion === version,
  );
  return { ...card, supportedInterfaces };
}

/** `agentRouter` behind HTTPS, where clients may have a certificate. */
const expressBinding = (combination: HttpCombination): Binding => ({
  name: `Express, ${combination.binding} ${combination.version}`,
  async start(security) {
    const app = express();
    const { server, close } = await serveMutualTls(app, {
      ...pki.server,
      trust: { folder: pki.knownClients },
      clientCertificate: 'optional',
      port: 0,
      host: '127.0.0.1',
    });
    const card = agentCard(`https://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
    const { requestHandler, callers } = agentOf(card);
    app.use(agentRouter({ security, requestHandler }));
    const ca = await readFile(pki.ca, 'utf8');
    const agents: Agent[] = [];
    return {
      callers,
      connect({ headers, certificate = {} }) {
        const dispatcher = new Agent({ connect: { ca, ...certificate } });
        agents.push(dispatcher);
        return connectByHttp(card, combination, headers, (url, init) =>
          undiciFetch(url, { ...(init as object), dispatcher }),
        );
      },
      async close() {
        await Promise.all(agents.map((agent) => agent.destroy()));
        await close();
      },
    };
  },
});

/** `agentFetchHandler`, without a server: the connection is what its hook says. */
const fetchBinding = (combination: HttpCombination): Binding => ({
  name: `fetch handler, ${combination.binding} ${combination.version}`,
  start(security) {
    const card = agentCard('https://agent.example');
    const certificates = new WeakMap<Request, Presented['certificate']>();
    const { requestHandler, callers } = agentOf(card);
    const handle = agentFetchHandler({
      security,
      requestHandler,
      connection: (request) => {
        const certificate = certificates.get(request);
        return certificate === undefined
          ? {}
          : { clientCertificate: { der: new X509Certificate(certificate.cert).raw } };
      },
    });
    return Promise.resolve({
      callers,
      connect: ({ headers, certificate }) =>
        connectByHttp(card, combination, headers, (url, init) => {
          const request = new Request(url, init);
          certificates.set(request, certificate);
          return handle(request);
        }),
      close: () => undefined,
    });
  },
});

const grpcCodes = ['OK', ...Array.from({ length: 16 })] as string[];
Object.assign(grpcCodes, {
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
});

/** The gRPC service behind TLS, where clients may have a certificate. */
const grpcBinding = (version: '1.0' | '0.3'): Binding => ({
  name: `gRPC ${version}`,
  hidesUntrustedCertificates: true,
  async start(security) {
    const grpc = new GrpcServer();
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const tls = createTlsServer({
      cert: await readFile(pki.server.certificate),
      key: await readFile(pki.server.key),
      ca: await readFile(pki.ca),
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    tls.on('secureConnection', (socket) => {
      injector.injectConnection(socket);
    });
    await once(tls.listen(0, '127.0.0.1'), 'listening');
    const address = `127.0.0.1:${String((tls.address() as AddressInfo).port)}`;
    const card = agentCard('', {
      supportedInterfaces: [{ url: address, protocolBinding: 'GRPC', protocolVersion: version, tenant: '' }],
    });
    const { requestHandler, callers } = agentOf(card);
    for (const { definition, implementation } of agentServices({ security, requestHandler })) {
      grpc.addService(definition, implementation);
    }
    const ca = await readFile(pki.ca);
    return {
      callers,
      async connect({ headers = {}, certificate }) {
        let wire: OnTheWire | undefined;
        const interceptor: Interceptor = (options, nextCall) =>
          new InterceptingCall(nextCall(options), {
            start(metadata, listener, next) {
              for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
              next(metadata, {
                onReceiveStatus(received: StatusObject, pass) {
                  wire = {
                    status: grpcCodes[received.code] ?? String(received.code),
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
            },
          });
        const factory = new ClientFactory({
          transports: [
            new GrpcTransportFactory({
              grpcChannelCredentials: credentials.createSsl(
                ca,
                certificate === undefined ? null : Buffer.from(certificate.key),
                certificate === undefined ? null : Buffer.from(certificate.cert),
              ),
              grpcCallOptions: { interceptors: [interceptor] },
              legacyCompat: { enabled: true },
            }),
          ],
        });
        return { client: await factory.createFromAgentCard(card), wire: () => wire };
      },
      close() {
        grpc.forceShutdown();
        tls.close();
      },
    };
  },
});

/** Of the `google.rpc.RetryInfo`: the seconds, which here need one byte, are its last. */
function retryAfterOf({ metadata }: StatusObject): number | undefined {
  const [blob] = metadata.get(GRPC_STATUS_DETAILS_BIN);
  if (!Buffer.isBuffer(blob)) return undefined;
  const { details } = decodeStatus(blob);
  return details.find(({ typeUrl }) => typeUrl.endsWith('.RetryInfo'))?.value.at(-1);
}

/** A new binding joins by a line. */
export const bindings: readonly Binding[] = [
  ...combinations.map(expressBinding),
  grpcBinding('1.0'),
  grpcBinding('0.3'),
  ...combinations.map(fetchBinding),
];

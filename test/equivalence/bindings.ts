import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';

import {
  authenticatingFetch,
  connect,
  type AuthenticationPlan,
  type ClientErrorCode,
  type CredentialSource,
} from '@a2a-auth/client';
import { authenticatingInterceptor } from '@a2a-auth/client/grpc';
import { principalsOf, serveMutualTls, type AgentSecurity } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import { agentServices } from '@a2a-auth/server/grpc';
import type { AgentCard } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import {
  credentials as grpcCredentials,
  Server as GrpcServer,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import express from 'express';
import { Agent, fetch as undiciFetch } from 'undici';

import { agentCard, createAgent } from '../support/agent.js';
import { combinations, type Combination } from '../support/client.js';
import {
  clientByGrpc,
  clientByHttp,
  connectByGrpc,
  connectByHttp,
  type Connection,
} from './official-client.js';
import { pki, type Presented } from './subjects.js';

/** What reached the agent with one call. */
export interface Received {
  readonly url: URL;
  readonly headers: Headers;
  readonly hasCertificate: boolean;
}

export interface Running {
  /** As published. */
  readonly card: AgentCard;
  /** The calls that reached the agent. To be emptied at will. */
  readonly received: Received[];
  /** The schemes that vouched for the last message which reached the agent. */
  callers(): readonly string[];
  /** The official client. */
  connect(presented: Presented): Promise<Connection>;
  /** The official client again, authenticated by ours. */
  connectOwn(plan: AuthenticationPlan, sources: Readonly<Record<string, CredentialSource>>): Promise<Client>;
  close(): Promise<void> | void;
}

/** A way to an agent. */
export interface Binding {
  readonly name: string;
  /** The kinds of places that a call does not have. */
  readonly lacks?: readonly string[];
  /** Whether a certificate that the TLS layer did not accept is not shown to us, and so counts as none. */
  readonly hidesUntrustedCertificates?: boolean;
  /** Why our client does not call with a certificate. */
  readonly refusesCertificates?: ClientErrorCode;
  start(security: AgentSecurity<string>): Promise<Running>;
}

/** The official agent behind one interface, and who called it. */
function agentAt(url: string, { binding, version }: { readonly binding: string; readonly version: string }) {
  const supportedInterfaces = [{ url, protocolBinding: binding, protocolVersion: version, tenant: '' }];
  const card = agentCard('', { supportedInterfaces });
  const { requestHandler, executor } = createAgent(card);
  const callers = () => {
    const last = executor.calls.at(-1);
    return last === undefined ? [] : [...principalsOf(last).keys()];
  };
  return { card, requestHandler, callers };
}

const pathOf = ({ binding }: Combination) => (binding === 'JSONRPC' ? '/a2a/jsonrpc' : '/a2a/rest');

/** Callers with the same certificate, or without one, share a connection, as they do in life. */
function perCertificate<T>(create: (certificate: Presented['certificate']) => T) {
  const made = new Map<string | undefined, T>();
  return (certificate: Presented['certificate']): T => {
    const known = made.get(certificate?.cert) ?? create(certificate);
    made.set(certificate?.cert, known);
    return known;
  };
}

const ca = await readFile(pki.ca);

const needsCertificate = ({ chosen }: AuthenticationPlan) =>
  chosen?.steps.some(({ scheme }) => scheme.type === 'mutualTLS') === true;

/** `agentRouter` behind HTTPS, where clients may have a certificate. */
const expressBinding = (combination: Combination): Binding => ({
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
    const url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const { card, requestHandler, callers } = agentAt(`${url}${pathOf(combination)}`, combination);
    const received: Received[] = [];
    app.use(pathOf(combination), (request, _response, next) => {
      received.push({
        url: new URL(request.originalUrl, url),
        headers: new Headers(request.headers as Record<string, string>),
        hasCertificate: 'raw' in (request.socket as TLSSocket).getPeerCertificate(),
      });
      next();
    });
    app.use(agentRouter({ security, requestHandler }));
    const agents: Agent[] = [];
    const sendWith = perCertificate((certificate) => {
      const dispatcher = new Agent({ connect: { ca, ...certificate } });
      agents.push(dispatcher);
      return ((input, init) =>
        undiciFetch(input as URL, { ...(init as object), dispatcher })) satisfies typeof fetch;
    });
    return {
      card: security.publish(card),
      received,
      callers,
      connect: (presented) => connectByHttp(card, presented, sendWith(presented.certificate)),
      connectOwn: (plan, credentials) =>
        connect(url, {
          credentials,
          // The source of a certificate names the authority itself.
          ...(needsCertificate(plan) ? {} : { fetch: sendWith(undefined) }),
        }),
      async close() {
        await Promise.all(agents.map((agent) => agent.destroy()));
        await close();
      },
    };
  },
});

/** `agentFetchHandler`, without a server: the connection is what its hook says. */
const fetchBinding = (combination: Combination): Binding => ({
  name: `fetch handler, ${combination.binding} ${combination.version}`,
  // It calls by a fetch that is given, and that cannot present any.
  refusesCertificates: 'INVALID_OPTION',
  start(security) {
    const url = 'https://agent.example';
    const { card, requestHandler, callers } = agentAt(`${url}${pathOf(combination)}`, combination);
    const certificates = new WeakMap<Request, Presented['certificate']>();
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
    const received: Received[] = [];
    const sendWith =
      (certificate: Presented['certificate']): typeof fetch =>
      (input, init) => {
        const request = new Request(input, init);
        certificates.set(request, certificate);
        received.push({
          url: new URL(request.url),
          headers: request.headers,
          hasCertificate: certificate !== undefined,
        });
        return handle(request);
      };
    return Promise.resolve({
      card: security.publish(card),
      received,
      callers,
      connect: (presented) => connectByHttp(card, presented, sendWith(presented.certificate)),
      connectOwn: async (plan) =>
        clientByHttp(card, authenticatingFetch({ url, plan, fetch: sendWith(undefined) })),
      close: () => undefined,
    });
  },
});

/** A gRPC agent takes every connection for one by TLS, also where that ends before it. Proofs have to say so. */
const behindTls = (sources: Readonly<Record<string, CredentialSource>>) =>
  Object.fromEntries(
    Object.entries(sources).map(([id, source]): [string, CredentialSource] => [
      id,
      {
        ...source,
        credential({ http: { method, url }, ...rest }) {
          return source.credential({ ...rest, http: { method, url: url.replace(/^http:/, 'https:') } });
        },
      },
    ]),
  );

/** The gRPC service behind TLS, where clients may have a certificate, and in plain. */
const grpcBinding = (version: '1.0' | '0.3'): Binding => ({
  name: `gRPC ${version}`,
  lacks: ['query', 'cookie'],
  hidesUntrustedCertificates: true,
  async start(security) {
    const received: Received[] = [];
    const certified = new Set<string>();
    const record: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start(next) {
          next({
            onReceiveMetadata(metadata, pass) {
              received.push({
                url: new URL(`https://${call.getHost()}`),
                headers: new Headers(metadata.toHttp2Headers() as Record<string, string>),
                hasCertificate: certified.has(call.getPeer()),
              });
              pass(metadata);
            },
          });
        },
      });
    const grpc = new GrpcServer({ interceptors: [record] });
    const plainPort = await promisify(grpc.bindAsync.bind(grpc))(
      '127.0.0.1:0',
      ServerCredentials.createInsecure(),
    );
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const tls = createTlsServer({
      cert: await readFile(pki.server.certificate),
      key: await readFile(pki.server.key),
      ca,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    tls.on('secureConnection', (socket) => {
      if ('raw' in socket.getPeerCertificate()) {
        certified.add(`${String(socket.remoteAddress)}:${String(socket.remotePort)}`);
      }
      injector.injectConnection(socket);
    });
    await once(tls.listen(0, '127.0.0.1'), 'listening');
    const endpoint = `127.0.0.1:${String((tls.address() as AddressInfo).port)}`;
    const { card, requestHandler, callers } = agentAt(endpoint, { binding: 'GRPC', version });
    for (const { definition, implementation } of agentServices({ security, requestHandler })) {
      grpc.addService(definition, implementation);
    }
    const published = security.publish(card);
    const channelWith = perCertificate((certificate) =>
      certificate === undefined
        ? grpcCredentials.createSsl(ca)
        : grpcCredentials.createSsl(ca, Buffer.from(certificate.key), Buffer.from(certificate.cert)),
    );
    return {
      card: published,
      received,
      callers,
      connect: (presented) => connectByGrpc(card, presented, channelWith(presented.certificate)),
      connectOwn: async (plan, sources) => {
        // Only the source of a certificate names the authority.
        const url = needsCertificate(plan) ? `https://${endpoint}` : `http://127.0.0.1:${String(plainPort)}`;
        const credentials = needsCertificate(plan) ? sources : behindTls(sources);
        const interceptor = authenticatingInterceptor({ url, endpoint: url, card: published, credentials });
        return clientByGrpc(card, grpcCredentials.createInsecure(), { interceptors: [interceptor] });
      },
      close() {
        grpc.forceShutdown();
        tls.close();
      },
    };
  },
});

/** A new binding joins by a line. */
export const bindings: readonly Binding[] = [
  ...combinations.map(expressBinding),
  grpcBinding('1.0'),
  grpcBinding('0.3'),
  ...combinations.map(fetchBinding),
];

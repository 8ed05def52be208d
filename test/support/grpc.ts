import type { AgentCard } from '@a2a-js/sdk';
import { ClientFactory, type Client } from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';
import { LegacyA2AService } from '@a2a-js/sdk/compat/v0_3/server/grpc';
import { decodeErrorInfo, decodeStatus, GRPC_STATUS_DETAILS_BIN } from '@a2a-js/sdk/errors/grpc';
import { A2AService } from '@a2a-js/sdk/server/grpc';
import type { AgentSecurity, Operation } from '@a2a-auth/server';
import { agentServices } from '@a2a-auth/server/grpc';
import {
  credentials,
  Client as GrpcClient,
  InterceptingCall,
  Metadata,
  Server,
  ServerCredentials,
  type CallOptions,
  type ChannelCredentials,
  type Interceptor,
  type MethodDefinition,
  type ServiceDefinition,
  type ServerOptions,
  type StatusObject,
} from '@grpc/grpc-js';
import { afterAll, afterEach } from 'vitest';

import { agentCard, createAgent, textMessage } from './agent.js';
import { createSecurity, type Headers } from './credentials.js';

export const versions = ['1.0', '0.3'] as const;
export type Version = (typeof versions)[number];

type Closing = () => void;
const perTest = new Set<Closing>();
const perFile = new Set<Closing>();

function closeAll(all: Set<Closing>): void {
  for (const close of all) close();
  all.clear();
}

/** To be called once in a test file. */
export function closeGrpcAfterTests(): void {
  afterEach(() => {
    closeAll(perTest);
  });
  afterAll(() => {
    closeAll(perFile);
  });
}

/** Listens before there is anything to serve: the card wants to name the port. */
export async function listenGrpc(
  options: {
    readonly lifetime?: 'test' | 'file';
    readonly credentials?: ServerCredentials;
    readonly server?: ServerOptions;
  } = {},
) {
  const server = new Server(options.server);
  (options.lifetime === 'file' ? perFile : perTest).add(() => {
    server.forceShutdown();
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      '127.0.0.1:0',
      options.credentials ?? ServerCredentials.createInsecure(),
      (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      },
    );
  });
  return { server, port, address: `127.0.0.1:${String(port)}` };
}

/** The card of an agent that is served over gRPC alone. */
export function grpcCard(address: string, changes: Partial<AgentCard> = {}): AgentCard {
  return agentCard('', {
    supportedInterfaces: versions.map((protocolVersion) => ({
      url: address,
      protocolBinding: 'GRPC',
      protocolVersion,
      tenant: '',
    })),
    ...changes,
  });
}

export interface StartGrpcOptions {
  readonly lifetime?: 'test' | 'file';
  readonly security?: AgentSecurity<string>;
  readonly card?: Partial<AgentCard>;
  readonly credentials?: ServerCredentials;
  readonly server?: ServerOptions;
}

/** A whole agent over gRPC, in both versions. */
export async function startGrpcAgent({
  security = createSecurity(),
  card,
  ...options
}: StartGrpcOptions = {}) {
  const { server, port, address } = await listenGrpc(options);
  const ownCard = grpcCard(address, card);
  const agent = createAgent(ownCard);
  for (const { definition, implementation } of agentServices({
    security,
    requestHandler: agent.requestHandler,
  })) {
    server.addService(definition, implementation);
  }
  return { ...agent, server, port, address, card: ownCard, security };
}

export type RunningGrpcAgent = Awaited<ReturnType<typeof startGrpcAgent>>;

/** What a call ended with. */
export interface GrpcOutcome {
  readonly code: number;
  readonly details: string;
  readonly trailers: Metadata;
  /** What was received before. */
  readonly messages: readonly unknown[];
}

export const services: Readonly<Record<Version, ServiceDefinition>> = {
  '1.0': A2AService,
  '0.3': LegacyA2AService,
};

export interface GrpcMethod {
  readonly method: string;
  readonly operation: Operation;
  readonly request: unknown;
}

const tenant = '';
const config = { id: 'c-1', url: 'https://client.example/notify', token: '', authentication: undefined };
const configName = 'tasks/t-1/pushNotificationConfigs/c-1';

/** The message of a request of 0.3. */
function legacyMessage(text: string, contextId = 'my-context') {
  const { messageId, taskId, metadata, extensions } = textMessage(text);
  const content = [{ part: { $case: 'text', value: text } }];
  return { messageId, contextId, taskId, role: 1, content, metadata, extensions };
}

const sendMessage: Readonly<Record<Version, unknown>> = {
  '1.0': {
    tenant,
    message: textMessage('hello', { contextId: 'my-context' }),
    configuration: undefined,
    metadata: undefined,
  },
  '0.3': { request: legacyMessage('hello'), configuration: undefined, metadata: undefined },
};

/** Every method of each service. */
export const methods: Readonly<Record<Version, readonly GrpcMethod[]>> = {
  '1.0': [
    { method: 'sendMessage', operation: 'SendMessage', request: sendMessage['1.0'] },
    { method: 'sendStreamingMessage', operation: 'SendStreamingMessage', request: sendMessage['1.0'] },
    { method: 'getTask', operation: 'GetTask', request: { tenant, id: 't-1' } },
    {
      method: 'listTasks',
      operation: 'ListTasks',
      request: { tenant, contextId: '', status: 0, pageToken: '' },
    },
    { method: 'cancelTask', operation: 'CancelTask', request: { tenant, id: 't-1' } },
    { method: 'subscribeToTask', operation: 'SubscribeToTask', request: { tenant, id: 't-1' } },
    {
      method: 'createTaskPushNotificationConfig',
      operation: 'CreateTaskPushNotificationConfig',
      request: { tenant, taskId: 't-1', ...config },
    },
    {
      method: 'getTaskPushNotificationConfig',
      operation: 'GetTaskPushNotificationConfig',
      request: { tenant, taskId: 't-1', id: 'c-1' },
    },
    {
      method: 'listTaskPushNotificationConfigs',
      operation: 'ListTaskPushNotificationConfigs',
      request: { tenant, taskId: 't-1', pageSize: 0, pageToken: '' },
    },
    {
      method: 'deleteTaskPushNotificationConfig',
      operation: 'DeleteTaskPushNotificationConfig',
      request: { tenant, taskId: 't-1', id: 'c-1' },
    },
    { method: 'getExtendedAgentCard', operation: 'GetExtendedAgentCard', request: { tenant } },
  ],
  '0.3': [
    { method: 'sendMessage', operation: 'SendMessage', request: sendMessage['0.3'] },
    { method: 'sendStreamingMessage', operation: 'SendStreamingMessage', request: sendMessage['0.3'] },
    { method: 'getTask', operation: 'GetTask', request: { name: 'tasks/t-1', historyLength: 0 } },
    { method: 'cancelTask', operation: 'CancelTask', request: { name: 'tasks/t-1' } },
    { method: 'taskSubscription', operation: 'SubscribeToTask', request: { name: 'tasks/t-1' } },
    {
      method: 'createTaskPushNotificationConfig',
      operation: 'CreateTaskPushNotificationConfig',
      request: {
        parent: 'tasks/t-1',
        configId: 'c-1',
        config: { name: configName, pushNotificationConfig: config },
      },
    },
    {
      method: 'getTaskPushNotificationConfig',
      operation: 'GetTaskPushNotificationConfig',
      request: { name: configName },
    },
    {
      method: 'listTaskPushNotificationConfig',
      operation: 'ListTaskPushNotificationConfigs',
      request: { parent: 'tasks/t-1', pageSize: 0, pageToken: '' },
    },
    { method: 'getAgentCard', operation: 'GetExtendedAgentCard', request: {} },
    {
      method: 'deleteTaskPushNotificationConfig',
      operation: 'DeleteTaskPushNotificationConfig',
      request: { name: configName },
    },
  ],
};

export function metadataOf(headers: Readonly<Record<string, string | readonly string[]>>): Metadata {
  const metadata = new Metadata();
  for (const [name, values] of Object.entries(headers)) {
    for (const value of [values].flat()) metadata.add(name, value);
  }
  return metadata;
}

/** A channel to a server, closed after the test. */
export function channel(
  address: string,
  creds: ChannelCredentials = credentials.createInsecure(),
): GrpcClient {
  const client = new GrpcClient(address, creds);
  perTest.add(() => {
    client.close();
  });
  return client;
}

/** Starts a call of a method by its name in the service. */
export function startCall(
  client: GrpcClient,
  version: Version,
  method: string,
  request: unknown,
  headers: Metadata | Headers = {},
  options: CallOptions = {},
) {
  const definition = services[version][method] as MethodDefinition<unknown, unknown> | undefined;
  if (definition === undefined) throw new Error(`${method} is no method of ${version}.`);
  const metadata = headers instanceof Metadata ? headers : metadataOf(headers);
  if (metadata.get('a2a-version').length === 0) metadata.set('a2a-version', version);
  const { path, requestSerialize, responseDeserialize } = definition;
  const messages: unknown[] = [];
  // Every call as a stream, so that all of them end in one way.
  const call = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    metadata,
    options,
  );
  call.on('data', (message) => messages.push(message));
  const outcome = new Promise<GrpcOutcome>((resolve) => {
    call.on('error', () => undefined);
    call.on('status', ({ code, details, metadata: trailers }: StatusObject) => {
      resolve({ code, details, trailers, messages });
    });
  });
  return { call, messages, outcome };
}

/** Calls a method by its name in the service. */
export function callGrpc(
  address: string,
  ...args: Parameters<typeof startCall> extends [unknown, ...infer Rest] ? Rest : never
) {
  return startCall(channel(address), ...args).outcome;
}

/** The details of an error: each `google.protobuf.Any` of its `google.rpc.Status`, with `ErrorInfo` decoded. */
export function errorDetails({ trailers }: Pick<GrpcOutcome, 'trailers'>) {
  const [blob] = trailers.get(GRPC_STATUS_DETAILS_BIN);
  if (!Buffer.isBuffer(blob)) return undefined;
  const { code, message, details } = decodeStatus(blob);
  return {
    code,
    message,
    details: details.map(({ typeUrl, value }) =>
      typeUrl.endsWith('.ErrorInfo')
        ? { typeUrl, ...decodeErrorInfo(value) }
        : { typeUrl, value: value.toString('hex') },
    ),
  };
}

/** Puts a caller's credentials into the metadata of each call. */
function withHeaders(headers: Headers): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
        next(metadata, listener);
      },
    });
}

/** The official client over gRPC. */
export function connectGrpc(
  card: AgentCard,
  version: Version,
  headers: Headers = {},
  grpcChannelCredentials: ChannelCredentials = credentials.createInsecure(),
): Promise<Client> {
  const factory = new ClientFactory({
    transports: [
      new GrpcTransportFactory({
        grpcChannelCredentials,
        grpcCallOptions: { interceptors: [withHeaders(headers)] },
        legacyCompat: { enabled: true },
      }),
    ],
  });
  return factory.createFromAgentCard({
    ...card,
    supportedInterfaces: card.supportedInterfaces.filter(
      ({ protocolVersion }) => protocolVersion === version,
    ),
  });
}

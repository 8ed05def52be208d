import type { AgentCard } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';
import { authenticatingInterceptor, type AuthenticatingInterceptorOptions } from '@a2a-auth/client/grpc';
import {
  status,
  type Interceptor,
  type Metadata,
  type sendUnaryData,
  type ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';

import { agentCard } from '../../../../test/support/agent.js';
import { listenGrpc, metadataOf, services, type Version } from '../../../../test/support/grpc.js';
import { bearerScheme, cardJson } from './card.js';
import { countingSource } from './source.js';

/** What a scripted agent answers to a call. Left out: nothing, and OK. */
export interface GrpcAnswer {
  readonly initial?: Readonly<Record<string, string>>;
  readonly messages?: readonly unknown[];
  /** The end; `open` leaves a stream as it is. */
  readonly code?: status | 'open';
  readonly trailers?: Readonly<Record<string, string>>;
}

interface SeenCall {
  readonly path: string;
  readonly metadata: Metadata;
  readonly request: unknown;
}

type Call = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

/** One answer after the other, the last one forever; or what answers a call. */
export type Script = readonly GrpcAnswer[] | ((call: SeenCall) => GrpcAnswer);

/** A gRPC agent of both versions that answers by a script. */
export async function scriptedGrpc(script: Script, credentials?: ServerCredentials) {
  const { server, address } = await listenGrpc(credentials === undefined ? {} : { credentials });
  const seen: SeenCall[] = [];
  /** The tokens of calls that ended before the agent ended them, or at the same time. */
  const cancelled: string[] = [];
  const begin = (call: Call): GrpcAnswer => {
    const one = { path: call.getPath(), metadata: call.metadata, request: call.request };
    seen.push(one);
    call.on('cancelled', () => cancelled.push(tokenOf(one)));
    const answer =
      typeof script === 'function' ? script(one) : (script[Math.min(seen.length, script.length) - 1] ?? {});
    if (answer.initial !== undefined) call.sendMetadata(metadataOf(answer.initial));
    return answer;
  };
  const unary = (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
    const { messages = [], code = status.OK, trailers = {} } = begin(call);
    if (code === 'open') return;
    const metadata = metadataOf(trailers);
    if (code === status.OK) callback(null, messages[0], metadata);
    else callback({ code, details: 'Scripted.', metadata });
  };
  const streaming = (call: ServerWritableStream<unknown, unknown>) => {
    const { messages = [], code = status.OK, trailers = {} } = begin(call);
    for (const message of messages) call.write(message);
    const metadata = metadataOf(trailers);
    if (code === status.OK) call.end(metadata);
    else if (code !== 'open') call.emit('error', { code, details: 'Scripted.', metadata });
  };
  for (const service of Object.values(services)) {
    const methods = Object.entries(service).map(([name, { responseStream }]) => [
      name,
      responseStream ? streaming : unary,
    ]);
    server.addService(service, Object.fromEntries(methods) as never);
  }
  return { server, address, seen, cancelled };
}

/** The official client for this address, with this interceptor alone. */
export async function clientWith(address: string, interceptor: Interceptor, version: Version = '1.0') {
  const factory = new ClientFactory({
    transports: [
      new GrpcTransportFactory({
        grpcCallOptions: { interceptors: [interceptor] },
        legacyCompat: { enabled: true },
      }),
    ],
  });
  const card: AgentCard = {
    ...agentCard(''),
    supportedInterfaces: [{ url: address, protocolBinding: 'GRPC', protocolVersion: version, tenant: '' }],
  };
  return factory.createFromAgentCard(card);
}

/** A scripted agent with a bearer scheme, the official client for it, and the source of its tokens. */
export async function tokenAgent(
  script: Script,
  options: Partial<AuthenticatingInterceptorOptions> = {},
  version: Version = '1.0',
) {
  const agent = await scriptedGrpc(script);
  const source = countingSource();
  const tasks: unknown[] = [];
  const url = `http://${agent.address}`;
  const interceptor = authenticatingInterceptor({
    url,
    endpoint: agent.address,
    ...(options.plan === undefined
      ? { card: cardJson({ token: bearerScheme }, [{ token: [] }]), credentials: [source.source] }
      : {}),
    onAuthRequired: (task) => tasks.push(task),
    ...options,
  });
  return { agent, source, tasks, client: await clientWith(agent.address, interceptor, version) };
}

export const tokenOf = ({ metadata }: SeenCall) =>
  String(metadata.get('authorization')[0]).replace('Bearer ', '');

export const tokensOf = ({ seen }: { readonly seen: readonly SeenCall[] }) => seen.map(tokenOf);

/** A message of the caller, in the form of the SDK's encoder for a version. */
export const messageOf = (version: Version, messageId: string) => ({
  messageId,
  taskId: '',
  contextId: '',
  role: 1,
  metadata: undefined,
  extensions: [],
  ...(version === '1.0' ? { parts: [], referenceTaskIds: [] } : { content: [] }),
});

const authRequired = 8;

/** A task in auth-required, in the form of the SDK's encoder for a version. */
export function waitingTask(version: Version, fields: object = {}, data?: unknown) {
  const text = { $case: 'text', value: 'Log in.' };
  const isCurrent = version === '1.0';
  const parts = [
    isCurrent ? { content: text } : { part: text },
    ...(data === undefined
      ? []
      : [
          isCurrent
            ? { content: { $case: 'data', value: data } }
            : { part: { $case: 'data', value: { data } } },
        ]),
  ].map((part) => ({ mediaType: '', filename: '', metadata: undefined, ...part }));
  const message = {
    messageId: 'a-1',
    taskId: 't-1',
    contextId: 'c-1',
    role: 2,
    metadata: undefined,
    extensions: [],
    ...(isCurrent ? { parts, referenceTaskIds: [] } : { content: parts }),
  };
  const status = {
    state: authRequired,
    timestamp: undefined,
    ...(isCurrent ? { message } : { update: message }),
  };
  return { id: 't-1', contextId: 'c-1', artifacts: [], history: [], metadata: undefined, status, ...fields };
}

export const asTask = (value: unknown) => ({ payload: { $case: 'task', value } });

/** The same as a status-update. */
export function asUpdate({ id, status: value, contextId }: ReturnType<typeof waitingTask>, final = false) {
  return {
    payload: {
      $case: 'statusUpdate',
      value: { taskId: id, contextId, status: value, final, metadata: undefined },
    },
  };
}

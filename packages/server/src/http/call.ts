import { isMessageOperation, type Operation } from '../operation.js';
import { httpJsonTarget, isLegacyPath } from './http-json-route.js';
import { isLegacyVersion } from './version.js';

/** The bindings that are carried by plain HTTP, by their names on the card. */
export type HttpBinding = 'JSONRPC' | 'HTTP+JSON';

/** What one HTTP request asks for, as far as a denial or an error has to know. */
export interface HttpCall {
  readonly binding: HttpBinding;
  /** The version whose shapes the caller understands. */
  readonly protocolVersion: '1.0' | '0.3';
  readonly operation: Operation;
  /** The JSON-RPC id, when it is one. */
  readonly id: string | number | null;
  /** The context the caller's message belongs to, when it says so. */
  readonly contextId: string | undefined;
}

const jsonRpcMethods: Readonly<Record<string, Pick<HttpCall, 'operation' | 'protocolVersion'>>> = {
  SendMessage: { operation: 'SendMessage', protocolVersion: '1.0' },
  SendStreamingMessage: { operation: 'SendStreamingMessage', protocolVersion: '1.0' },
  GetTask: { operation: 'GetTask', protocolVersion: '1.0' },
  ListTasks: { operation: 'ListTasks', protocolVersion: '1.0' },
  CancelTask: { operation: 'CancelTask', protocolVersion: '1.0' },
  SubscribeToTask: { operation: 'SubscribeToTask', protocolVersion: '1.0' },
  CreateTaskPushNotificationConfig: { operation: 'CreateTaskPushNotificationConfig', protocolVersion: '1.0' },
  GetTaskPushNotificationConfig: { operation: 'GetTaskPushNotificationConfig', protocolVersion: '1.0' },
  ListTaskPushNotificationConfigs: { operation: 'ListTaskPushNotificationConfigs', protocolVersion: '1.0' },
  DeleteTaskPushNotificationConfig: { operation: 'DeleteTaskPushNotificationConfig', protocolVersion: '1.0' },
  GetExtendedAgentCard: { operation: 'GetExtendedAgentCard', protocolVersion: '1.0' },
  'message/send': { operation: 'SendMessage', protocolVersion: '0.3' },
  'message/stream': { operation: 'SendStreamingMessage', protocolVersion: '0.3' },
  'tasks/get': { operation: 'GetTask', protocolVersion: '0.3' },
  'tasks/cancel': { operation: 'CancelTask', protocolVersion: '0.3' },
  'tasks/resubscribe': { operation: 'SubscribeToTask', protocolVersion: '0.3' },
  'tasks/pushNotificationConfig/set': {
    operation: 'CreateTaskPushNotificationConfig',
    protocolVersion: '0.3',
  },
  'tasks/pushNotificationConfig/get': { operation: 'GetTaskPushNotificationConfig', protocolVersion: '0.3' },
  'tasks/pushNotificationConfig/list': {
    operation: 'ListTaskPushNotificationConfigs',
    protocolVersion: '0.3',
  },
  'tasks/pushNotificationConfig/delete': {
    operation: 'DeleteTaskPushNotificationConfig',
    protocolVersion: '0.3',
  },
  'agent/getAuthenticatedExtendedCard': { operation: 'GetExtendedAgentCard', protocolVersion: '0.3' },
};

/**
 * Reads a JSON-RPC request. The method names of the two versions differ in every case, so a known name tells the
 * version; for an unknown one the A2A-Version header does.
 *
 * @param body parsed, or undefined when there is none or it cannot be parsed
 */
export function jsonRpcCall(body: unknown, versionHeader: string | undefined): HttpCall {
  const { method, id, params } = asRecord(body);
  const known =
    typeof method === 'string' && Object.hasOwn(jsonRpcMethods, method) ? jsonRpcMethods[method] : undefined;
  return {
    binding: 'JSONRPC',
    protocolVersion: known?.protocolVersion ?? (isLegacyVersion(versionHeader) ? '0.3' : '1.0'),
    operation: known?.operation ?? 'unknown',
    id: typeof id === 'string' || (typeof id === 'number' && Number.isInteger(id)) ? id : null,
    contextId: contextIdOf(asRecord(asRecord(params).message)),
  };
}

/**
 * Reads an HTTP+JSON request: its method and the path below the interface's URL. The body matters for messages alone.
 *
 * @param body parsed, or undefined when there is none or it cannot be parsed
 */
export function httpJsonCall(
  method: string,
  path: string,
  body: unknown,
  versionHeader: string | undefined,
): HttpCall {
  const operation = httpJsonTarget(method, path, versionHeader)?.operation ?? 'unknown';
  const message = asRecord(isMessageOperation(operation) ? asRecord(body).message : undefined);
  return {
    binding: 'HTTP+JSON',
    protocolVersion: isLegacyPath(path, versionHeader) ? '0.3' : '1.0',
    operation,
    id: null,
    contextId: contextIdOf(message),
  };
}

/** A context id is echoed only when it is one that a client may sensibly have. */
export function contextIdOf(message: {
  readonly contextId?: unknown;
  readonly context_id?: unknown;
}): string | undefined {
  const contextId = message.contextId ?? message.context_id;
  return typeof contextId === 'string' && contextId !== '' && contextId.length <= 256 ? contextId : undefined;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

import type { Operation } from '@a2a-auth/server';

import type { Combination } from './client.js';

/** One way in which an operation is called on the wire. */
export interface WireCall {
  readonly operation: Operation;
  /** What tells calls of one operation apart, such as the method's name. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'DELETE' | 'PUT';
  /** Below the URL of the interface. */
  readonly path: string;
  readonly body?: unknown;
}

/** Which part of the wire table applies. */
export type Row = 'SendMessage' | 'SendStreamingMessage' | 'other';

export function rowOf({ operation }: WireCall): Row {
  return operation === 'SendMessage' || operation === 'SendStreamingMessage' ? operation : 'other';
}

export const message = {
  '1.0': { messageId: 'm-1', contextId: 'my-context', role: 'ROLE_USER', parts: [{ text: 'hello' }] },
  '0.3': {
    kind: 'message',
    messageId: 'm-1',
    contextId: 'my-context',
    role: 'user',
    parts: [{ kind: 'text', text: 'hello' }],
  },
  /** 0.3 over HTTP+JSON speaks the JSON of its protocol buffers. */
  '0.3 proto': { messageId: 'm-1', contextId: 'my-context', role: 'ROLE_USER', content: [{ text: 'hello' }] },
};

export function jsonRpc(method: unknown, params?: unknown, id: unknown = 'call-1') {
  return { jsonrpc: '2.0', id, method, params };
}

function rpc(operation: Operation, method: string, params: unknown): WireCall {
  return { operation, name: method, method: 'POST', path: '', body: jsonRpc(method, params) };
}

function http(operation: Operation, method: WireCall['method'], path: string, body?: unknown): WireCall {
  return { operation, name: `${method} ${path}`, method, path, body };
}

const config = { taskId: 't-1', id: 'c-1', url: 'https://client.example/notify' };

/** Every operation of A2A 1.0 §5.3 and of 0.3, as it is called on each binding, and calls that none of them knows. */
const calls: Record<Combination['binding'], Record<Combination['version'], readonly WireCall[]>> = {
  JSONRPC: {
    '1.0': [
      rpc('SendMessage', 'SendMessage', { message: message['1.0'] }),
      rpc('SendStreamingMessage', 'SendStreamingMessage', { message: message['1.0'] }),
      rpc('GetTask', 'GetTask', { id: 't-1' }),
      rpc('ListTasks', 'ListTasks', {}),
      rpc('CancelTask', 'CancelTask', { id: 't-1' }),
      rpc('SubscribeToTask', 'SubscribeToTask', { id: 't-1' }),
      rpc('CreateTaskPushNotificationConfig', 'CreateTaskPushNotificationConfig', config),
      rpc('GetTaskPushNotificationConfig', 'GetTaskPushNotificationConfig', { taskId: 't-1', id: 'c-1' }),
      rpc('ListTaskPushNotificationConfigs', 'ListTaskPushNotificationConfigs', { taskId: 't-1' }),
      rpc('DeleteTaskPushNotificationConfig', 'DeleteTaskPushNotificationConfig', {
        taskId: 't-1',
        id: 'c-1',
      }),
      rpc('GetExtendedAgentCard', 'GetExtendedAgentCard', undefined),
      rpc('unknown', 'NoSuchMethod', {}),
      rpc('unknown', 'sendMessage', { message: message['1.0'] }),
      rpc('unknown', 'constructor', {}),
      rpc('unknown', '__proto__', {}),
      rpc('unknown', '', {}),
    ],
    '0.3': [
      rpc('SendMessage', 'message/send', { message: message['0.3'] }),
      rpc('SendStreamingMessage', 'message/stream', { message: message['0.3'] }),
      rpc('GetTask', 'tasks/get', { id: 't-1' }),
      rpc('CancelTask', 'tasks/cancel', { id: 't-1' }),
      rpc('SubscribeToTask', 'tasks/resubscribe', { id: 't-1' }),
      rpc('CreateTaskPushNotificationConfig', 'tasks/pushNotificationConfig/set', {
        taskId: 't-1',
        pushNotificationConfig: { id: 'c-1', url: config.url },
      }),
      rpc('GetTaskPushNotificationConfig', 'tasks/pushNotificationConfig/get', {
        id: 't-1',
        pushNotificationConfigId: 'c-1',
      }),
      rpc('ListTaskPushNotificationConfigs', 'tasks/pushNotificationConfig/list', { id: 't-1' }),
      rpc('DeleteTaskPushNotificationConfig', 'tasks/pushNotificationConfig/delete', {
        id: 't-1',
        pushNotificationConfigId: 'c-1',
      }),
      rpc('GetExtendedAgentCard', 'agent/getAuthenticatedExtendedCard', undefined),
      rpc('unknown', 'tasks/list', {}),
      rpc('unknown', 'Message/Send', { message: message['0.3'] }),
      rpc('unknown', 'toString', {}),
    ],
  },
  'HTTP+JSON': {
    '1.0': [
      http('SendMessage', 'POST', '/message:send', { message: message['1.0'] }),
      http('SendMessage', 'POST', '/my-tenant/message:send', { message: message['1.0'] }),
      http('SendMessage', 'POST', '/message:send/', { message: message['1.0'] }),
      http('SendMessage', 'POST', '/Message:SEND', { message: message['1.0'] }),
      http('SendStreamingMessage', 'POST', '/message:stream', { message: message['1.0'] }),
      http('SendStreamingMessage', 'POST', '/v1/message:stream', { message: message['1.0'] }),
      http('GetTask', 'GET', '/tasks/t-1?historyLength=1'),
      http('ListTasks', 'GET', '/tasks?pageSize=10'),
      http('CancelTask', 'POST', '/tasks/t-1:cancel', {}),
      http('SubscribeToTask', 'GET', '/tasks/t-1:subscribe'),
      http('SubscribeToTask', 'POST', '/tasks/t-1:subscribe', {}),
      http('CreateTaskPushNotificationConfig', 'POST', '/tasks/t-1/pushNotificationConfigs', config),
      http('GetTaskPushNotificationConfig', 'GET', '/tasks/t-1/pushNotificationConfigs/c-1'),
      http('ListTaskPushNotificationConfigs', 'GET', '/tasks/t-1/pushNotificationConfigs'),
      http('DeleteTaskPushNotificationConfig', 'DELETE', '/tasks/t-1/pushNotificationConfigs/c-1'),
      http('GetExtendedAgentCard', 'GET', '/extendedAgentCard'),
      http('GetExtendedAgentCard', 'GET', '/my-tenant/extendedAgentCard'),
      http('unknown', 'GET', '/'),
      http('unknown', 'GET', '/no/such/path/at/all'),
      http('unknown', 'PUT', '/message:send', { message: message['1.0'] }),
      http('unknown', 'POST', '/message:sent', { message: message['1.0'] }),
      http('unknown', 'GET', '/__proto__'),
    ],
    '0.3': [
      http('SendMessage', 'POST', '/v1/message:send', { message: message['0.3 proto'] }),
      http('SendMessage', 'POST', '/V1/Message:Send', { message: message['0.3 proto'] }),
      http('SendStreamingMessage', 'POST', '/v1/message:stream', { message: message['0.3 proto'] }),
      http('GetTask', 'GET', '/v1/tasks/t-1'),
      http('CancelTask', 'POST', '/v1/tasks/t-1:cancel'),
      http('SubscribeToTask', 'GET', '/v1/tasks/t-1:subscribe'),
      http('SubscribeToTask', 'POST', '/v1/tasks/t-1:subscribe'),
      http('CreateTaskPushNotificationConfig', 'POST', '/v1/tasks/t-1/pushNotificationConfigs', {
        name: 'tasks/t-1/pushNotificationConfigs/c-1',
        pushNotificationConfig: { id: 'c-1', url: config.url },
      }),
      http('GetTaskPushNotificationConfig', 'GET', '/v1/tasks/t-1/pushNotificationConfigs/c-1'),
      http('ListTaskPushNotificationConfigs', 'GET', '/v1/tasks/t-1/pushNotificationConfigs'),
      http('DeleteTaskPushNotificationConfig', 'DELETE', '/v1/tasks/t-1/pushNotificationConfigs/c-1'),
      http('GetExtendedAgentCard', 'GET', '/v1/card'),
      http('GetExtendedAgentCard', 'GET', '/V1/CARD/'),
      http('unknown', 'GET', '/v1/no/such/path'),
      http('unknown', 'POST', '/v1/message:sent', { message: message['0.3 proto'] }),
    ],
  },
};

export function callsOf({ binding, version }: Combination): readonly WireCall[] {
  return calls[binding][version];
}

/** Sends a call; its body goes out as JSON. */
export function send(
  interfaceUrl: string,
  { version }: Pick<Combination, 'version'>,
  call: Pick<WireCall, 'method' | 'path' | 'body'>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(`${interfaceUrl}${call.path}`, {
    method: call.method,
    headers: {
      'A2A-Version': version,
      ...(call.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  });
}

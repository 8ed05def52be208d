import {
  A2A_CONTENT_TYPE,
  formatSSEEvent,
  SSE_HEADERS,
  StreamResponse,
  Task,
  type Message,
} from '@a2a-js/sdk';
import { A2A_ERROR_CODE, ERROR_INFO_TYPE } from '@a2a-js/sdk/errors';

import { authRequiredTask, denialSentence } from '../auth-required-task.js';
import { renderChallenge } from '../challenge.js';
import { denialStatuses, type Denied } from '../decision.js';
import { isMessageOperation } from '../operation.js';
import type { HttpCall } from './call.js';

/** A response to be written as it is. */
export interface HttpResponse {
  readonly status: number;
  /** By lower-case name; several values are several fields. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
}

/** What one caller is answered is nobody else's: no cache may keep it (RFC 9111 §5.2.2.5). */
export const NO_STORE = { 'cache-control': 'no-store' } as const;

/** How an agent presents denials; see `AgentSecurityOptions`. */
export interface Presentation {
  readonly denials: { readonly messages: 'task' | 'http'; readonly others: 'http' | 'jsonrpc' };
  readonly agentCardUrl: string | undefined;
}

/**
 * Presents a denial on the HTTP bindings: messages get an auth-required task with HTTP 200, everything else its status.
 * A caller who may simply try again later is told so by the status in every case.
 */
export function denialResponse(denied: Denied, call: HttpCall, presentation: Presentation): HttpResponse {
  const headers = {
    ...Object.fromEntries(denied.challenges.flatMap(({ headers: fields = {} }) => Object.entries(fields))),
    ...(denied.challenges.length === 0 ? {} : { 'www-authenticate': denied.challenges.map(renderChallenge) }),
    ...(denied.retryAfter === undefined ? {} : { 'retry-after': String(Math.ceil(denied.retryAfter)) }),
  };
  const temporary = denied.retryAfter !== undefined;
  if (!temporary && isMessageOperation(call.operation) && presentation.denials.messages === 'task') {
    const task = authRequiredTask(denied, {
      contextId: call.contextId,
      agentCardUrl: presentation.agentCardUrl,
    });
    return call.operation === 'SendMessage'
      ? taskResponse(task, call, headers)
      : streamResponse(task, call, headers);
  }
  const inBand = !temporary && call.binding === 'JSONRPC' && presentation.denials.others === 'jsonrpc';
  const { http, code } = denialStatuses[denied.reason];
  return errorResponse(call, {
    status: isMessageOperation(call.operation) || !inBand ? http : 200,
    statusName: code,
    jsonRpcCode: A2A_ERROR_CODE.INVALID_REQUEST,
    message: denialSentence(denied),
    headers,
    info: { '@type': ERROR_INFO_TYPE, ...denialInfo(denied, presentation.agentCardUrl) },
  });
}

/** What a `google.rpc.ErrorInfo` tells of a denial. */
export function denialInfo(denied: Denied, agentCardUrl: string | undefined) {
  return {
    reason: denied.reason.toUpperCase(),
    domain: 'a2a-auth',
    metadata: {
      ...(denied.missingScopes.length === 0 ? {} : { missingScopes: denied.missingScopes.join(' ') }),
      ...(agentCardUrl === undefined ? {} : { agentCardUrl }),
    },
  };
}

/** An error in the shape of the call's binding and version. */
export function errorResponse(
  call: HttpCall,
  error: {
    readonly status: number;
    /** The `google.rpc.Code` by name. */
    readonly statusName: string;
    readonly jsonRpcCode: number;
    readonly message: string;
    /** A `google.rpc.ErrorInfo`. */
    readonly info?: Readonly<Record<string, unknown>>;
    readonly headers?: HttpResponse['headers'];
  },
): HttpResponse {
  const details = error.info === undefined ? [] : [error.info];
  const bare = {
    code: error.jsonRpcCode,
    message: error.message,
    ...(details.length === 0 ? {} : { data: details }),
  };
  const status = { code: error.status, status: error.statusName, message: error.message, details };
  const body =
    call.binding === 'JSONRPC'
      ? { jsonrpc: '2.0', id: call.id, error: bare }
      : call.protocolVersion === '0.3'
        ? bare
        : { error: status };
  return jsonResponse(error.status, call, body, error.headers);
}

function taskResponse(task: Task, call: HttpCall, headers: HttpResponse['headers']): HttpResponse {
  if (call.binding === 'JSONRPC') {
    const result = call.protocolVersion === '0.3' ? legacyTask(task) : { task: Task.toJSON(task) };
    return jsonResponse(200, call, { jsonrpc: '2.0', id: call.id, result }, headers);
  }
  const result =
    call.protocolVersion === '0.3' ? { task: legacyProtoTask(task) } : { task: Task.toJSON(task) };
  return jsonResponse(200, call, result, headers);
}

/**
 * The SDK's, without Connection: whether the connection stays open is not for a response to say (RFC 9110 §7.6.1), and
 * HTTP/2 forbids the field. Its `no-cache` would let a cache keep the stream.
 */
export const SSE_RESPONSE_HEADERS: HttpResponse['headers'] = {
  ...Object.fromEntries(
    Object.entries<string>(SSE_HEADERS)
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => name !== 'connection'),
  ),
  ...NO_STORE,
};

/** One event, and the stream is over. In 0.3 only a status-update can say that it is the last (`final`). */
function streamResponse(task: Task, call: HttpCall, headers: HttpResponse['headers']): HttpResponse {
  const { id: taskId, contextId } = task;
  const event =
    call.protocolVersion === '1.0'
      ? StreamResponse.toJSON({ payload: { $case: 'task', value: task } })
      : call.binding === 'JSONRPC'
        ? { kind: 'status-update', taskId, contextId, status: legacyTask(task).status, final: true }
        : { statusUpdate: { taskId, contextId, status: legacyProtoTask(task).status, final: true } };
  return {
    status: 200,
    headers: { ...SSE_RESPONSE_HEADERS, ...headers },
    body: formatSSEEvent(call.binding === 'JSONRPC' ? { jsonrpc: '2.0', id: call.id, result: event } : event),
  };
}

/** The task in the JSON of A2A 0.3. */
function legacyTask(task: Task) {
  const { message, timestamp } = statusOf(task);
  return {
    kind: 'task',
    id: task.id,
    contextId: task.contextId,
    status: {
      state: 'auth-required',
      timestamp,
      message: {
        kind: 'message',
        messageId: message.messageId,
        taskId: task.id,
        contextId: task.contextId,
        role: 'agent',
        parts: message.parts.map(({ content }) => ({
          kind: content?.$case,
          [content?.$case ?? '']: content?.value as unknown,
        })),
      },
    },
  };
}

/** The task in the JSON of the A2A 0.3 protocol buffers, which HTTP+JSON speaks. */
function legacyProtoTask(task: Task) {
  const { message, timestamp } = statusOf(task);
  return {
    id: task.id,
    contextId: task.contextId,
    status: {
      state: 'TASK_STATE_AUTH_REQUIRED',
      timestamp,
      message: {
        messageId: message.messageId,
        taskId: task.id,
        contextId: task.contextId,
        role: 'ROLE_AGENT',
        content: message.parts.map(({ content }) =>
          content?.$case === 'data'
            ? { data: { data: content.value as unknown } }
            : { text: content?.value as unknown },
        ),
      },
    },
  };
}

function statusOf(task: Task): { message: Message; timestamp: string | undefined } {
  const { status } = task;
  if (status?.message === undefined) throw new TypeError('An auth-required task has a status message.');
  return { message: status.message, timestamp: status.timestamp };
}

/** A JSON body of the content type that the call's binding and version have. */
export function jsonResponse(
  status: number,
  call: HttpCall,
  body: unknown,
  headers: HttpResponse['headers'] = {},
): HttpResponse {
  const type =
    call.binding === 'HTTP+JSON' && call.protocolVersion === '1.0' ? A2A_CONTENT_TYPE : 'application/json';
  return { status, headers: { 'content-type': type, ...NO_STORE, ...headers }, body: JSON.stringify(body) };
}

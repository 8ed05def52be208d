import { isObject, member, text, type JsonObject } from './card/json.js';
import type { SentMessage } from './denial.js';

const methods = new Set(['SendMessage', 'SendStreamingMessage', 'message/send', 'message/stream']);

/** What a request sends, when it is a message operation of the JSON-RPC or the HTTP+JSON binding. */
export function sentMessage(method: string, url: string, body: string | undefined): SentMessage | undefined {
  if (method !== 'POST' || body === undefined) return undefined;
  const request = parseJson(body);
  if (!isObject(request)) return undefined;
  const isRpc = request.jsonrpc === '2.0';
  const isMessage = isRpc
    ? methods.has(String(request.method))
    : /\/message:(send|stream)$/.test(new URL(url).pathname);
  const params = isRpc ? request.params : request;
  return isMessage && isObject(params) ? messageIn(params) : undefined;
}

/** What the parameters of a message operation send, in the form of any binding and version. */
export function messageIn(params: JsonObject): SentMessage | undefined {
  // The JSON of the 0.3 protocol buffers calls it `request`.
  const message = member(params, 'message', 'request');
  if (!isObject(message)) return undefined;
  const configuration = member(params, 'configuration');
  const historyLength = isObject(configuration)
    ? member(configuration, 'historyLength', 'history_length')
    : undefined;
  return {
    messageId: named(message, 'messageId', 'message_id'),
    taskId: named(message, 'taskId', 'task_id'),
    historyLength: typeof historyLength === 'number' ? historyLength : undefined,
  };
}

/** In the JSON of protocol buffers, an empty text is one that is not there. */
function named(message: JsonObject, ...names: readonly string[]): string | undefined {
  const value = text(message, ...names);
  return value === '' ? undefined : value;
}

/** @returns undefined for what is no JSON */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

import { A2A_ERROR_CODE, toJsonRpcError } from '@a2a-js/sdk/errors';
import { validateVersion } from '@a2a-js/sdk/server';
import { SendMessageRequest, TaskPushNotificationConfig, type AgentCard } from '@a2a-js/sdk';

import { isMessageOperation } from '../operation.js';
import type { HttpCall } from './call.js';
import { errorResponse, type HttpResponse } from './response.js';

/** Protocol buffers' own limit for JSON; the SDK's codecs are recursive. */
const MAX_DEPTH = 100;

/**
 * What an authenticated caller gets whose request the SDK would answer with a server error, or with HTTP 200 although
 * nothing in it is a request.
 *
 * @returns undefined when the request can go on to the SDK
 */
export function requestProblem(
  call: HttpCall,
  body: unknown,
  versionHeader: string | undefined,
  card: AgentCard,
): HttpResponse | undefined {
  const invalid = (message: string, jsonRpcCode: number = A2A_ERROR_CODE.INVALID_REQUEST) =>
    errorResponse(call, { status: 400, statusName: 'INVALID_ARGUMENT', jsonRpcCode, message });

  if (isDeeperThan(body, MAX_DEPTH)) {
    return invalid(`The body is nested more than ${String(MAX_DEPTH)} levels deep.`);
  }
  if (call.binding === 'JSONRPC' && body !== undefined) {
    if (Array.isArray(body)) return invalid('JSON-RPC batches are not supported.');
    if (typeof body !== 'object' || body === null) return invalid('The body is not a JSON-RPC request object.');
    if (typeof (body as { method?: unknown }).method !== 'string') return invalid('"method" is not a string.');
  }
  try {
    validateVersion(versionHeader === undefined || versionHeader === '' ? '0.3' : versionHeader, card, call.binding);
  } catch (error) {
    const { code, message } = toJsonRpcError(error);
    return errorResponse(call, { status: 400, statusName: 'FAILED_PRECONDITION', jsonRpcCode: code, message });
  }
  if (call.binding === 'HTTP+JSON' && call.protocolVersion === '1.0' && !isReadable(call, body)) {
    return invalid('The body does not have the shape of this operation.', A2A_ERROR_CODE.INVALID_PARAMS);
  }
  return undefined;
}

/** The SDK's codecs throw on some wrong types, which the SDK then answers with HTTP 500. */
function isReadable(call: HttpCall, body: unknown): boolean {
  try {
    if (isMessageOperation(call.operation)) SendMessageRequest.fromJSON(body ?? {});
    if (call.operation === 'CreateTaskPushNotificationConfig') TaskPushNotificationConfig.fromJSON(body ?? {});
    return true;
  } catch {
    return false;
  }
}

/** Walks level by level, because recursion is what a deep body attacks. */
function isDeeperThan(value: unknown, limit: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}

import { A2A_ERROR_CODE, toJsonRpcError } from '@a2a-js/sdk/errors';
import { validateVersion } from '@a2a-js/sdk/server';
import type { AgentCard } from '@a2a-js/sdk';

import type { HttpCall } from './call.js';
import { hasQueryShape, hasRequestShape } from './request-shape.js';
import { errorResponse, type HttpResponse } from './response.js';

/** Protocol buffers' own limit for JSON; the SDK's codecs are recursive. */
const MAX_DEPTH = 100;

/**
 * What an authenticated caller gets whose request the SDK would answer with a server error, or with HTTP 200 although
 * nothing in it is a request.
 *
 * @param request its body, and its query as the framework parsed it
 * @returns undefined when the request can go on to the SDK
 */
export function requestProblem(
  call: HttpCall,
  request: { readonly body: unknown; readonly query: unknown },
  versionHeader: string | undefined,
  card: AgentCard,
): HttpResponse | undefined {
  const { body, query } = request;
  const refuse = (message: string, jsonRpcCode: number, status: number) =>
    errorResponse(call, { status, statusName: 'INVALID_ARGUMENT', jsonRpcCode, message });
  const invalid = (message: string) => refuse(message, A2A_ERROR_CODE.INVALID_REQUEST, 400);
  // A JSON-RPC request that is one, and whose parameters are wrong, is answered as the SDK answers them: with HTTP 200.
  const invalidParams = (message: string) =>
    refuse(message, A2A_ERROR_CODE.INVALID_PARAMS, call.binding === 'JSONRPC' ? 200 : 400);

  if (isDeeperThan(body, MAX_DEPTH)) {
    return invalid(`The body is nested more than ${String(MAX_DEPTH)} levels deep.`);
  }
  if (call.binding === 'JSONRPC' && body !== undefined) {
    if (Array.isArray(body)) return invalid('JSON-RPC batches are not supported.');
    if (typeof body !== 'object' || body === null)
      return invalid('The body is not a JSON-RPC request object.');
    if (typeof (body as { method?: unknown }).method !== 'string')
      return invalid('"method" is not a string.');
  }
  try {
    validateVersion(
      versionHeader === undefined || versionHeader === '' ? '0.3' : versionHeader,
      card,
      call.binding,
    );
  } catch (error) {
    const { code, message, data } = toJsonRpcError(error);
    const info = data?.[0] as Readonly<Record<string, unknown>> | undefined;
    return errorResponse(call, {
      status: 400,
      statusName: 'FAILED_PRECONDITION',
      jsonRpcCode: code,
      message,
      ...(info === undefined ? {} : { info }),
    });
  }
  if (
    !hasRequestShape(call.binding === 'JSONRPC' ? (body as { params?: unknown } | undefined)?.params : body)
  ) {
    return invalidParams('The request does not have the shape of an A2A operation.');
  }
  if (call.binding === 'HTTP+JSON' && !hasQueryShape(query)) {
    return invalidParams('A query parameter is repeated, or has parts.');
  }
  return undefined;
}

/** Goes no deeper than the limit, because recursion is what a deep body attacks. */
function isDeeperThan(value: unknown, limit: number): boolean {
  if (limit < 0) return true;
  if (typeof value !== 'object' || value === null) return false;
  for (const item of Object.values(value)) {
    if (isDeeperThan(item, limit - 1)) return true;
  }
  return false;
}

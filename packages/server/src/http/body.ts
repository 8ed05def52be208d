import { A2A_CONTENT_TYPE, A2A_VERSION_HEADER } from '@a2a-js/sdk';
import { A2A_ERROR_CODE } from '@a2a-js/sdk/errors';
import type { RequestHeaders } from '@a2a-js/sdk/server';

import type { HttpBinding, HttpCall } from './call.js';
import { errorResponse, type HttpResponse } from './response.js';

/** As the SDK's. */
export const DEFAULT_BODY_LIMIT = 102_400;

/**
 * What a body may be sent as. Anything else is refused: a form on another site can send a body with the caller's cookies,
 * but cannot name these types without asking first (CORS).
 */
export const bodyTypes: Readonly<Record<HttpBinding, readonly string[]>> = {
  JSONRPC: ['application/json'],
  'HTTP+JSON': ['application/json', A2A_CONTENT_TYPE],
};

/**
 * Whether another site may have sent a request without a body, such as one to cancel a task: browsers name the site, and send
 * the caller's cookies, password or client certificate along. They ask first (CORS) before they send a type or a header
 * that no form has.
 */
export function mayBeForged(binding: HttpBinding, method: string, headers: RequestHeaders): boolean {
  const { origin, 'content-type': type, [A2A_VERSION_HEADER.toLowerCase()]: version } = headers;
  return (
    method === 'POST' &&
    origin !== undefined &&
    version === undefined &&
    !bodyTypes[binding].includes(mediaTypeOf([type].flat().join()))
  );
}

/** A content type without its parameters. */
export function mediaTypeOf(contentType: string | null | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** The body of a request, undefined when there is none, or what is wrong with it. */
export type ParsedBody = { readonly body: unknown } | { readonly error: Error };

/** What is wrong with a body, as body parsers say it. */
export function bodyError(status: number, type: string, message: string): Error {
  return Object.assign(new Error(message), { status, type });
}

export const notSentAsJson = () => bodyError(415, 'media.type.unsupported', 'The body is not sent as JSON.');
export const notJson = () => bodyError(400, 'entity.parse.failed', 'The body is not JSON.');

/** An error of a body parser, as 413 or another 4xx, in the shape of the binding. */
export function bodyErrorResponse(call: HttpCall, error: unknown): HttpResponse {
  const { status, type } = error as { status?: unknown; type?: unknown };
  const code = typeof status === 'number' && status >= 400 && status < 500 ? status : 400;
  const messages: Readonly<Record<number, string>> = {
    413: 'The body is too large.',
    415: 'The media type or the encoding of the body is not supported.',
  };
  return errorResponse(call, {
    status: code,
    statusName: code === 413 ? 'OUT_OF_RANGE' : 'INVALID_ARGUMENT',
    jsonRpcCode:
      type === 'entity.parse.failed'
        ? A2A_ERROR_CODE.PARSE_ERROR
        : code === 415
          ? A2A_ERROR_CODE.CONTENT_TYPE_NOT_SUPPORTED
          : A2A_ERROR_CODE.INVALID_REQUEST,
    message: messages[code] ?? 'The body cannot be read.',
  });
}

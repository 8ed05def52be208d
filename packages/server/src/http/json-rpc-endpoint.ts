import { Extensions, HTTP_EXTENSION_HEADER } from '@a2a-js/sdk';
import { LEGACY_HTTP_EXTENSION_HEADER } from '@a2a-js/sdk/compat/v0_3';
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import { A2A_ERROR_CODE } from '@a2a-js/sdk/errors';
import {
  JsonRpcTransportHandler,
  type A2ARequestHandler,
  type RequestHeaders,
  type ServerCallContextBuilder,
  type User,
} from '@a2a-js/sdk/server';

import { jsonRpcCall } from './call.js';
import { errorResponse, NO_STORE, type HttpResponse } from './response.js';
import { eventStream, type HttpStream } from './stream.js';

/** A JSON-RPC request of a caller who was let in. */
export interface JsonRpcRequest {
  readonly body: unknown;
  /** By lower-case name. */
  readonly headers: RequestHeaders;
  readonly user: User;
}

const extensionHeaders = {
  '1.0': HTTP_EXTENSION_HEADER.toLowerCase(),
  '0.3': LEGACY_HTTP_EXTENSION_HEADER.toLowerCase(),
} as const;

/**
 * JSON-RPC over HTTP on the SDK's transport handlers, 1.0 and 0.3, for whatever brings requests: what the SDK's
 * `jsonRpcHandler` does for Express, without Express.
 *
 * @param requestHandler what `AgentSecurity.protect()` returned
 */
export function jsonRpcEndpoint(
  requestHandler: A2ARequestHandler,
  buildContext: ServerCallContextBuilder,
): (request: JsonRpcRequest) => Promise<HttpResponse | HttpStream> {
  const handlers = {
    '1.0': new JsonRpcTransportHandler(requestHandler),
    '0.3': new LegacyJsonRpcTransportHandler(requestHandler),
  };

  return async ({ body, headers, user }) => {
    if (body === undefined) return noRequest(single(headers['a2a-version']));
    // The SDK goes by the header alone: absent, or 0.3 to the letter, is the older protocol.
    const versionHeader = single(headers['a2a-version']);
    const requestedVersion = versionHeader === '' ? undefined : versionHeader;
    const version = (requestedVersion ?? '0.3') === '0.3' ? '0.3' : '1.0';
    const extensionHeader = extensionHeaders[version];
    const context = buildContext({
      user,
      headers,
      extensions: Extensions.parseServiceParameter(
        single(headers[extensionHeader]) ?? single(headers[extensionHeaders['1.0']]),
      ),
      ...(requestedVersion === undefined ? {} : { requestedVersion }),
    });
    const answer: unknown = await handlers[version].handle(body as Record<string, unknown>, context);
    const { activatedExtensions } = context;
    const extra = activatedExtensions === undefined ? none : { [extensionHeader]: activatedExtensions };
    if (!isStream(answer)) return jsonRpcResponse(answer, extra);

    // The first event decides whether there is a stream at all.
    const { id = null, method } = body as { id?: string | number | null; method?: unknown };
    const errorOf = (error: unknown) => ({ jsonrpc: '2.0', id, error: mapError[version](error) });
    const form = { jsonOf: (event: unknown) => event, errorOf, headers: extra };
    if (version === '0.3' && method === 'tasks/resubscribe') return eventStream(answer, form, user);
    try {
      return eventStream(answer, form, user, await answer.next());
    } catch (error) {
      return jsonRpcResponse(errorOf(error), extra);
    }
  };
}

/** The SDK would answer with HTTP 200. */
function noRequest(versionHeader: string | undefined): HttpResponse {
  return errorResponse(jsonRpcCall(undefined, versionHeader), {
    status: 400,
    statusName: 'INVALID_ARGUMENT',
    jsonRpcCode: A2A_ERROR_CODE.INVALID_REQUEST,
    message: 'There is no body.',
  });
}

/** The answer to a JSON-RPC request that is not sent by POST. */
export function wrongJsonRpcMethod(versionHeader: string | undefined): HttpResponse {
  return errorResponse(jsonRpcCall(undefined, versionHeader), {
    status: 405,
    statusName: 'UNIMPLEMENTED',
    jsonRpcCode: A2A_ERROR_CODE.INVALID_REQUEST,
    message: 'JSON-RPC requests are sent by POST.',
    headers: { allow: 'POST' },
  });
}

const mapError = {
  '1.0': (error: unknown) => JsonRpcTransportHandler.mapToJSONRPCError(error),
  '0.3': (error: unknown) => LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError(error),
};

const none: HttpResponse['headers'] = {};
const jsonHeaders: HttpResponse['headers'] = { 'content-type': 'application/json', ...NO_STORE };

function jsonRpcResponse(body: unknown, extra: HttpResponse['headers']): HttpResponse {
  return {
    status: 200,
    headers: extra === none ? jsonHeaders : { ...jsonHeaders, ...extra },
    body: JSON.stringify(body),
  };
}

function isStream(answer: unknown): answer is AsyncGenerator<unknown, void, undefined> {
  return (
    typeof (answer as { [Symbol.asyncIterator]?: unknown } | null)?.[Symbol.asyncIterator] === 'function'
  );
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

import { Extensions } from '@a2a-js/sdk';
import { A2A_ERROR_CODE, ContentTypeNotSupportedError } from '@a2a-js/sdk/errors';
import type {
  A2ARequestHandler,
  RequestHeaders,
  ServerCallContext,
  ServerCallContextBuilder,
  User,
} from '@a2a-js/sdk/server';

import { bodyTypes, mediaTypeOf } from './body.js';
import { httpJsonCall, type HttpCall } from './call.js';
import type { HttpJsonCommand, HttpJsonDialect, HttpJsonQuery } from './http-json-dialect.js';
import { httpJsonOperations } from './http-json-operations.js';
import { httpJsonMethods, httpJsonTarget, type HttpJsonTarget } from './http-json-route.js';
import { legacyHttpJsonOperations } from './legacy-http-json-operations.js';
import { errorResponse, NO_STORE, type HttpResponse } from './response.js';
import { eventStream, type HttpStream } from './stream.js';

/** An HTTP+JSON request of a caller who was let in. */
export interface HttpJsonRequest {
  readonly method: string;
  /** Below the URL of the interface, still encoded. */
  readonly path: string;
  readonly query: HttpJsonQuery;
  /** An object, or nothing. */
  readonly body: unknown;
  /** By lower-case name. */
  readonly headers: RequestHeaders;
  readonly user: User;
}

/**
 * HTTP+JSON on the SDK's request handler, 1.0 and 0.3, for whatever brings requests: what the SDK's `restHandler` does
 * for Express, without Express. To stand behind the gate, which has looked at the version and the shape of the request.
 *
 * @param requestHandler what `AgentSecurity.protect()` returned
 * @returns a function that resolves to undefined when no route has the method and the path
 */
export function httpJsonEndpoint(
  requestHandler: A2ARequestHandler,
  buildContext: ServerCallContextBuilder,
): (request: HttpJsonRequest) => Promise<HttpResponse | HttpStream | undefined> {
  const current = httpJsonOperations(requestHandler);
  const legacy = legacyHttpJsonOperations(requestHandler);

  return async (request) => {
    const { method, path, headers } = request;
    const versionHeader = single(headers['a2a-version']);
    const target = httpJsonTarget(method, path, versionHeader);
    if (target?.protocolVersion === '0.3') {
      const command = commandOf(target, request);
      return command === undefined ? undecodable(callOf(request)) : answer(legacy, command, buildContext);
    }
    // 1.0 minds the type of a body that is not there, too.
    const contentType = single(headers['content-type']) ?? '';
    if (contentType !== '' && !bodyTypes['HTTP+JSON'].includes(mediaTypeOf(contentType))) {
      const message = `Unsupported Content-Type "${contentType}"; expected application/json or application/a2a+json.`;
      return errorAnswer(current, new ContentTypeNotSupportedError(message));
    }
    if (target === undefined) return undefined;
    const command = commandOf(target, request);
    return command === undefined ? undecodable(callOf(request)) : answer(current, command, buildContext);
  };
}

async function answer<Event>(
  dialect: HttpJsonDialect<Event>,
  command: HttpJsonCommand,
  buildContext: ServerCallContextBuilder,
): Promise<HttpResponse | HttpStream> {
  const { headers, user, tenant } = command;
  const version = single(headers['a2a-version']) ?? '';
  const extensionHeader = dialect.extensionHeaders.find((name) => headers[name] !== undefined);
  const context = buildContext({
    user,
    headers,
    extensions: Extensions.parseServiceParameter(
      extensionHeader === undefined ? undefined : single(headers[extensionHeader]),
    ),
    ...(version === '' ? {} : { requestedVersion: version }),
    ...(tenant === undefined ? {} : { tenant }),
  });
  try {
    const result = await dialect.run(command, context);
    if (!('events' in result)) {
      return response(dialect, result.status, result.json, extensionsOf(dialect, context));
    }
    // The first event decides whether there is a stream at all.
    const first = await result.events.next().catch((error: unknown) => ({ error }));
    const extra = extensionsOf(dialect, context);
    if ('error' in first) return errorAnswer(dialect, first.error, extra);
    const form = {
      jsonOf: (event: Event) => dialect.jsonOf(event),
      errorOf: (error: unknown) => dialect.errorOf(error).json,
      headers: extra,
    };
    return eventStream(result.events, form, user, first);
  } catch (error) {
    return errorAnswer(dialect, error);
  }
}

/** Undefined when the path cannot be decoded. */
function commandOf(target: HttpJsonTarget, request: HttpJsonRequest): HttpJsonCommand | undefined {
  const { operation, taskId = '', configId = '', tenant } = target;
  const { query, body, headers, user } = request;
  try {
    return {
      operation,
      taskId: decodeURIComponent(taskId),
      configId: decodeURIComponent(configId),
      tenant: tenant === undefined ? undefined : decodeURIComponent(tenant),
      query,
      body: typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {},
      headers,
      user,
    };
  } catch {
    return undefined;
  }
}

function callOf({ method, path, headers }: HttpJsonRequest): HttpCall {
  return httpJsonCall(method, path, undefined, single(headers['a2a-version']));
}

function undecodable(call: HttpCall): HttpResponse {
  return errorResponse(call, {
    status: 400,
    statusName: 'INVALID_ARGUMENT',
    jsonRpcCode: A2A_ERROR_CODE.INVALID_REQUEST,
    message: 'The path cannot be decoded.',
  });
}

/** The answer to a request that no route has, where there is nobody to pass it on to. */
export function noHttpJsonRoute(request: HttpJsonRequest): HttpResponse {
  const { method, path, headers } = request;
  const call = callOf(request);
  const allowed = httpJsonMethods(path, single(headers['a2a-version']));
  const jsonRpcCode = A2A_ERROR_CODE.METHOD_NOT_FOUND;
  if (allowed.length === 0) {
    const message = 'There is nothing at this path.';
    return errorResponse(call, { status: 404, statusName: 'NOT_FOUND', jsonRpcCode, message });
  }
  return errorResponse(call, {
    status: 405,
    statusName: 'UNIMPLEMENTED',
    jsonRpcCode,
    message: `This path is not asked for by ${method}.`,
    headers: { allow: allowed.join(', ') },
  });
}

function errorAnswer<Event>(
  dialect: HttpJsonDialect<Event>,
  error: unknown,
  headers: HttpResponse['headers'] = {},
): HttpResponse {
  const { status, json } = dialect.errorOf(error);
  return response(dialect, status, json, headers);
}

function response<Event>(
  { contentType }: HttpJsonDialect<Event>,
  status: number,
  json: unknown,
  headers: HttpResponse['headers'],
): HttpResponse {
  return {
    status,
    headers: { 'content-type': contentType, ...NO_STORE, ...headers },
    body: json === undefined ? '' : JSON.stringify(json),
  };
}

function extensionsOf<Event>(
  { extensionHeaders: [name] }: HttpJsonDialect<Event>,
  { activatedExtensions }: ServerCallContext,
): HttpResponse['headers'] {
  return activatedExtensions === undefined ? {} : { [name]: activatedExtensions };
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

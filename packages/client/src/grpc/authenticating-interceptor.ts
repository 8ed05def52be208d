import {
  InterceptingCall,
  Metadata,
  status as code,
  type Channel,
  type Interceptor,
  type InterceptorOptions,
  type NextCall,
  type StatusObject,
} from '@grpc/grpc-js';

import { authenticatedCall } from '../authenticated-call.js';
import { AUTHENTICATION_OPTIONS, type AuthenticatingFetchOptions } from '../authenticating-fetch.js';
import type { Authentication, Authenticator } from '../authenticator.js';
import { isObject } from '../card/json.js';
import type { TlsIdentity } from '../credential-source.js';
import { lenient } from '../listener.js';
import { checkOptions } from '../options.js';
import { messageIn } from '../sent-message.js';
import { channels } from './channels.js';
import { startExchange, type GrpcExchange } from './exchange.js';
import { findGrpcDenial, httpStatus, judge, type Received } from './find-denial.js';
import { prepareCalls, type GrpcAuthenticationOptions } from './prepare-calls.js';
import { toMetadata } from './to-metadata.js';

export interface AuthenticatingInterceptorOptions
  extends GrpcAuthenticationOptions, Pick<AuthenticatingFetchOptions, 'onAuthRequired'> {}

/**
 * An interceptor for the SDK's gRPC transport that does with each call what `authenticatingFetch` does: it meets all schemes of the
 * chosen alternative, and after a denial (`UNAUTHENTICATED`, a task in auth-required as the answer to a message or as the
 * first event of its stream) it lets the sources renew what was refused, and sends the same bytes once more. A second
 * denial is returned as it came.
 *
 * Calls go to `endpoint` over channels of the interceptor's own, whatever the client's channel leads to: one for each client
 * certificate that a source gives. What a source throws is the `cause` of the error, whose code is `UNAUTHENTICATED`.
 *
 * @throws {ClientError} `NO_ALTERNATIVE` when no alternative of the card can be met; `ADDRESS_REFUSED` when calls may not go
 *   to `endpoint`; `CREDENTIAL_UNUSABLE` when an alternative can be met, but not over gRPC; `INVALID_OPTION`
 */
export function authenticatingInterceptor(options: AuthenticatingInterceptorOptions): Interceptor {
  checkOptions('authenticatingInterceptor()', options, {
    ...AUTHENTICATION_OPTIONS,
    endpoint: true,
    onAuthRequired: true,
  });
  const { endpoint, authenticator } = prepareCalls(options);
  const onTask = lenient('onAuthRequired', options.onAuthRequired);
  const session = { endpoint, authenticator, channelFor: channels(endpoint), onTask };
  return (callOptions) => new InterceptingCall(repeatableCall(session, callOptions));
}

interface Session {
  readonly endpoint: URL;
  readonly authenticator: Authenticator;
  readonly channelFor: (identity: TlsIdentity | undefined) => Channel;
  readonly onTask: AuthenticatingFetchOptions['onAuthRequired'];
}

type Call = ReturnType<NextCall>;
type Listener = NonNullable<Parameters<Call['start']>[1]>;

/** A call of A2A: one request, and one response or a stream of them. */
function repeatableCall(session: Session, options: InterceptorOptions): Call {
  const { endpoint, authenticator, channelFor, onTask } = session;
  const { path, requestSerialize, responseStream } = options.method_definition;
  const url = new URL(path, endpoint).href;
  const cancelled = new AbortController();
  const reader = demand();
  let listener: Listener = {};
  let metadata = new Metadata();
  let request: unknown;
  let current: GrpcExchange | undefined;
  let ended = false;

  const end = (status: StatusObject) => {
    if (ended) return;
    ended = true;
    // As grpc-js does: what the reader throws is not ours to catch.
    process.nextTick(() => listener.onReceiveStatus?.(status));
  };
  const observe = (exchange: GrpcExchange, status: StatusObject | undefined) => {
    const headers = headersOf(exchange.metadata, status?.metadata);
    authenticator.observe({ url, status: status === undefined ? 200 : httpStatus(status), headers });
  };

  const run = async () => {
    const bytes = requestSerialize(request);
    const sent =
      /\/Send(Streaming)?Message$/.test(path) && isObject(request) ? messageIn(request) : undefined;
    const signal = AbortSignal.any([cancelled.signal, ...expiry(options.deadline)]);

    const once = async ({ credentials }: Authentication) => {
      signal.throwIfAborted();
      const all = toMetadata(credentials, metadata);
      const exchange = startExchange(channelFor(credentials.tls), options, all, bytes);
      current = exchange;
      const examined = await findGrpcDenial({ exchange, streams: responseStream, sent, onTask });
      const last = examined.response.arrivals.at(-1);
      const status = last !== undefined && 'status' in last ? last.status : undefined;
      if (status !== undefined || examined.denial !== undefined) observe(exchange, status);
      return examined;
    };
    const discard = async ({ exchange }: Received) => {
      exchange.cancelWithStatus(code.CANCELLED, 'Nobody reads it.');
    };
    const target = { method: 'POST', url, signal };
    await forward(await authenticatedCall(authenticator, target, { once, discard }));
  };

  /** Hands on what came, then what comes, at the pace of whoever reads. */
  const forward = async ({ exchange, arrivals }: Received) => {
    if (exchange.metadata !== undefined) listener.onReceiveMetadata?.(exchange.metadata);
    for (let index = 0; ; index += 1) {
      const known = arrivals[index];
      if (responseStream && (known === undefined || 'message' in known)) await reader.wants();
      const arrival = known ?? (await exchange.next());
      if ('status' in arrival) {
        if (known === undefined) observe(exchange, arrival.status);
        end(arrival.status);
        return;
      }
      const { task } = index > 0 && onTask !== undefined ? judge(arrival, undefined, []) : {};
      if (task !== undefined) onTask?.(task);
      // Whoever has given the call up reads nothing more.
      if (ended) return;
      listener.onReceiveMessage?.(arrival.message);
    }
  };

  return {
    start(given, to = {}) {
      metadata = given;
      listener = to;
    },
    sendMessage(message) {
      request = message;
    },
    sendMessageWithContext(_context, message) {
      request = message;
    },
    halfClose() {
      run().catch((error: unknown) => {
        current?.cancelWithStatus(code.CANCELLED, 'Nobody reads it.');
        end(failure(error));
      });
    },
    startRead() {
      reader.want();
    },
    cancelWithStatus(status, details) {
      cancelled.abort();
      current?.cancelWithStatus(status, details);
      end({ code: status, details, metadata: new Metadata() });
    },
    getPeer: () => current?.getPeer() ?? endpoint.host,
    getAuthContext: () => current?.getAuthContext() ?? null,
  };
}

/** How many messages a reader wants. */
function demand() {
  let wanted = 0;
  let wake: () => void = () => undefined;
  return {
    want() {
      wanted += 1;
      wake();
    },
    async wants() {
      while (wanted === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      wanted -= 1;
    },
  };
}

/** No call has begun that could keep the deadline while a source is asked. */
function expiry(deadline: InterceptorOptions['deadline'] = Infinity): readonly AbortSignal[] {
  const left = Math.ceil(Number(deadline) - Date.now());
  return left < 2 ** 31 ? [AbortSignal.timeout(Math.max(left, 0))] : [];
}

/** What a call ends with that was not made (grpc/doc/statuscodes.md: "Credentials failed to get metadata"). */
function failure(cause: unknown): StatusObject & { readonly cause: unknown } {
  const expired = cause instanceof DOMException && cause.name === 'TimeoutError';
  return {
    code: expired ? code.DEADLINE_EXCEEDED : code.UNAUTHENTICATED,
    details: cause instanceof Error ? cause.message : 'A credential source failed.',
    metadata: new Metadata(),
    cause,
  };
}

/** The metadata that is text. */
function headersOf(...all: readonly (Metadata | undefined)[]): Headers {
  const headers = new Headers();
  for (const [name, value] of all.flatMap((metadata) => Object.entries(metadata?.toJSON() ?? {}))) {
    for (const text of value) if (typeof text === 'string') headers.append(name, text);
  }
  return headers;
}

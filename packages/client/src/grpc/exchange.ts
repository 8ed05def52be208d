import {
  status as code,
  type Channel,
  type InterceptorOptions,
  type Metadata,
  type StatusObject,
} from '@grpc/grpc-js';

import { isReadable, readableStatus } from './readable.js';

/** What comes from a server: a message, or the end of the call. */
export type Arrival = { readonly message: unknown } | { readonly status: StatusObject };

type Call = ReturnType<Channel['createCall']>;

/** A request on its way, and what is answered to it, piece by piece. */
export interface GrpcExchange extends Pick<Call, 'cancelWithStatus' | 'getAuthContext' | 'getPeer'> {
  /** The metadata that came before the first message. */
  readonly metadata: Metadata | undefined;
  /** What comes next; after the end, the end. Not to be called before the last one came. */
  next(): Promise<Arrival>;
}

/** Sends one request, with these bytes. */
export function startExchange(
  channel: Channel,
  options: InterceptorOptions,
  metadata: Metadata,
  request: Buffer,
): GrpcExchange {
  const { method_definition: method, deadline = Infinity, host, parent = null, propagate_flags } = options;
  const call = channel.createCall(method.path, deadline, host, parent, propagate_flags);
  let received: Metadata | undefined;
  let end: StatusObject | undefined;
  let deliver: (arrival: Arrival) => void = () => undefined;
  call.start(metadata, {
    onReceiveMetadata(initial) {
      received = initial;
    },
    onReceiveMessage(bytes: Buffer) {
      const message = read(method, bytes);
      if (message === undefined) call.cancelWithStatus(code.INTERNAL, 'The response cannot be read.');
      else deliver({ message });
    },
    onReceiveStatus(status) {
      end = readableStatus(status);
      deliver({ status: end });
    },
  });
  call.sendMessageWithContext({}, request);
  call.halfClose();
  return {
    get metadata() {
      return received;
    },
    async next() {
      if (end !== undefined) return { status: end };
      return new Promise((resolve) => {
        deliver = resolve;
        call.startRead();
      });
    },
    cancelWithStatus: call.cancelWithStatus.bind(call),
    getAuthContext: call.getAuthContext.bind(call),
    getPeer: call.getPeer.bind(call),
  };
}

/** Undefined for what is no message. */
function read(
  { path, responseDeserialize }: InterceptorOptions['method_definition'],
  bytes: Buffer,
): unknown {
  try {
    const message: unknown = responseDeserialize(bytes);
    return isReadable(path, message) ? message : undefined;
  } catch {
    return undefined;
  }
}

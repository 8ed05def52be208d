import { ERROR_INFO_TYPE } from '@a2a-js/sdk/errors';

/** What is told of an error: a `google.rpc.Status` with its details. */
interface RpcStatus {
  /** A `google.rpc.Code`. */
  readonly code: number;
  readonly message: string;
  readonly info: {
    readonly reason: string;
    readonly domain: string;
    readonly metadata: Readonly<Record<string, string>>;
  };
  /** Seconds. */
  readonly retryAfter: number | undefined;
}

const RETRY_INFO_TYPE = 'type.googleapis.com/google.rpc.RetryInfo';
/** The longest `google.protobuf.Duration`, in seconds. */
const MAX_DURATION = 315_576_000_000;

/**
 * A `google.rpc.Status` in protocol buffers, with an `ErrorInfo` and, when there is a time to wait, a `RetryInfo`. The SDK's
 * own encoder knows only its own errors. The numbers are those of google/rpc/status.proto and error_details.proto.
 */
export function encodeStatus({ code, message, info, retryAfter }: RpcStatus): Buffer {
  const errorInfo = Buffer.concat([
    field(1, info.reason),
    field(2, info.domain),
    ...Object.entries(info.metadata).map(([key, value]) =>
      field(3, Buffer.concat([field(1, key), field(2, value)])),
    ),
  ]);
  const details = [any(ERROR_INFO_TYPE, errorInfo)];
  if (retryAfter !== undefined) {
    const seconds = Math.min(Math.ceil(retryAfter), MAX_DURATION);
    details.push(any(RETRY_INFO_TYPE, field(1, integer(1, seconds))));
  }
  return Buffer.concat([integer(1, code), field(2, message), ...details.map((detail) => field(3, detail))]);
}

/** A `google.protobuf.Any`. */
function any(typeUrl: string, value: Uint8Array): Buffer {
  return Buffer.concat([field(1, typeUrl), field(2, value)]);
}

/** A field that says its length: a text, bytes, or a message. */
function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.of((number << 3) | 2), varint(bytes.length), bytes]);
}

/** A field that is a positive integer. */
function integer(number: number, value: number): Buffer {
  return Buffer.concat([Buffer.of(number << 3), varint(value)]);
}

/** Seven bits a byte, the lowest first. Not by shifts, which know no more than 32 bits. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.of(...bytes, rest);
}

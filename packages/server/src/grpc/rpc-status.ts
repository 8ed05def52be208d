import { ERROR_INFO_TYPE } from '@a2a-js/sdk/errors';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

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
  const errorInfo = text(text(new BinaryWriter(), 1, info.reason), 2, info.domain);
  for (const [key, value] of Object.entries(info.metadata)) {
    text(text(errorInfo.tag(3, WireType.LengthDelimited).fork(), 1, key), 2, value).join();
  }
  const status = text(new BinaryWriter().tag(1, WireType.Varint).int32(code), 2, message);
  detail(status, ERROR_INFO_TYPE, errorInfo);
  if (retryAfter !== undefined) {
    const seconds = Math.min(Math.ceil(retryAfter), MAX_DURATION);
    const duration = new BinaryWriter().tag(1, WireType.Varint).int64(seconds).finish();
    detail(status, RETRY_INFO_TYPE, new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(duration));
  }
  return Buffer.from(status.finish());
}

/** Adds a `google.protobuf.Any` to the details of a status. */
function detail(status: BinaryWriter, typeUrl: string, value: BinaryWriter): void {
  text(status.tag(3, WireType.LengthDelimited).fork(), 1, typeUrl)
    .tag(2, WireType.LengthDelimited)
    .bytes(value.finish())
    .join();
}

function text(writer: BinaryWriter, field: number, value: string): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).string(value);
}

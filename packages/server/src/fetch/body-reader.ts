import { bodyError, bodyTypes, mediaTypeOf, notJson, notSentAsJson, type ParsedBody } from '../http/body.js';
import type { HttpBinding } from '../http/call.js';

/** For the whole body: as long as Node's own servers wait for a request. */
const TIMEOUT_MS = 300_000;

/**
 * Reads and parses a body, without ever holding more of it than the limit, packed and unpacked. A body without a single
 * byte is none, whatever the headers say of it.
 *
 * @param limit in bytes
 * @throws {TypeError} when somebody has read the body before
 */
export async function readBody(request: Request, binding: HttpBinding, limit: number): Promise<ParsedBody> {
  if (request.bodyUsed) {
    throw new TypeError(
      'The body of the request was read before it got to the agent. Give it the request unread.',
    );
  }
  const { body, headers, signal } = request;
  if (body === null) return { body: undefined };
  const unreadable = headerProblem(headers, bodyTypes[binding]);
  const sent = await collect(body, unreadable === undefined ? limit : 0, signal);
  if (sent instanceof Error) return { error: unreadable ?? sent };
  if (sent.length === 0) return { body: undefined };
  const encoding = encodingOf(headers);
  if (encoding === 'identity') return parse(sent);
  const unpacked = await collect(unpack(sent, encoding), limit, signal);
  return unpacked instanceof Error ? { error: unpacked } : parse(unpacked);
}

const encodings = ['identity', 'gzip', 'deflate'] as const;
type Encoding = (typeof encodings)[number];

/** What the headers already tell to be none of what is understood. */
function headerProblem(headers: Headers, types: readonly string[]): Error | undefined {
  const contentType = headers.get('content-type');
  // RFC 8259 §8.1: JSON is UTF-8.
  const [, charset = 'utf-8'] = /;[ \t]*charset="?([^\s;"]*)/i.exec(contentType ?? '') ?? [];
  const isUnderstood =
    types.includes(mediaTypeOf(contentType)) &&
    charset.toLowerCase() === 'utf-8' &&
    encodings.includes(encodingOf(headers));
  return isUnderstood ? undefined : notSentAsJson();
}

function encodingOf(headers: Headers): Encoding {
  return (headers.get('content-encoding')?.toLowerCase() ?? 'identity') as Encoding;
}

function unpack(
  bytes: Uint8Array<ArrayBuffer>,
  encoding: Exclude<Encoding, 'identity'>,
): ReadableStream<Uint8Array> {
  return new Blob([bytes]).stream().pipeThrough(new DecompressionStream(encoding));
}

async function collect(
  body: ReadableStream<Uint8Array>,
  limit: number,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | Error> {
  const reader = body.getReader();
  let failure: Error | undefined;
  const stop = (error: Error) => {
    failure ??= error;
    // Ends the read that is under way.
    reader.cancel(error).catch(() => undefined);
  };
  const leave = () => {
    stop(bodyError(400, 'request.aborted', 'The caller has left.'));
  };
  const timer = setTimeout(() => {
    stop(bodyError(408, 'request.timeout', 'The body did not end.'));
  }, TIMEOUT_MS);
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave);
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      // Whoever made the request may have put anything into the stream.
      const chunk: unknown = next.value;
      if (!ArrayBuffer.isView(chunk)) throw new TypeError('The body is not made of bytes.');
      size += chunk.byteLength;
      if (size > limit) {
        stop(bodyError(413, 'entity.too.large', 'The body is too large.'));
        break;
      }
      chunks.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    }
    return failure ?? joined(chunks, size);
  } catch (error) {
    return failure ?? new Error('The body cannot be read.', { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  }
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function parse(bytes: Uint8Array): ParsedBody {
  try {
    return { body: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown };
  } catch {
    return { error: notJson() };
  }
}

import { bodyError, bodyTypes, mediaTypeOf, notJson, notSentAsJson } from '../http/body.js';
import type { HttpBinding } from '../http/call.js';

/** For the whole body: as long as Node's own servers wait for a request. */
const TIMEOUT_MS = 300_000;

/** The body of a request, parsed, or what is wrong with it. */
export type ParsedBody = { readonly body: unknown } | { readonly error: Error };

/**
 * Reads and parses a body, without ever holding more of it than the limit.
 *
 * @param limit in bytes, of the body as it is unpacked
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
  // Whatever it says that it is: no body is what it may be.
  if (unreadable !== undefined) {
    const bytes = await collect(body, 0, signal);
    return bytes instanceof Uint8Array ? { body: undefined } : { error: unreadable };
  }
  const bytes = await collect(unpacked(body, encodingOf(headers)), limit, signal);
  return bytes instanceof Uint8Array ? parse(bytes) : { error: bytes };
}

function headerProblem(headers: Headers, types: readonly string[]): Error | undefined {
  const contentType = headers.get('content-type');
  if (!types.includes(mediaTypeOf(contentType))) return notSentAsJson();
  // RFC 8259 §8.1: JSON is UTF-8.
  const [, charset = 'utf-8'] = /;[ \t]*charset="?([^\s;"]*)/i.exec(contentType ?? '') ?? [];
  if (charset.toLowerCase() !== 'utf-8') return notSentAsJson();
  return ['identity', 'gzip', 'deflate'].includes(encodingOf(headers)) ? undefined : notSentAsJson();
}

function encodingOf(headers: Headers): string {
  return headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity';
}

function unpacked(body: ReadableStream<Uint8Array>, encoding: string): ReadableStream<Uint8Array> {
  if (encoding !== 'gzip' && encoding !== 'deflate') return body;
  return body.pipeThrough(new DecompressionStream(encoding));
}

async function collect(
  body: ReadableStream<Uint8Array>,
  limit: number,
  signal: AbortSignal,
): Promise<Uint8Array | Error> {
  const reader = body.getReader();
  let failure: Error | undefined;
  const stop = (error: Error) => {
    failure ??= error;
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
      const { value: chunk } = next;
      // Whoever made the request may have put anything into the stream.
      if (!ArrayBuffer.isView(chunk)) throw new TypeError('The body is not made of bytes.');
      size += chunk.byteLength;
      if (size > limit) {
        stop(bodyError(413, 'entity.too.large', 'The body is too large.'));
        break;
      }
      chunks.push(chunk);
    }
    return failure ?? joined(chunks, size);
  } catch (error) {
    return failure ?? new Error('The body cannot be read.', { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  }
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return first;
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function parse(bytes: Uint8Array): ParsedBody {
  // As body parsers have it.
  if (bytes.length === 0) return { body: {} };
  try {
    return { body: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown };
  } catch {
    return { error: notJson() };
  }
}

import type { HttpResponse } from '../http/response.js';
import type { HttpStream } from '../http/stream.js';

/** Writes an answer as a web-standard response. The work behind a stream ends when nobody is there to read it. */
export function respond(answer: HttpResponse | HttpStream, request: Request): Response {
  const init = { status: answer.status, headers: headersOf(answer) };
  if (request.method === 'HEAD') {
    if ('end' in answer) answer.end().catch(() => undefined);
    return new Response(null, init);
  }
  if ('end' in answer) return new Response(streamOf(answer, request.signal), init);
  // An empty body is none: 204 and 304 must not have one.
  return new Response(answer.body === '' ? null : answer.body, init);
}

function headersOf({ headers }: Pick<HttpResponse, 'headers'>): Headers {
  const written = new Headers();
  for (const [name, values] of Object.entries(headers)) {
    for (const value of [values].flat()) written.append(name, value);
  }
  return written;
}

/** Each piece is made when the reader asks for it. */
function streamOf({ body, end }: HttpStream, signal: AbortSignal): ReadableStream<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  let leave: () => void = () => undefined;
  const stop = () => {
    signal.removeEventListener('abort', leave);
    end().catch(() => undefined);
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        leave = () => {
          controller.error(signal.reason);
          stop();
        };
        if (signal.aborted) leave();
        else signal.addEventListener('abort', leave);
      },
      async pull(controller) {
        const next = await pieces.next();
        if (next.done === true) {
          stop();
          controller.close();
        } else {
          controller.enqueue(encoder.encode(next.value));
        }
      },
      cancel: stop,
    },
    // Nothing ahead of the reader.
    { highWaterMark: 0 },
  );
}

import { once } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http';

import type { Response } from 'express';

import type { HttpStream } from '../http/json-rpc-endpoint.js';
import type { HttpResponse } from '../http/response.js';

/** Writes a response; HEAD gets the headers alone. */
export function send(res: Response, { status, headers, body }: HttpResponse): void {
  res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) } as OutgoingHttpHeaders);
  // Node leaves the body of an answer to HEAD out by itself.
  res.end(body);
}

/** Writes a stream piece by piece, as fast as the caller reads; the work behind it ends when the caller leaves. */
export async function sendStream(res: Response, { status, headers, body }: HttpStream): Promise<void> {
  const gone = new AbortController();
  res.once('close', () => {
    gone.abort();
    void body.return();
  });
  res.writeHead(status, { ...headers } as OutgoingHttpHeaders);
  res.flushHeaders();
  for await (const piece of body) {
    if (gone.signal.aborted) return;
    if (!res.write(piece)) await once(res, 'drain', { signal: gone.signal }).catch(() => undefined);
  }
  res.end();
}

import { once } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http';

import type { Response } from 'express';

import type { HttpResponse } from '../http/response.js';
import type { HttpStream } from '../http/stream.js';

/** Writes a response, unless a middleware (such as one for timeouts) did so already or the caller has left. */
export function send(res: Response, { status, headers, body }: HttpResponse): void {
  if (res.headersSent || res.destroyed) return;
  const fields = { ...headers } as OutgoingHttpHeaders;
  // RFC 9110 §8.6
  if (status !== 204) fields['content-length'] = Buffer.byteLength(body);
  res.writeHead(status, fields);
  // Node leaves the body of an answer to HEAD out by itself.
  res.end(body);
}

/** Writes a stream piece by piece, as fast as the caller reads; the work behind it ends when nobody is there to read it. */
export async function sendStream(res: Response, { status, headers, body, end }: HttpStream): Promise<void> {
  // The caller may have left while the first event was waited for.
  if (res.headersSent || res.destroyed) {
    await end();
    return;
  }
  const gone = new AbortController();
  res.once('close', () => {
    gone.abort();
    end().catch(() => undefined);
  });
  res.writeHead(status, { ...headers } as OutgoingHttpHeaders);
  if (res.req.method === 'HEAD') {
    res.end();
    return;
  }
  res.flushHeaders();
  for await (const piece of body) {
    if (gone.signal.aborted) return;
    if (!res.write(piece)) await once(res, 'drain', { signal: gone.signal }).catch(() => undefined);
  }
  res.end();
}

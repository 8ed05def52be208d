import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';

import { ClientError } from '../errors.js';

export type NodeMiddleware = (
  req: IncomingMessage,
  res: ServerResponse,
  next?: (error?: unknown) => void,
) => void;

/** A handler on web standards as a middleware of Node. Where it is mounted decides what is for it. */
export function nodeMiddleware(url: URL, handle: (request: Request) => Promise<Response>): NodeMiddleware {
  return (req, res, next) => {
    if (req.readableDidRead) {
      const error = new ClientError(
        'INVALID_OPTION',
        'The body was read before the receiver of push notifications saw it. Mount the receiver before express.json().',
      );
      if (next === undefined) res.writeHead(500).end();
      else next(error);
      return;
    }
    const { method = 'GET' } = req;
    const headers = Object.entries(req.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] as [string, string]],
    );
    const body =
      method === 'POST' ? { body: Readable.toWeb(req) as ReadableStream<Uint8Array>, duplex: 'half' } : {};
    const respond = async () => {
      const request = new Request(url, { method, headers, ...body } as RequestInit);
      const response = await handle(request);
      // The rest of a body that is not wanted is not waited for.
      if (!req.readableEnded) res.setHeader('connection', 'close');
      res.writeHead(response.status, Object.fromEntries(response.headers)).end();
    };
    respond().catch(() => {
      // A method that cannot be put into a Request, or a caller who has gone.
      if (!res.headersSent) res.writeHead(400, { connection: 'close' }).end();
    });
  };
}

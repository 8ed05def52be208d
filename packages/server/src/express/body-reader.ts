import express, { type Request, type RequestHandler, type Response } from 'express';

import { bodyError, bodyTypes, mediaTypeOf, notJson, notSentAsJson, type ParsedBody } from '../http/body.js';
import type { HttpBinding } from '../http/call.js';

export type BodyReader = (req: Request, res: Response) => ParsedBody | Promise<ParsedBody>;

/**
 * Reads the body, unless somebody did so before. A body that is not sent as JSON is refused, whoever read it.
 *
 * @param limit in bytes, or as `bytes` reads it
 */
export function bodyReader(binding: HttpBinding, limit: number | string): BodyReader {
  const type = [...bodyTypes[binding]];
  // Not strict, so that a body that is no object gets our answer and not the parser's.
  const parse: RequestHandler = express.json({ limit, type, strict: false });

  async function readAny(req: Request, res: Response): Promise<ParsedBody> {
    // The parser of Express 4 would make an object of nothing.
    if (!hasBody(req) && req.body === undefined) return { body: undefined };
    if (hasBody(req) && !type.includes(mediaTypeOf(req.headers['content-type'])))
      return { error: notSentAsJson() };
    const failure = await new Promise<unknown>((resolve) => {
      void parse(req, res, (error?: unknown) => {
        resolve(error);
      });
    });
    if (failure !== undefined) return { error: errorOf(failure) };
    // An express.text() or express.raw() before us leaves the JSON as it came.
    const body: unknown = req.body;
    return typeof body === 'string' || Buffer.isBuffer(body) ? parseJson(body.toString()) : { body };
  }

  return (req, res) => (isPlain(req, type, limit) ? readPlain(req) : readAny(req, res));
}

/** Leaves the body where whoever comes next finds it: the SDK, and Express's own parsers, which are not to read again. */
export async function leaveBody(req: Request, body: unknown): Promise<void> {
  if (body === undefined) return;
  req.body = body;
  // What the parser of Express 4 goes by.
  (req as { _body?: boolean })._body = true;
  // That of Express 5 goes by the end of the request, which Node announces in the tick after the last byte was read.
  if (!req.readableEnded) {
    await new Promise<void>((resolve) => {
      process.nextTick(resolve);
    });
  }
}

/**
 * Whether the body is what nearly every body is: JSON as it is, of a length known beforehand, and not read yet. Reading
 * that takes a fraction of what Express's parser takes, which is prepared for everything.
 */
function isPlain(req: Request, types: readonly string[], limit: number | string): boolean {
  const { headers } = req;
  const length = Number(headers['content-length'] ?? 0);
  return (
    typeof limit === 'number' &&
    length > 0 &&
    length <= limit &&
    types.includes(headers['content-type'] ?? '') &&
    headers['content-encoding'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    !req.readableDidRead &&
    req.readableFlowing === null &&
    req.readableEncoding === null
  );
}

function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Node sees to it that there are neither more nor fewer bytes than `Content-Length` says. */
function readPlain(req: Request): ParsedBody | Promise<ParsedBody> {
  // Nearly every body came with its headers. No event has to be waited for then.
  if (req.complete) return parseJson(String(req.read() ?? ''));
  const aborted = bodyError(400, 'request.aborted', 'The caller has left.');
  // Nothing more is heard of a request that ended before.
  if (req.destroyed) return { error: aborted };
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      resolve(parseJson(Buffer.concat(chunks).toString()));
    });
    req.on('error', (error) => {
      resolve({ error });
    });
    req.on('close', () => {
      resolve({ error: aborted });
    });
  });
}

function parseJson(text: string): ParsedBody {
  try {
    return { body: JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text) as unknown };
  } catch {
    return { error: notJson() };
  }
}

function errorOf(failure: unknown): Error {
  return failure instanceof Error ? failure : new Error('The body cannot be read.', { cause: failure });
}

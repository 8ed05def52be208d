import express, { type Request, type RequestHandler, type Response } from 'express';

import { bodyTypes, mediaTypeOf, notJson, notSentAsJson } from '../http/body.js';
import type { HttpBinding } from '../http/call.js';

/** Resolves to what was wrong with the body, if anything. */
export type BodyReader = (req: Request, res: Response) => Promise<Error | undefined>;

/**
 * Reads the body, unless somebody did so before, and leaves it parsed in `req.body`, where the SDK finds it. A body that
 * is not sent as JSON is refused, whoever read it.
 *
 * @param limit in bytes, or as `bytes` reads it
 */
export function bodyReader(binding: HttpBinding, limit: number | string): BodyReader {
  const type = [...bodyTypes[binding]];
  // Not strict, so that a body that is no object gets our answer and not the parser's.
  const parse: RequestHandler = express.json({ limit, type, strict: false });
  return async (req, res) => {
    if (isPlain(req, type, limit)) return readPlain(req);
    // The parser of Express 4 would make an object of nothing.
    if (!hasBody(req) && req.body === undefined) return undefined;
    if (hasBody(req) && !type.includes(mediaTypeOf(req.headers['content-type']))) return notSentAsJson();
    const failure = await new Promise<unknown>((resolve) => {
      void parse(req, res, (error?: unknown) => {
        resolve(error);
      });
    });
    if (failure !== undefined)
      return failure instanceof Error ? failure : new Error('The body cannot be read.', { cause: failure });
    // An express.text() or express.raw() before us leaves the JSON as it came.
    const unparsed: unknown = req.body;
    const isUnparsed = typeof unparsed === 'string' || Buffer.isBuffer(unparsed);
    return isUnparsed ? parseInto(req, unparsed.toString()) : undefined;
  };
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
function readPlain(req: Request): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      // Tells the body parser of Express 4 that there is nothing left to read.
      (req as { _body?: boolean })._body = true;
      resolve(parseInto(req, Buffer.concat(chunks).toString()));
    });
    req.on('error', resolve);
  });
}

function parseInto(req: Request, text: string): Error | undefined {
  try {
    req.body = JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text) as unknown;
    return undefined;
  } catch {
    return notJson();
  }
}

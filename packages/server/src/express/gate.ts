import type { Request, Response } from 'express';

import type { AuthRequest } from '../auth-request.js';
import { configurationError } from '../errors.js';
import { DEFAULT_BODY_LIMIT, type ParsedBody } from '../http/body.js';
import { callGate, type AdmittedCall, type GatePlace, type IncomingCall } from '../http/gate.js';
import type { HttpResponse } from '../http/response.js';
import { toAuthRequest } from './auth-request.js';
import { bodyReader, type BodyReader } from './body-reader.js';
import { quickLookUps } from './quick-look-ups.js';

export interface GateOptions extends GatePlace {
  /** The largest body, in bytes or as `bytes` reads it (`'1mb'`). Default 100 KiB, as the SDK's. */
  readonly bodyLimit?: number | string;
}

/**
 * The gate before an agent on one binding. It reads the body, unless an `express.json()` did so before.
 *
 * @returns a function that takes the place of the call as whoever comes next reads it; by default as Express does
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function createGate(
  options: GateOptions,
): (req: Request, res: Response, place?: CallPlace) => Promise<AdmittedCall | HttpResponse> {
  const { security, requestHandler, binding, bodyLimit = DEFAULT_BODY_LIMIT } = options;
  assertBodyLimit(bodyLimit);
  const pass = callGate({ security, requestHandler, binding });
  const readers = {
    granted: bodyReader(binding, bodyLimit),
    denied: bodyReader(
      binding,
      typeof bodyLimit === 'number' ? Math.min(bodyLimit, DEFAULT_BODY_LIMIT) : DEFAULT_BODY_LIMIT,
    ),
  };
  return (req, res, place = req) => {
    quickLookUps(req, res);
    return pass(new ExpressCall(req, res, readers, place));
  };
}

/** The part of a request target that is below the URL of the interface. */
export type CallPlace = Pick<IncomingCall, 'path' | 'query'>;

interface Readers {
  readonly granted: BodyReader;
  readonly denied: BodyReader;
}

class ExpressCall implements IncomingCall {
  readonly auth: AuthRequest;
  readonly method: string;
  readonly headers: Request['headers'];
  readonly #req: Request;
  readonly #res: Response;
  readonly #readers: Readers;
  readonly #place: CallPlace;

  constructor(req: Request, res: Response, readers: Readers, place: CallPlace) {
    this.auth = toAuthRequest(req);
    this.method = req.method;
    this.headers = req.headers;
    this.#req = req;
    this.#res = res;
    this.#readers = readers;
    this.#place = place;
  }

  get path(): string {
    return this.#place.path;
  }

  get query(): unknown {
    return this.#place.query;
  }

  readBody(granted: boolean): ParsedBody | Promise<ParsedBody> {
    return this.#readers[granted ? 'granted' : 'denied'](this.#req, this.#res);
  }
}

/** Express would read `'1 megabyte'` as one byte, and fail with each request otherwise. */
function assertBodyLimit(limit: unknown): void {
  const isLimit =
    typeof limit === 'string'
      ? /^\d+(\.\d+)? ?([kmg]?b)?$/i.test(limit)
      : Number.isSafeInteger(limit) && Number(limit) > 0;
  if (isLimit) return;
  throw configurationError(
    'INVALID_OPTION',
    `bodyLimit must be a number of bytes, or one with a unit such as '1mb', not ${JSON.stringify(limit)}.`,
  );
}

import type { NextFunction, Request, RequestHandler, Response } from 'express';

import type { Granted } from '../decision.js';
import { NO_STORE } from '../http/response.js';
import { checkOptions } from '../options.js';
import { leaveBody } from './body-reader.js';
import { createGate, type GateOptions } from './gate.js';
import { send } from './send.js';

/** See {@link authenticate}. */
export type AuthenticateOptions = GateOptions;

/** On the request itself, because a WeakMap with an entry for each request is a burden on the garbage collector. */
const grantKey = Symbol('grant');

interface MaybeGranted {
  [grantKey]?: Granted;
}

/** The grant that {@link authenticate} left on a request. */
export function grantOf(req: Request): Granted | undefined {
  return (req as MaybeGranted)[grantKey];
}

/**
 * The middleware to put before the SDK's `jsonRpcHandler` or `restHandler`. It authenticates the caller by the headers,
 * then reads the body (unless an `express.json()` did so before), and either answers a denied caller as its binding and
 * version ask for, or lets the call go on to `userBuilder`.
 *
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function authenticate(options: AuthenticateOptions): RequestHandler {
  checkOptions('authenticate()', options, {
    security: 'object',
    requestHandler: 'any',
    binding: 'any',
    bodyLimit: 'any',
  });
  const pass = createGate(options);

  async function serve(req: Request, res: Response, next: NextFunction): Promise<void> {
    const outcome = await pass(req, res);
    if (!('grant' in outcome)) {
      send(res, outcome);
      return;
    }
    (req as MaybeGranted)[grantKey] = outcome.grant;
    await leaveBody(req, outcome.body);
    // The SDK's handlers say nothing of caches, but for streams.
    if (!res.headersSent) res.setHeader('cache-control', NO_STORE['cache-control']);
    next();
  }

  return (req, res, next) => {
    serve(req, res, next).catch(next);
  };
}

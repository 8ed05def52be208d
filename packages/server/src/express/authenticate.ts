import type { Request, RequestHandler } from 'express';

import type { Granted } from '../decision.js';
import { NO_STORE } from '../http/response.js';
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
  const pass = createGate(options);
  return (req, res, next) => {
    pass(req, res)
      .then((outcome) => {
        if ('grant' in outcome) {
          (req as MaybeGranted)[grantKey] = outcome.grant;
          leaveBody(req, outcome.body);
          // The SDK's handlers say nothing of caches, but for streams.
          if (!res.headersSent) res.setHeader('cache-control', NO_STORE['cache-control']);
          next();
        } else {
          send(res, outcome);
        }
      })
      .catch(next);
  };
}

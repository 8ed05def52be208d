import type { NextFunction, Request, RequestHandler, Response } from 'express';

import { CallerUser } from '../caller.js';
import { contextBuilder } from '../http/context-builder.js';
import type { HttpJsonQuery } from '../http/http-json-dialect.js';
import { httpJsonEndpoint } from '../http/http-json-endpoint.js';
import { queryOf } from '../http/query.js';
import { leaveBody } from './body-reader.js';
import { createGate, type CallPlace, type GateOptions } from './gate.js';
import { send, sendStream } from './send.js';

/**
 * HTTP+JSON behind its gate in one step. What a caller who was let in asks for and no route has is passed on. (The SDK's
 * `restHandler` loses the tenant of the path with Express 5, and writes streams faster than they are read.)
 *
 * @param path of the interface
 * @returns two handlers: one for requests whose URL begins with the path, and one to be mounted at that path
 */
export function httpJsonRoute(
  options: Omit<GateOptions, 'binding'>,
  path: string,
): { readonly below: RequestHandler; readonly mounted: RequestHandler } {
  const pass = createGate({ ...options, binding: 'HTTP+JSON' });
  const endpoint = httpJsonEndpoint(options.requestHandler, contextBuilder(options.security));

  async function serve(req: Request, res: Response, place: HttpJsonPlace, next: NextFunction): Promise<void> {
    const outcome = await pass(req, res, place);
    if (!('grant' in outcome)) {
      send(res, outcome);
      return;
    }
    const { method, headers } = req;
    const { path, query } = place;
    const { grant, body } = outcome;
    const answered = await endpoint({ method, path, query, body, headers, user: new CallerUser(grant) });
    if (answered === undefined) {
      await leaveBody(req, body);
      next();
    } else if ('end' in answered) await sendStream(res, answered);
    else send(res, answered);
  }

  return {
    below: (req, res, next) => {
      const { url } = req;
      const end = url.search(/[?#]/);
      const below = url.slice(path.length, end === -1 ? url.length : end);
      serve(req, res, new HttpJsonPlace(below, url), next).catch(next);
    },
    mounted: (req, res, next) => {
      serve(req, res, new HttpJsonPlace(req.path, req.url), next).catch(next);
    },
  };
}

class HttpJsonPlace implements CallPlace {
  readonly path: string;
  readonly #target: string;
  #query: HttpJsonQuery | undefined;

  constructor(path: string, target: string) {
    this.path = path;
    this.#target = target;
  }

  get query(): HttpJsonQuery {
    return (this.#query ??= queryOf(this.#target));
  }
}

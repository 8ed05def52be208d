import type { Request, RequestHandler, Response } from 'express';

import { CallerUser } from '../caller.js';
import { Granted } from '../decision.js';
import { contextBuilder } from '../http/context-builder.js';
import { jsonRpcEndpoint, wrongJsonRpcMethod } from '../http/json-rpc-endpoint.js';
import { createGate, type GateOptions } from './gate.js';
import { send, sendStream } from './send.js';

/**
 * JSON-RPC behind its gate in one step, for requests of the path of the interface. What the SDK's `jsonRpcHandler` spends
 * on an Express router of its own, a second body parser and an ETag for each answer is more than authentication costs.
 */
export function jsonRpcRoute(options: Omit<GateOptions, 'binding'>): RequestHandler {
  const pass = createGate({ ...options, binding: 'JSONRPC' });
  const endpoint = jsonRpcEndpoint(options.requestHandler, contextBuilder(options.security));

  async function answer(granted: Granted, req: Request, res: Response): Promise<void> {
    const { method, headers, body } = req as Pick<Request, 'method' | 'headers'> & { body: unknown };
    if (method !== 'POST') {
      send(res, wrongJsonRpcMethod(headers['a2a-version'] as string | undefined));
      return;
    }
    const answered = await endpoint({ body, headers, user: new CallerUser(granted) });
    if ('end' in answered) await sendStream(res, answered);
    else send(res, answered);
  }

  async function serve(req: Request, res: Response): Promise<void> {
    const outcome = await pass(req, res);
    if (outcome instanceof Granted) await answer(outcome, req, res);
    else send(res, outcome);
  }

  return (req, res, next) => {
    serve(req, res).catch(next);
  };
}

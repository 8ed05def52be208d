import type { Request, RequestHandler, Response } from 'express';

import { CallerUser } from '../caller.js';
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

  async function serve(req: Request, res: Response): Promise<void> {
    const { method, headers } = req;
    const outcome = await pass(req, res);
    if (!('grant' in outcome)) {
      send(res, outcome);
      return;
    }
    if (method !== 'POST') {
      send(res, wrongJsonRpcMethod(headers['a2a-version'] as string | undefined));
      return;
    }
    const { grant, body } = outcome;
    const answered = await endpoint({ body, headers, user: new CallerUser(grant) });
    if ('end' in answered) await sendStream(res, answered);
    else send(res, answered);
  }

  return (req, res, next) => {
    serve(req, res).catch(next);
  };
}

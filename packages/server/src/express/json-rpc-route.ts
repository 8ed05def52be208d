import type { RequestHandler } from 'express';

import { CallerUser } from '../caller.js';
import { Granted } from '../decision.js';
import { contextBuilder } from '../http/context-builder.js';
import { jsonRpcEndpoint, wrongJsonRpcMethod } from '../http/json-rpc-endpoint.js';
import { createGate, type GateOptions } from './gate.js';
import { send, sendStream } from './send.js';

/**
 * JSON-RPC behind its gate in one step, to be mounted at the path of its interface. What the SDK's `jsonRpcHandler`
 * spends on an Express router of its own, a second body parser and an ETag for each answer is more than authentication
 * costs.
 */
export function jsonRpcRoute(options: Omit<GateOptions, 'binding'>): RequestHandler {
  const pass = createGate({ ...options, binding: 'JSONRPC' });
  const endpoint = jsonRpcEndpoint(options.requestHandler, contextBuilder(options.security));

  return (req, res, next) => {
    async function serve(): Promise<void> {
      const outcome = await pass(req, res);
      if (!(outcome instanceof Granted)) {
        send(res, outcome);
        return;
      }
      const { url, method, headers, body } = req as Pick<typeof req, 'url' | 'method' | 'headers'> & {
        body: unknown;
      };
      // An absolute target (RFC 9112 §3.2.2) is left to Express to take apart.
      if (!/^\/?(?:$|\?)/.test(url) && req.path !== '/') {
        next();
        return;
      }
      if (method !== 'POST') {
        send(res, wrongJsonRpcMethod(headers['a2a-version'] as string | undefined));
        return;
      }
      const answer = await endpoint({ body, headers, user: new CallerUser(outcome) });
      if ('end' in answer) await sendStream(res, answer);
      else send(res, answer);
    }
    serve().catch(next);
  };
}

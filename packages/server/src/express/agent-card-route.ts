import { A2A_VERSION_HEADER } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import type { Request, RequestHandler, Response } from 'express';

import { assertSecurity, type AgentSecurity } from '../agent-security.js';
import { agentCardEndpoint } from '../http/agent-card-endpoint.js';
import { checkOptions } from '../options.js';
import { assertProtected } from '../protect.js';

export interface AgentCardRouteOptions {
  readonly security: AgentSecurity<string>;
  /** What `security.protect()` returned. */
  readonly requestHandler: Pick<A2ARequestHandler, 'getAgentCard'>;
  /** Seconds for which clients and proxies may keep the card. Default 3600; 0 makes them ask each time. */
  readonly maxAge?: number;
}

/**
 * Serves the agent card as the protocol's JSON: in the 1.0 form, or in the 0.3 form for callers who ask for it by
 * `A2A-Version`, or by sending none, provided that the card offers a 0.3 interface. Who sends none finds the
 * `supportedInterfaces` of 1.0 on it too. The SDK's own `agentCardHandler` serves its in-memory form, which is not the
 * protocol's.
 */
export function agentCardRoute(options: AgentCardRouteOptions): RequestHandler {
  checkOptions('agentCardRoute()', options, { security: 'any', requestHandler: 'any', maxAge: 'number' });
  const { security, requestHandler, maxAge } = options;
  assertSecurity('agentCardRoute()', security);
  security.validate();
  assertProtected(requestHandler, security, 'agentCardRoute');
  return serveCard(agentCardEndpoint(security, requestHandler, maxAge));
}

/** What {@link agentCardEndpoint} answers. */
export function serveCard(endpoint: ReturnType<typeof agentCardEndpoint>): RequestHandler {
  async function serve(req: Request, res: Response): Promise<void> {
    const { status, headers, body } = await endpoint({
      method: req.method,
      version: req.get(A2A_VERSION_HEADER),
      ifNoneMatch: req.get('if-none-match'),
    });
    const { vary, ...others } = headers;
    res.status(status);
    if (vary !== undefined) res.vary(String(vary));
    for (const [name, value] of Object.entries(others)) res.setHeader(name, value);
    if (status === 200) res.setHeader('content-length', Buffer.byteLength(body));
    // Node leaves the body of an answer to HEAD out by itself.
    res.end(body);
  }

  return (req, res, next) => {
    serve(req, res).catch(next);
  };
}

import { createHash } from 'node:crypto';

import { A2A_VERSION_HEADER } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import type { Request, RequestHandler, Response } from 'express';

import type { AgentSecurity } from '../agent-security.js';
import { toCardJson, toLegacyCardJson } from '../card/publish.js';
import { isLegacyVersion } from '../http/call.js';
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
 * `A2A-Version`, or by sending none, provided that the card offers a 0.3 interface. The SDK's own `agentCardHandler`
 * serves its in-memory form, which is not the protocol's.
 */
export function agentCardRoute({
  security,
  requestHandler,
  maxAge = 3600,
}: AgentCardRouteOptions): RequestHandler {
  security.validate();
  assertProtected(requestHandler, 'agentCardRoute');

  async function serve(req: Request, res: Response): Promise<void> {
    const card = await requestHandler.getAgentCard();
    const legacy = isLegacyVersion(req.get(A2A_VERSION_HEADER))
      ? await toLegacyCardJson(card, security.published)
      : undefined;
    const body = JSON.stringify(legacy ?? toCardJson(card));
    res.status(200);
    res.vary(A2A_VERSION_HEADER);
    res.setHeader('content-type', 'application/json');
    res.setHeader('cache-control', maxAge > 0 ? `public, max-age=${String(maxAge)}` : 'no-cache');
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
    res.setHeader('etag', etag);
    if (hasCurrent(req, etag)) {
      res.removeHeader('content-type');
      res.status(304).end();
    } else {
      res.setHeader('content-length', Buffer.byteLength(body));
      res.end(req.method === 'HEAD' ? undefined : body);
    }
  }

  return (req, res, next) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.status(405).setHeader('allow', 'GET, HEAD').end();
      return;
    }
    serve(req, res).catch(next);
  };
}

/**
 * RFC 9110 §13.1.2. Not Express's `req.fresh`, which is false with the `Cache-Control: no-cache` that fetch sends along
 * with every If-None-Match.
 */
function hasCurrent(req: Request, etag: string): boolean {
  const tags = (req.get('if-none-match') ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}

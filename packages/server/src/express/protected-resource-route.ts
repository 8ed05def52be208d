import type { RequestHandler } from 'express';

import type { AgentSecurity } from '../agent-security.js';
import { protectedResourceMetadataUrl } from '../protected-resource.js';

/**
 * Serves the protected resource metadata (RFC 9728) at its well-known address, and passes everything else on. To be
 * mounted at the root of the host; `agentRouter` does so by itself.
 *
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function protectedResourceRoute(security: AgentSecurity<string>): RequestHandler {
  const metadata = security.validate().protectedResource;
  const path =
    metadata === undefined ? undefined : new URL(protectedResourceMetadataUrl(metadata.resource)).pathname;
  return (req, res, next) => {
    if (path === undefined || req.path !== path || !['GET', 'HEAD'].includes(req.method)) {
      next();
      return;
    }
    res.setHeader('cache-control', 'public, max-age=3600');
    res.json(metadata);
  };
}

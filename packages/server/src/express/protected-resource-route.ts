import type { RequestHandler } from 'express';

import type { AgentSecurity } from '../agent-security.js';
import { protectedResourceEndpoint } from '../http/protected-resource-endpoint.js';
import { send } from './send.js';

/**
 * Serves the protected resource metadata (RFC 9728) at its well-known address, and passes everything else on. To be
 * mounted at the root of the host; `agentRouter` does so by itself.
 *
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function protectedResourceRoute(security: AgentSecurity<string>): RequestHandler {
  const endpoint = protectedResourceEndpoint(security);
  return (req, res, next) => {
    if (req.path !== endpoint?.path || !['GET', 'HEAD'].includes(req.method)) {
      next();
      return;
    }
    send(res, endpoint.response);
  };
}

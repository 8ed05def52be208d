import type { AgentSecurity } from '../agent-security.js';
import { protectedResourceMetadataUrl } from '../protected-resource.js';
import type { HttpResponse } from './response.js';

/**
 * The protected resource metadata (RFC 9728), and the path on the host where it is.
 *
 * @returns undefined when the agent has no `resource`
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function protectedResourceEndpoint(
  security: AgentSecurity<string>,
): { readonly path: string; readonly response: HttpResponse } | undefined {
  const metadata = security.validate().protectedResource;
  if (metadata === undefined) return undefined;
  return {
    path: new URL(protectedResourceMetadataUrl(metadata.resource)).pathname,
    response: {
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=3600' },
      body: JSON.stringify(metadata),
    },
  };
}

import type { RegisteredScheme } from './policy.js';

/** OAuth 2.0 protected resource metadata (RFC 9728 §2). */
export interface ProtectedResourceMetadata {
  readonly resource: string;
  readonly authorization_servers?: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly bearer_methods_supported: readonly ['header'];
}

/** RFC 9728 §3.1: the well-known part goes between the host and the path of the resource. */
export function protectedResourceMetadataUrl(resource: string): string {
  const { origin, pathname, search } = new URL(resource);
  return `${origin}/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}${search}`;
}

/** What the schemes say about the tokens they take. */
export function protectedResourceMetadata(
  resource: string,
  schemes: readonly RegisteredScheme[],
): ProtectedResourceMetadata {
  const servers = new Set(schemes.flatMap(({ scheme }) => scheme.authorizationServers ?? []));
  const scopes = new Set(
    schemes.flatMap(({ scheme }) => (scheme.authorizationServers === undefined ? [] : (scheme.scopes ?? []))),
  );
  return {
    resource,
    ...(servers.size === 0 ? {} : { authorization_servers: [...servers] }),
    ...(scopes.size === 0 ? {} : { scopes_supported: [...scopes] }),
    bearer_methods_supported: ['header'],
  };
}

import {
  AgentSecurity,
  httpBearer,
  introspection,
  type IntrospectionOptions,
  type SecurityScheme,
} from '@a2a-auth/server';

import { startOAuthAgent, type OAuthAgent } from './agent.js';
import { SECRET, type AuthorizationServer } from './authorization-server.js';
import type { ServerIdentity } from './certificates.js';

export interface IntrospectingOptions extends Partial<IntrospectionOptions> {
  /** Serves https with it. */
  readonly identity?: ServerIdentity;
  /** What the tokens are presented by. Default: an `httpBearer`. */
  readonly scheme?: (verifier: ReturnType<typeof introspection>) => SecurityScheme;
}

/** An agent that asks the authorization server about opaque tokens, as the client `agent` unless said otherwise. */
export async function startIntrospectingAgent(
  server: AuthorizationServer,
  { identity, scheme = (verifier) => httpBearer({ verifier }), ...options }: IntrospectingOptions = {},
): Promise<OAuthAgent> {
  const agent = await startOAuthAgent((context) => {
    const verifier = introspection({
      issuer: server.issuer,
      audience: context.resource,
      clientId: 'agent',
      clientAuthentication: { method: 'client_secret_basic', clientSecret: SECRET },
      ...options,
    });
    return new AgentSecurity(context)
      .addSecurityScheme('token', scheme(verifier))
      .addSecurityRequirement({ token: ['ask'] });
  }, identity);
  server.addResource(agent.resource, { accessTokenFormat: 'opaque', jwt: undefined });
  return agent;
}

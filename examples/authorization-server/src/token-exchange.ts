import { createLocalJWKSet, jwtVerify, type JWK } from 'jose';
import {
  errors,
  type KoaContextWithOIDC,
  type Provider,
  type ResourceServer,
  type TokenEndpointGrantContext,
} from 'oidc-provider';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** RFC 8693 §2.1. */
interface ExchangeParameters {
  readonly subject_token?: string;
  readonly subject_token_type?: string;
  readonly requested_token_type?: string;
  readonly resource?: string;
  readonly scope?: string;
}

interface TokenExchangeOptions {
  readonly signingKey: JWK;
  /** By client id, the agent that the client is. */
  readonly agentOf: ReadonlyMap<string, string | undefined>;
  /** What tokens for an agent are like; throws for an agent that nobody knows. */
  readonly resourceServer: (resource: string) => ResourceServer;
}

/**
 * Adds token exchange (RFC 8693) to the server. An agent shows a token that somebody sent it, and gets one with which it can
 * call another agent for the same person: with no more scopes, and with the agent as the actor (`act`).
 */
export function addTokenExchange(
  provider: Provider,
  { signingKey, agentOf, resourceServer }: TokenExchangeOptions,
): void {
  const { d: _, ...publicKey } = signingKey;
  const keys = createLocalJWKSet({ keys: [publicKey] });

  const exchange = async (context: TokenEndpointGrantContext<ExchangeParameters>): Promise<void> => {
    const { client, params } = context.oidc;
    if (params.subject_token_type !== ACCESS_TOKEN)
      throw new errors.InvalidRequest('only access tokens are exchanged');
    // Only what was sent to this very agent: a token that leaked from another one is of no use to it.
    const subject = await verified(params.subject_token, keys, provider.issuer, agentOf.get(client.clientId));
    const scopes = params.scope?.split(' ') ?? subject.scopes;
    if (!scopes.every((scope) => subject.scopes.includes(scope))) {
      throw new errors.InvalidScope('the caller has fewer scopes', scopes.join(' '));
    }
    const { resource = '' } = params;
    const info = resourceServer(resource);
    const token = new provider.AccessToken({
      accountId: subject.id,
      client,
      grantId: 'exchange',
      gty: 'token_exchange',
      scope: scopes.join(' '),
    });
    token.resourceServer = new provider.ResourceServer(resource, info);
    context.state.act = { sub: client.clientId, ...(subject.act === undefined ? {} : { act: subject.act }) };
    context.body = {
      access_token: await token.save(),
      issued_token_type: ACCESS_TOKEN,
      token_type: token.tokenType,
      expires_in: token.expiration,
      scope: token.scope,
    };
  };
  provider.registerGrantType<ExchangeParameters>(TOKEN_EXCHANGE, exchange, [
    'subject_token',
    'subject_token_type',
    'requested_token_type',
    'resource',
    'scope',
  ]);
}

/** The claims that say who acts, while a token is exchanged. */
export function actorOf(context: KoaContextWithOIDC): { readonly act: object } | undefined {
  const { act } = context.state as { readonly act?: object };
  return act === undefined ? undefined : { act };
}

async function verified(
  token: string | undefined,
  keys: ReturnType<typeof createLocalJWKSet>,
  issuer: string,
  audience: string | undefined,
) {
  if (audience === undefined) throw new errors.UnauthorizedClient('this client is no agent');
  try {
    const { payload } = await jwtVerify(token ?? '', keys, { issuer, audience, typ: 'at+jwt' });
    const { sub = '', scope = '', act } = payload as { sub?: string; scope?: string; act?: object };
    return { id: sub, scopes: scope.split(' '), act };
  } catch {
    throw new errors.InvalidGrant('the token is not good, or not for this agent');
  }
}

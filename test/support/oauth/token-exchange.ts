import { createLocalJWKSet, jwtVerify, type JWK, type JWTPayload } from 'jose';
import { errors, type Provider, type ResourceServer, type TokenEndpointGrantContext } from 'oidc-provider';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

interface ExchangeParameters {
  readonly subject_token?: string;
  readonly assertion?: string;
  readonly actor_token?: string;
  readonly requested_token_type?: string;
  readonly audience?: string;
  readonly resource?: string;
  readonly scope?: string;
}

/** The `act` claim of an exchanged token, on its way into the token. */
export function actorOf(context: { readonly state: unknown }): object | undefined {
  return (context.state as { act?: object }).act;
}

/**
 * Token exchange (RFC 8693) and the JWT bearer grant (RFC 7523) for clients that are allowed them. Subjects and actors are
 * access tokens of this server; scopes are never more than the subject's; `act` says who acts, and who acted before.
 */
export function addTokenExchange(
  provider: Provider,
  keys: readonly JWK[],
  resources: ReadonlyMap<string, ResourceServer>,
): void {
  const { issuer } = provider;
  const publicKeys = createLocalJWKSet({ keys: keys.map(({ d: _, ...key }) => key) });
  const proven = async (token: string | undefined): Promise<JWTPayload> => {
    try {
      return (await jwtVerify(token ?? '', publicKeys, { issuer })).payload;
    } catch {
      throw new errors.InvalidGrant('the token is not good');
    }
  };

  const exchange =
    (issued: object) =>
    async (context: TokenEndpointGrantContext<ExchangeParameters>): Promise<void> => {
      const { client, params } = context.oidc;
      const { subject_token: subjectToken, assertion, actor_token: actorToken } = params;
      const subject = await proven(subjectToken ?? assertion);
      const actor = actorToken === undefined ? { sub: client.clientId } : await proven(actorToken);
      const target = params.resource ?? params.audience ?? '';
      const info = resources.get(target);
      if (info === undefined) throw new errors.InvalidTarget('nobody knows this target');
      const held = String(subject.scope).split(' ');
      const asked = params.scope?.split(' ') ?? held;
      if (!asked.every((scope) => held.includes(scope))) {
        throw new errors.InvalidScope('more than the subject has', params.scope ?? '');
      }
      context.state.act = { sub: actor.sub, ...(subject.act === undefined ? {} : { act: subject.act }) };
      const token = new provider.AccessToken({
        accountId: String(subject.sub),
        client,
        gty: 'token_exchange',
        grantId: 'exchange',
        scope: asked.join(' '),
      });
      token.resourceServer = new provider.ResourceServer(target, info);
      context.body = {
        access_token: await token.save(),
        expires_in: token.expiration,
        scope: token.scope,
        token_type: token.tokenType,
        ...issued,
      };
    };

  const common = ['scope', 'resource', 'audience', 'requested_token_use'];
  provider.registerGrantType<ExchangeParameters>(
    TOKEN_EXCHANGE,
    exchange({ issued_token_type: ACCESS_TOKEN }),
    [
      ...common,
      'subject_token',
      'subject_token_type',
      'actor_token',
      'actor_token_type',
      'requested_token_type',
    ],
  );
  provider.registerGrantType<ExchangeParameters>(JWT_BEARER, exchange({}), [...common, 'assertion']);
}

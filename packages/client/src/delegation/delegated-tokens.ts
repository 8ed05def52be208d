import type { SecuritySchemeDeclaration } from '@a2a-auth/server/card';

import type { Credential, CredentialRequest, CredentialSource } from '../credential-source.js';
import { ClientError } from '../errors.js';
import { digest } from '../oauth/digest.js';
import type { ClientAuthenticationOptions } from '../oauth/client-authentication.js';
import type { OutboundOptions } from '../oauth/outbound.js';
import { asksForLogin } from '../oauth/login-demand.js';
import { openProvider } from '../oauth/provider.js';
import type { Session } from '../oauth/session.js';
import type { TokenTypeUri } from '../oauth/token-exchange.js';
import { tokenKeeper } from '../oauth/token-keeper.js';
import { isSurelyUnbound } from '../oauth/tokens.js';
import { isScope } from '../scopes.js';
import { exchangeToken, type DelegationGrant } from './exchange.js';

/** Where tokens are exchanged, and as which client. */
export interface DelegationOptions extends ClientAuthenticationOptions, OutboundOptions {
  /** The authorization server, exactly as its metadata has it. */
  readonly issuer?: string;
  /** In place of `issuer`, for a server without metadata. */
  readonly tokenEndpoint?: string;
  /** `token-exchange` (RFC 8693), or `jwt-bearer` (RFC 7523) for servers without it. Default `token-exchange`. */
  readonly grant?: DelegationGrant;
  /**
   * Gives this agent's own token, sent as the `actor_token`, for servers that want one. Default: the client is known by how
   * it authenticates.
   */
  readonly actor?: CredentialSource;
  /** What kind of token callers have. Default: access tokens. */
  readonly subjectTokenType?: TokenTypeUri;
  /** Further parameters of token requests, such as `requested_token_use`. They replace none that is set here. */
  readonly tokenParameters?: Readonly<Record<string, string>>;
}

/** For whom, and for which agent. */
export interface DelegationTarget {
  /**
   * The caller's token, as `callerCredential(context, schemeId)` gives it. It is sent to the authorization server and to
   * nobody else.
   */
  readonly subjectToken: unknown;
  /** The logical name of the agent that the token is for (RFC 8693 §2.1). */
  readonly audience?: string | undefined;
  /** Its URL (RFC 8707); false for servers to which the scopes alone say whom the token is for. */
  readonly resource?: string | false | undefined;
  /** The `aud` of tokens for this agent, where the server writes another one than was asked for. */
  readonly expectedAudience?: string | undefined;
}

/** The tokens of one agent for calls on behalf of its callers. */
export interface DelegatedTokens {
  /** @throws {ClientError} */
  get(target: DelegationTarget, scopes: readonly string[], signal: AbortSignal | undefined): Promise<Session>;
  /** @param scopes those to be asked for, whatever the card requires; undefined for what it requires */
  source(target: DelegationTarget, scopes: readonly string[] | undefined): CredentialSource;
}

/** What stands for the scheme of a card where no card plays a part. */
const bearerScheme: SecuritySchemeDeclaration = { type: 'http', scheme: 'Bearer' };

/**
 * @throws {ClientError} `INVALID_OPTION`
 */
export function delegatedTokens(options: DelegationOptions): DelegatedTokens {
  const {
    issuer,
    tokenEndpoint,
    grant = 'token-exchange',
    actor,
    subjectTokenType = 'urn:ietf:params:oauth:token-type:access_token',
    tokenParameters = {},
    timeout,
    fetch,
    ...authentication
  } = options;
  const authority = issuer ?? tokenEndpoint;
  if (authority === undefined) throw invalid('it needs an issuer or a tokenEndpoint.');
  const { clientSecret, privateKey, tls } = authentication;
  if (clientSecret === undefined && privateKey === undefined && tls === undefined) {
    throw invalid('it needs a clientSecret, a privateKey or tls: who exchanges tokens has to say who it is.');
  }
  if (grant !== 'token-exchange' && grant !== 'jwt-bearer') {
    throw invalid("grant must be 'token-exchange' or 'jwt-bearer'.");
  }
  if (actor !== undefined && typeof actor.credential !== 'function') {
    throw invalid('actor must be a credential source, such as clientCredentials({ ... }).');
  }
  if (actor !== undefined && grant === 'jwt-bearer') {
    throw invalid("the grant 'jwt-bearer' has no actor: the client is known by how it authenticates.");
  }
  // Left out on purpose: `trust`, by which a card could choose where the caller's token is sent.
  const provider = openProvider('DelegationClient', {
    ...authenticationOf(authentication),
    ...(issuer === undefined ? {} : { issuer }),
    ...(tokenEndpoint === undefined ? {} : { tokenEndpoint }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(fetch === undefined ? {} : { fetch }),
  });
  const server = provider.serverFor(bearerScheme);
  const keeper = tokenKeeper(undefined);

  const get: DelegatedTokens['get'] = async (target, scopes, signal) => {
    const { audience, resource, expectedAudience } = checkTarget(target);
    const subjectToken = checkSubject(target.subjectToken);
    if (!Array.isArray(scopes) || !scopes.every(isScope)) throw invalid('scopes must be a list of scopes.');
    signal?.throwIfAborted();
    const actorToken = actor === undefined ? undefined : await actorTokenOf(actor, authority, signal);
    const asked = [...new Set(scopes)].sort();
    return keeper.get({
      // Nobody gets what was had for another: neither for another caller, nor by another actor.
      key: JSON.stringify([
        digest(subjectToken),
        actorToken === undefined ? null : digest(actorToken),
        audience ?? null,
        resource ?? null,
        expectedAudience ?? null,
        asked,
      ]),
      scopes: asked,
      resource,
      signal,
      obtain: (_scopes, stop) =>
        provider.call({ server, refused: 'TOKEN_REFUSED', signal: stop }, (configuration) =>
          exchangeToken(
            configuration,
            {
              grant,
              subjectToken,
              subjectTokenType,
              actorToken,
              audience,
              resource,
              expectedAudience,
              scopes: asked,
              parameters: tokenParameters,
            },
            server.name,
          ),
        ),
    });
  };

  const present = async ({ accessToken }: Session): Promise<Credential> => {
    const identity = isSurelyUnbound(accessToken) ? undefined : await provider.identity();
    return {
      headers: { authorization: `Bearer ${accessToken}` },
      ...(identity === undefined ? {} : { tls: identity }),
    };
  };

  return {
    get,
    source(target, scopes) {
      checkTarget(target);
      checkSubject(target.subjectToken);
      return {
        interactive: false,
        unfitFor: (scheme) => noTokenScheme(scheme) ?? provider.unfitFor(scheme),
        credential: async (request: CredentialRequest) =>
          present(await get(target, scopes ?? request.scopes, request.signal)),
        // The token is good where another login is asked for, and nobody could log in.
        renew: async ({ refused, challenge }) =>
          !asksForLogin(challenge) && keeper.refuse(refused.headers?.authorization?.split(' ')[1] ?? ''),
      };
    },
  };
}

/** What the provider takes, and nothing else that an untyped caller may have given. */
function authenticationOf(options: ClientAuthenticationOptions): ClientAuthenticationOptions {
  const { clientId, clientSecret, clientSecretMethod, privateKey, privateKeyId, tls } = options;
  return {
    clientId,
    ...(clientSecret === undefined ? {} : { clientSecret }),
    ...(clientSecretMethod === undefined ? {} : { clientSecretMethod }),
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(privateKeyId === undefined ? {} : { privateKeyId }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function noTokenScheme(scheme: SecuritySchemeDeclaration): string | undefined {
  switch (scheme.type) {
    case 'oauth2':
    case 'openIdConnect':
      return undefined;
    case 'http':
      return scheme.scheme.toLowerCase() === 'bearer'
        ? undefined
        : `A token is no credential of the HTTP authentication scheme ${JSON.stringify(scheme.scheme)}.`;
    default:
      return `A token is no ${scheme.type} credential.`;
  }
}

function checkTarget({ audience, resource, expectedAudience }: DelegationTarget) {
  for (const [name, value] of Object.entries({ audience, resource, expectedAudience })) {
    if (value !== undefined && value !== false && (typeof value !== 'string' || value === '')) {
      throw invalid(`${name} must be a non-empty string.`);
    }
  }
  if (audience === undefined && resource === undefined) {
    throw invalid(
      'a token has to be for one agent alone: give its audience or its resource. With a server to which the scopes ' +
        'say it, resource: false.',
    );
  }
  return { audience, resource: resource === false ? undefined : resource, expectedAudience };
}

/** @throws {ClientError} `LOGIN_REQUIRED` */
function checkSubject(token: unknown): string {
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new ClientError(
    'LOGIN_REQUIRED',
    'There is no token of the caller that could be exchanged: subjectToken is none. Was the caller let in by another scheme?',
  );
}

async function actorTokenOf(
  actor: CredentialSource,
  authority: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { headers } = await actor.credential({
    schemeId: 'actor',
    scheme: bearerScheme,
    scopes: [],
    resource: undefined,
    http: { method: 'POST', url: authority },
    signal,
  });
  const token = /^Bearer ([\x21-\x7e]+)$/.exec(headers?.authorization ?? '')?.[1];
  if (token === undefined) {
    throw new ClientError('CREDENTIAL_UNUSABLE', 'The actor of DelegationClient() gave no bearer token.');
  }
  return token;
}

function invalid(message: string): ClientError {
  return new ClientError('INVALID_OPTION', `DelegationClient(): ${message}`);
}

import {
  genericGrantRequest,
  type Configuration,
  type DPoPHandle,
  type TokenEndpointResponse,
} from 'openid-client';

import type { CredentialRequest } from '../credential-source.js';
import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import { digest } from './digest.js';
import { OAUTH_OPTIONS, oauthSource, type OAuthOptions, type OAuthSource } from './oauth-source.js';

/** The kinds of token that RFC 8693 §3 has names for, and those of others. */
export type TokenTypeUri = `urn:${string}`;

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

/** Gives the token to be used for a request. Called with every request; after it gave another, so does the exchange. */
export type TokenFunction = (request: CredentialRequest) => string | Promise<string>;

export interface TokenExchangeOptions extends OAuthOptions {
  /** The token of whom the new one is to speak for. */
  readonly subjectToken: TokenFunction;
  /** Default: that of access tokens. */
  readonly subjectTokenType?: TokenTypeUri;
  /** The token of whom the new one is used by, where it is not the client alone. */
  readonly actorToken?: TokenFunction;
  /** Default: that of access tokens. */
  readonly actorTokenType?: TokenTypeUri;
  /** Default: that of access tokens. */
  readonly requestedTokenType?: TokenTypeUri;
}

/**
 * Exchanges somebody's token for one that is meant for the agent (RFC 8693). What was exchanged is kept by subject, actor,
 * audience and scopes.
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export function tokenExchange(options: TokenExchangeOptions): OAuthSource {
  checkOptions('tokenExchange()', options, {
    ...OAUTH_OPTIONS,
    subjectToken: true,
    subjectTokenType: true,
    actorToken: true,
    actorTokenType: true,
    requestedTokenType: true,
  });
  const {
    subjectToken,
    subjectTokenType = ACCESS_TOKEN,
    actorToken,
    actorTokenType = ACCESS_TOKEN,
    requestedTokenType = ACCESS_TOKEN,
  } = options;
  if (typeof subjectToken !== 'function' || (actorToken !== undefined && typeof actorToken !== 'function')) {
    throw new ClientError(
      'INVALID_OPTION',
      'tokenExchange(): subjectToken and actorToken must be functions that give a token.',
    );
  }
  return oauthSource<ExchangeTokens>(
    {
      name: 'tokenExchange',
      interactive: false,
      refused: 'TOKEN_REFUSED',
      sharing: 'request',
      async prepare(request) {
        const subject = await tokenOf('subjectToken', subjectToken, request);
        const actor = actorToken === undefined ? undefined : await tokenOf('actorToken', actorToken, request);
        return {
          id: digest(JSON.stringify([subject, actor ?? null])),
          context: {
            subject: { token: subject, type: subjectTokenType },
            actor: actor === undefined ? undefined : { token: actor, type: actorTokenType },
          },
        };
      },
      obtain: (configuration, { context, parameters, options: binding }) =>
        exchangeToken(configuration, { ...context, requestedTokenType, parameters }, binding),
    },
    options,
  );
}

interface ExchangeTokens {
  readonly subject: TypedToken;
  readonly actor?: TypedToken | undefined;
}

interface TypedToken {
  readonly token: string;
  readonly type: TokenTypeUri;
}

interface ExchangeRequest extends ExchangeTokens {
  readonly requestedTokenType: TokenTypeUri;
  /** Further parameters, such as `scope`, `resource` and `audience`. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The exchange itself (RFC 8693 §2). */
async function exchangeToken(
  configuration: Configuration,
  { subject, actor, requestedTokenType, parameters }: ExchangeRequest,
  options: { readonly DPoP?: DPoPHandle },
): Promise<TokenEndpointResponse> {
  const response = await genericGrantRequest(
    configuration,
    TOKEN_EXCHANGE,
    {
      ...parameters,
      subject_token: subject.token,
      subject_token_type: subject.type,
      ...(actor === undefined ? {} : { actor_token: actor.token, actor_token_type: actor.type }),
      requested_token_type: requestedTokenType,
    },
    options,
  );
  // RFC 8693 §2.2.1: it is required.
  const { issued_token_type: issued } = response;
  const isIssued = issued === requestedTokenType || [issued, requestedTokenType].every(isSentAsAccessToken);
  if (!isIssued || (response.token_type as string) === 'n_a') {
    throw new ClientError(
      'TOKEN_REFUSED',
      'The authorization server exchanged the token for one of another kind, or for one that no request can carry.',
    );
  }
  return response;
}

/** RFC 8693 §3: an access token may be a JWT. */
export function isSentAsAccessToken(type: unknown): boolean {
  return type === ACCESS_TOKEN || type === JWT;
}

/**
 * @throws {ClientError} `LOGIN_REQUIRED` when there is none
 */
export async function tokenOf(
  name: string,
  give: TokenFunction,
  request: CredentialRequest,
): Promise<string> {
  const token: unknown = await give(request);
  if (typeof token !== 'string' || token === '') {
    throw new ClientError('LOGIN_REQUIRED', `${name}() gave no token for this request.`);
  }
  return token;
}

import type { OAuthFlowDeclaration, SecuritySchemeDeclaration } from '@a2a-auth/server/card';
import {
  refreshTokenGrant,
  type Configuration,
  type DPoPHandle,
  type TokenEndpointResponse,
} from 'openid-client';

import type { Credential, CredentialRequest, CredentialSource } from '../credential-source.js';
import { ClientError, type ClientErrorCode } from '../errors.js';
import { quote } from '../quote.js';
import { isScope } from '../scopes.js';
import type { TokenStore } from '../stores/token-store.js';
import { CLIENT_AUTHENTICATION_OPTIONS } from './client-authentication.js';
import { asksForLogin, loginDemandOf, type LoginDemand } from './login-demand.js';
import { openProvider, type ProviderOptions } from './provider.js';
import type { Sender } from './sender.js';
import type { Session } from './session.js';
import { tokenKeeper, type Wanted } from './token-keeper.js';
import { isSurelyUnbound, tokensFrom } from './tokens.js';

/** What all OAuth sources take. */
export interface OAuthOptions extends ProviderOptions {
  /** Asked for besides what the agent requires, such as `offline_access`. */
  readonly scopes?: readonly string[];
  /** The scopes that a card or a challenge may have this source ask for, besides `scopes`. Default: any. */
  readonly allowedScopes?: readonly string[];
  /**
   * The `resource` that tokens are asked for (RFC 8707). Default: that of the agent, where it is known; false for servers
   * that refuse the parameter.
   */
  readonly resource?: string | false;
  /** The `audience` that tokens are asked for, with servers that know this parameter. */
  readonly audience?: string;
  /** Further parameters of token requests. */
  readonly tokenParameters?: Readonly<Record<string, string>>;
}

/** The names of what all OAuth sources take. */
export const OAUTH_OPTIONS = {
  issuer: true,
  tokenEndpoint: true,
  trust: true,
  ...CLIENT_AUTHENTICATION_OPTIONS,
  scopes: true,
  allowedScopes: true,
  resource: true,
  audience: true,
  tokenParameters: true,
  timeout: true,
  fetch: true,
} as const satisfies Record<keyof OAuthOptions, true>;

const bind = Symbol('bind');

/** A source whose tokens `dpop()` can bind to a key. */
export interface OAuthSource extends CredentialSource {
  /** The same source, with tokens that are bound to a key. */
  readonly [bind]: (sender: Sender) => OAuthSource;
}

/** What is different between the sources. */
export interface Recipe<Context> {
  /** The name of the function that makes the source. */
  readonly name: string;
  readonly interactive: boolean;
  /** The flows of the schemes that it meets; any where left out. */
  readonly flows?: readonly OAuthFlowDeclaration['type'][];
  /** The code of the error when the server refuses. */
  readonly refused: ClientErrorCode;
  /**
   * Whether one set of tokens serves all that is asked of this source: `session` for what one refresh token gives, `login`
   * for one login a resource, whose scopes grow, and `request` for tokens of their own for each combination.
   */
  readonly sharing: 'session' | 'login' | 'request';
  readonly store?: TokenStore | undefined;
  /** The refresh token to begin with. */
  readonly refreshToken?: string | undefined;
  /** What the tokens depend on besides, and an id of it that shows no secret. */
  prepare?(request: CredentialRequest): Promise<{ readonly id: string; readonly context: Context }>;
  obtain(configuration: Configuration, ask: TokenAsk<Context>): Promise<TokenEndpointResponse>;
}

export interface TokenAsk<Context> {
  /** `scope`, `resource`, `audience` and the user's own. */
  readonly parameters: Readonly<Record<string, string>>;
  /** What an agent asks of a login; for the request that begins it. */
  readonly demand: LoginDemand;
  readonly scopes: readonly string[];
  readonly options: { readonly DPoP?: DPoPHandle };
  readonly isIssuerKnown: boolean;
  readonly signal: AbortSignal;
  readonly context: Context;
}

/** Parameters that are not for the user to set. */
const OWN_PARAMETERS = [
  'actor_token',
  'assertion',
  'client_assertion',
  'client_id',
  'client_secret',
  'code',
  'code_verifier',
  'device_code',
  'grant_type',
  'redirect_uri',
  'refresh_token',
  'subject_token',
];

/**
 * @throws {ClientError} `INVALID_OPTION`
 */
export function oauthSource<Context = undefined>(
  recipe: Recipe<Context>,
  options: OAuthOptions,
  sender?: Sender,
): OAuthSource {
  const { name, interactive, sharing, store, refused } = recipe;
  const { scopes: always = [], allowedScopes, audience, tokenParameters = {} } = options;
  checkScopes(name, { scopes: always, allowedScopes });
  const forbidden = Object.keys(tokenParameters).find((parameter) => OWN_PARAMETERS.includes(parameter));
  if (forbidden !== undefined) {
    throw new ClientError('INVALID_OPTION', `${name}(): tokenParameters must not have ${forbidden}.`);
  }
  const provider = openProvider(name, options);
  const keeper = tokenKeeper(store);
  const allowed = allowedScopes === undefined ? undefined : new Set([...allowedScopes, ...always]);

  const scopesFor = (required: readonly string[]): readonly string[] => {
    const refusedScope = allowed && required.find((scope) => !allowed.has(scope));
    if (refusedScope !== undefined) {
      throw new ClientError(
        'SCOPE_NOT_ALLOWED',
        `The scope ${quote(refusedScope)} is not allowed. Add it to allowedScopes of ${name}(), if the agent may have it.`,
      );
    }
    return [...new Set([...always, ...required])].sort();
  };

  const wantedFor = async (request: CredentialRequest): Promise<Wanted> => {
    const { scheme } = request;
    const scopes = scopesFor(request.scopes);
    const resource = options.resource === false ? undefined : (options.resource ?? request.resource);
    const server = provider.serverFor(scheme);
    const prepared = await recipe.prepare?.(request);
    const identity = await provider.identity();
    const parametersFor = (asked: readonly string[]) => ({
      ...tokenParameters,
      ...(asked.length === 0 ? {} : { scope: asked.join(' ') }),
      ...(resource === undefined ? {} : { resource }),
      ...(audience === undefined ? {} : { audience }),
    });
    const bindingOptions = async () => (sender === undefined ? {} : { DPoP: await sender.handle() });
    return {
      key: JSON.stringify([
        server.id,
        provider.clientId,
        audience ?? null,
        sharing === 'session' ? null : (resource ?? null),
        sharing === 'request' ? scopes : null,
        prepared?.id ?? null,
        (await sender?.thumbprint()) ?? null,
        identity?.certificate ?? null,
      ]),
      scopes,
      resource,
      signal: request.signal,
      async obtain(asked, signal, demand) {
        const response = await provider.call({ server, refused, scheme, signal }, async (configuration) => {
          const all = demand === undefined ? asked : withOpenId(asked, configuration, allowed);
          return recipe.obtain(configuration, {
            parameters: parametersFor(all),
            demand: demand ?? {},
            scopes: all,
            options: await bindingOptions(),
            isIssuerKnown: server.isIssuerKnown,
            signal,
            context: prepared?.context as Context,
          });
        });
        return tokensFrom(response, server.name, sender !== undefined);
      },
      refresh:
        sharing === 'request'
          ? undefined
          : async (refreshToken) => {
              // Without a scope, the answer has those of the login (RFC 6749 §6).
              const parameters = parametersFor([]);
              const response = await provider.call(
                { server, refused: 'TOKEN_REFUSED', scheme },
                async (configuration) =>
                  refreshTokenGrant(configuration, refreshToken, parameters, await bindingOptions()),
              );
              return tokensFrom(response, server.name, sender !== undefined);
            },
      refreshToken: recipe.refreshToken,
    };
  };

  /** The same object for the same token. */
  const presented = new WeakMap<Session, Credential>();
  const present = async (session: Session, { http }: CredentialRequest): Promise<Credential> => {
    const known = presented.get(session);
    if (known !== undefined) return known;
    const { accessToken, tokenType } = session;
    const identity = isSurelyUnbound(accessToken) ? undefined : await provider.identity();
    const tls = identity === undefined ? {} : { tls: identity };
    const authorization = `${tokenType} ${accessToken}`;
    if (sender !== undefined) {
      return { headers: { authorization, dpop: await sender.proof(http, accessToken) }, ...tls };
    }
    const credential: Credential = Object.freeze({ headers: Object.freeze({ authorization }), ...tls });
    presented.set(session, credential);
    return credential;
  };

  return {
    interactive,
    unfitFor: (scheme) => unfit(recipe, scheme) ?? provider.unfitFor(scheme),
    async credential(request) {
      request.signal?.throwIfAborted();
      return present(await keeper.get(await wantedFor(request)), request);
    },
    async renew(refusal) {
      const { refused: sent, challenge, http } = refusal;
      const error = challenge?.params.error;
      // The token is good. Who wants another one asks for other scopes.
      if (error === 'insufficient_scope') return false;
      if (sender !== undefined && (error === 'use_dpop_nonce' || error === 'invalid_dpop_proof')) {
        return sender.hasNewerNonce(http, sent.headers?.dpop);
      }
      const demand = loginDemandOf(challenge);
      // The token is good, and only a person could get a better one.
      if (asksForLogin(challenge) && (!interactive || demand === undefined)) return false;
      const accessToken = sent.headers?.authorization?.split(' ')[1];
      if (accessToken === undefined) return true;
      return demand === undefined
        ? keeper.refuse(accessToken)
        : keeper.logIn(await wantedFor(refusal), accessToken, demand);
    },
    ...(sender === undefined
      ? {}
      : {
          observe: (response) => {
            sender.observe(response);
          },
        }),
    [bind]: (other) => oauthSource(recipe, options, other),
  };
}

/** Makes a source whose tokens are bound to a key; undefined for a source that gives none. */
export function bound(source: CredentialSource, sender: Sender): OAuthSource | undefined {
  return (source as Partial<OAuthSource> | undefined)?.[bind]?.(sender);
}

/**
 * How a person logs in is OpenID Connect's to ask for: servers that have it may refuse to be asked without it. A challenge
 * brings no scope that is not allowed, this one neither.
 */
function withOpenId(
  scopes: readonly string[],
  configuration: Configuration,
  allowed: ReadonlySet<string> | undefined,
): readonly string[] {
  const isSupported = configuration.serverMetadata().scopes_supported?.includes('openid') === true;
  const isAllowed = allowed === undefined || allowed.has('openid');
  return isSupported && isAllowed && !scopes.includes('openid') ? [...scopes, 'openid'] : scopes;
}

function unfit<Context>(
  { name, flows }: Recipe<Context>,
  scheme: SecuritySchemeDeclaration,
): string | undefined {
  switch (scheme.type) {
    case 'openIdConnect':
      return undefined;
    case 'oauth2':
      return flows === undefined || flows.includes(scheme.flow.type)
        ? undefined
        : `${name}() is for other flows than ${scheme.flow.type}.`;
    case 'http':
      return ['bearer', 'dpop'].includes(scheme.scheme.toLowerCase())
        ? undefined
        : `A token is no credential of the HTTP authentication scheme ${quote(scheme.scheme)}.`;
    default:
      return `A token is no ${scheme.type} credential.`;
  }
}

function checkScopes(name: string, lists: Readonly<Record<string, readonly string[] | undefined>>): void {
  for (const [option, scopes] of Object.entries(lists)) {
    if (scopes !== undefined && !(Array.isArray(scopes) && scopes.every(isScope))) {
      throw new ClientError('INVALID_OPTION', `${name}(): ${option} must be a list of scopes.`);
    }
  }
}

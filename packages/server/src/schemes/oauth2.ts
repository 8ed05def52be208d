import type { OAuth2Declaration, OAuthFlowDeclaration } from '../card/declaration.js';
import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { SecurityScheme } from '../scheme.js';
import type { DpopVerifier } from '../tokens/dpop.js';
import type { TokenVerifier } from '../tokens/token-verifier.js';
import { bearerTokenScheme } from './bearer-token.js';

/** What all OAuth 2.0 flows have in common. */
export interface OAuth2Options {
  readonly tokenUrl: string;
  /** Where refresh tokens are redeemed, where that is not `tokenUrl`. */
  readonly refreshUrl?: string;
  /** The scopes that requirements may ask for, each with its description. */
  readonly scopes: Readonly<Record<string, string>>;
  /** RFC 8414 metadata of the authorization server. */
  readonly oauth2MetadataUrl?: string;
  /** Published. */
  readonly description?: string;
  /** Such as `jwtFromIssuer()` or `introspection()`. */
  readonly verifier: TokenVerifier;
  /** Accepts tokens that are bound to a key, with their DPoP proofs; see `dpop()`. Left out: such tokens are refused. */
  readonly dpop?: DpopVerifier;
}

export interface OAuth2AuthorizationCodeOptions extends OAuth2Options {
  readonly authorizationUrl: string;
  /** Published in 1.0; clients are to use PKCE (RFC 7636). Default true. */
  readonly pkceRequired?: boolean;
}

export interface OAuth2DeviceCodeOptions extends OAuth2Options {
  readonly deviceAuthorizationUrl: string;
}

/** Of all flows, so that they can share one object. */
const known = {
  tokenUrl: 'any',
  refreshUrl: 'any',
  scopes: 'any',
  oauth2MetadataUrl: 'any',
  description: 'string',
  verifier: 'any',
  dpop: 'any',
  authorizationUrl: 'any',
  pkceRequired: 'boolean',
  deviceAuthorizationUrl: 'any',
} as const;

/**
 * OAuth 2.0, authorization code flow: a person logs in with a browser.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` without a verifier, or with a URL that is none
 */
export function oauth2AuthorizationCode(options: OAuth2AuthorizationCodeOptions): SecurityScheme<string> {
  checkOptions('oauth2AuthorizationCode()', options, known);
  const { authorizationUrl, pkceRequired = true } = options;
  return oauth2Scheme('oauth2AuthorizationCode', options, {
    type: 'authorizationCode',
    authorizationUrl,
    pkceRequired,
    ...common(options),
  });
}

/**
 * OAuth 2.0, client credentials flow: the calling agent stands for itself.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` without a verifier, or with a URL that is none
 */
export function oauth2ClientCredentials(options: OAuth2Options): SecurityScheme<string> {
  checkOptions('oauth2ClientCredentials()', options, known);
  return oauth2Scheme('oauth2ClientCredentials', options, { type: 'clientCredentials', ...common(options) });
}

/**
 * OAuth 2.0, device authorization flow (RFC 8628): a person logs in on another device.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` without a verifier, or with a URL that is none
 */
export function oauth2DeviceCode(options: OAuth2DeviceCodeOptions): SecurityScheme<string> {
  checkOptions('oauth2DeviceCode()', options, known);
  const { deviceAuthorizationUrl } = options;
  return oauth2Scheme('oauth2DeviceCode', options, {
    type: 'deviceCode',
    deviceAuthorizationUrl,
    ...common(options),
  });
}

function common({ tokenUrl, refreshUrl, scopes }: OAuth2Options) {
  return { tokenUrl, refreshUrl, scopes };
}

function oauth2Scheme(
  name: string,
  { verifier, dpop, scopes, oauth2MetadataUrl, description }: OAuth2Options,
  flow: OAuthFlowDeclaration,
): SecurityScheme<string> {
  const declaration: OAuth2Declaration = { type: 'oauth2', flow, oauth2MetadataUrl, description };
  assertVerifier(name, verifier);
  const urls = { ...flow, oauth2MetadataUrl } as Readonly<Record<string, unknown>>;
  for (const [option, url] of Object.entries(urls)) {
    const isLeftOut = url === undefined && ['refreshUrl', 'oauth2MetadataUrl'].includes(option);
    if (option.endsWith('Url') && !isLeftOut) assertUrl(name, option, url);
  }
  if (
    typeof scopes !== 'object' ||
    scopes === null ||
    Array.isArray(scopes) ||
    !Object.values(scopes).every((text) => typeof text === 'string')
  ) {
    throw configurationError('INVALID_OPTION', `${name}: scopes must map each scope to its description.`);
  }
  return bearerTokenScheme({ declaration, scopes: Object.keys(scopes), verifier, dpop });
}

/** @throws {ConfigurationError} `INVALID_OPTION` */
export function assertVerifier(name: string, verifier: TokenVerifier | undefined): void {
  if (typeof verifier?.verify !== 'function') {
    throw configurationError(
      'INVALID_OPTION',
      `${name} needs a verifier such as jwtFromIssuer({ ... }): without one, nobody could tell a good token from a bad one.`,
    );
  }
}

/** @throws {ConfigurationError} `INVALID_OPTION` */
export function assertUrl(name: string, option: string, url: unknown): void {
  if (typeof url !== 'string' || !URL.canParse(url)) {
    throw configurationError(
      'INVALID_OPTION',
      `${name}: ${option} must be an absolute URL, not ${JSON.stringify(url)}.`,
    );
  }
}

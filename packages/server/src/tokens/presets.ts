import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { TrustedIssuer } from './jwt-from-issuer.js';
import { scopesOf } from './jwt-claims.js';

/**
 * Keycloak: access tokens have the `typ` JWT, and what they are in a claim.
 *
 * @param url the server's base URL, such as `https://login.example.com`
 */
export function keycloak(options: { readonly url: string; readonly realm: string }): TrustedIssuer {
  checkOptions('keycloak()', options, { url: 'any', realm: 'any' });
  const { url, realm } = options;
  assertGiven('keycloak', { url, realm });
  return { issuer: `${url.replace(/\/+$/, '')}/realms/${encodeURIComponent(realm)}`, anyJwt: true };
}

/**
 * Auth0: both its own token profile and that of RFC 9068; with RBAC on, permissions count as scopes.
 *
 * @param domain such as `example.eu.auth0.com`
 */
export function auth0(options: { readonly domain: string }): TrustedIssuer {
  checkOptions('auth0()', options, { domain: 'any' });
  const { domain } = options;
  assertHost('auth0', domain);
  return {
    issuer: `https://${domain}/`,
    anyJwt: true,
    scopes: (claims) => [...scopesOf(claims), ...stringsOf(claims.permissions)],
  };
}

/**
 * Microsoft Entra ID, tokens of version 2.0 of a single tenant: delegated permissions (`scp`) and app roles (`roles`)
 * count as scopes.
 *
 * @param tenantId the directory's id, a GUID
 * @throws {ConfigurationError} `INVALID_OPTION` for `common`, `organizations` and `consumers`, which stand for no issuer
 */
export function entraId(options: { readonly tenantId: string }): TrustedIssuer {
  checkOptions('entraId()', options, { tenantId: 'any' });
  const { tenantId } = options;
  assertGiven('entraId', { tenantId });
  if (['common', 'organizations', 'consumers'].includes(tenantId)) {
    throw configurationError(
      'INVALID_OPTION',
      `entraId(): "${tenantId}" stands for no single tenant, so its tokens have other issuers. Give the id of each tenant you trust.`,
    );
  }
  return {
    issuer: `https://login.microsoftonline.com/${encodeURIComponent(tenantId)}/v2.0`,
    anyJwt: true,
    scopes: (claims) => [...scopesOf(claims), ...stringsOf(claims.roles)],
  };
}

/**
 * Okta, a custom authorization server. (The access tokens of the org authorization server are for Okta alone.)
 *
 * @param domain such as `example.okta.com`
 * @param authorizationServerId default `default`
 */
export function okta(options: {
  readonly domain: string;
  readonly authorizationServerId?: string;
}): TrustedIssuer {
  checkOptions('okta()', options, { domain: 'any', authorizationServerId: 'string' });
  const { domain, authorizationServerId = 'default' } = options;
  assertHost('okta', domain);
  return { issuer: `https://${domain}/oauth2/${encodeURIComponent(authorizationServerId)}`, anyJwt: true };
}

/**
 * Google, whose access tokens are opaque and for Google alone: its ID tokens are accepted, for this client. Those of
 * service accounts and of Android apps name another client as `azp`, which then has to be in the list as well.
 *
 * @param clientId such as `1234-abcd.apps.googleusercontent.com`; several are alternatives
 */
export function google(options: { readonly clientId: string | readonly string[] }): TrustedIssuer {
  checkOptions('google()', options, { clientId: 'any' });
  const { clientId } = options;
  assertGiven('google', { clientId });
  return {
    issuer: 'https://accounts.google.com',
    audience: clientId,
    accept: 'id_token',
    algorithms: ['RS256'],
  };
}

/**
 * AWS Cognito, whose access tokens carry no `aud`: the client that a token was issued to is checked instead.
 *
 * @param region such as `eu-central-1`
 * @param userPoolId such as `eu-central-1_Ab12Cd34E`
 * @param clientIds the app clients whose tokens are accepted
 */
export function cognito(options: {
  readonly region: string;
  readonly userPoolId: string;
  readonly clientIds: readonly string[];
}): TrustedIssuer {
  checkOptions('cognito()', options, { region: 'any', userPoolId: 'any', clientIds: 'any' });
  const { region, userPoolId, clientIds } = options;
  assertGiven('cognito', { region, userPoolId, clientIds });
  return {
    issuer: `https://cognito-idp.${region}.amazonaws.com/${userPoolId}`,
    audience: clientIds,
    audienceClaim: 'client_id',
    anyJwt: true,
    algorithms: ['RS256'],
  };
}

function stringsOf(claim: unknown): readonly string[] {
  return Array.isArray(claim) ? claim.filter((name): name is string => typeof name === 'string') : [];
}

/** @throws {ConfigurationError} `INVALID_OPTION` naming what is missing: usually an environment variable */
function assertGiven(preset: string, options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (values.length > 0 && values.every((item) => typeof item === 'string' && item !== '')) continue;
    throw configurationError(
      'INVALID_OPTION',
      `${preset}(): ${name} must be a non-empty string${Array.isArray(value) ? ', or a list of such' : ''}. Is an environment variable missing?`,
    );
  }
}

/** @throws {ConfigurationError} `INVALID_OPTION` unless it is a host name alone */
function assertHost(preset: string, domain: string): void {
  assertGiven(preset, { domain });
  if (/^[A-Za-z0-9.-]+$/.test(domain)) return;
  throw configurationError(
    'INVALID_OPTION',
    `${preset}(): domain must be a host name alone, such as example.com, not ${JSON.stringify(domain)}.`,
  );
}

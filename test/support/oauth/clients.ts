import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  clientCredentialsGrant,
  ClientSecretBasic,
  customFetch,
  discovery,
  initiateDeviceAuthorization,
  None,
  pollDeviceAuthorizationGrant,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
  type ClientAuth,
  type ClientMetadata,
  type Configuration,
  type CustomFetch,
  type DPoPHandle,
  type TokenEndpointResponse,
  type TokenEndpointResponseHelpers,
} from 'openid-client';

import { REDIRECT_URI, SECRET } from './authorization-server.js';
import type { Person, UserAgent } from './user-agent.js';

export type Tokens = TokenEndpointResponse & TokenEndpointResponseHelpers;
type Parameters = Readonly<Record<string, string>>;

export interface ClientOptions {
  readonly authentication?: ClientAuth;
  readonly fetch?: typeof fetch;
  readonly metadata?: Partial<ClientMetadata>;
}

/** A client as the authorization server knows it; confidential ones with their secret, unless said otherwise. */
export function oauthClient(
  { issuer }: { readonly issuer: string },
  clientId: string,
  { authentication, metadata, fetch: fetchImpl = fetch }: ClientOptions = {},
): Promise<Configuration> {
  const own = clientId === 'terminal' ? None() : ClientSecretBasic(SECRET);
  return discovery(new URL(issuer), clientId, metadata, authentication ?? own, {
    execute: [allowInsecureRequests],
    [customFetch]: fetchImpl as CustomFetch,
  });
}

/** Client credentials (RFC 6749 §4.4). */
export async function serviceToken(
  server: { readonly issuer: string },
  resource: string,
  scope = 'ask',
): Promise<string> {
  const client = await oauthClient(server, 'service');
  return (await clientCredentialsGrant(client, { resource, scope })).access_token;
}

/** Authorization code with PKCE (RFC 7636); the login and the consent happen in the browser. */
export async function logIn(
  client: Configuration,
  browser: UserAgent,
  person: Person,
  parameters: Parameters,
  options: { readonly DPoP?: DPoPHandle } = {},
): Promise<Tokens> {
  const pkceCodeVerifier = randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [randomState(), randomNonce()];
  const isOpenId = parameters.scope?.split(' ').includes('openid') === true;
  const url = buildAuthorizationUrl(client, {
    redirect_uri: REDIRECT_URI,
    code_challenge: await calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    ...(isOpenId ? { nonce: expectedNonce } : {}),
    ...parameters,
  });
  const called = await browser.visit(url, person, REDIRECT_URI);
  return authorizationCodeGrant(
    client,
    new URL(called),
    { pkceCodeVerifier, expectedState, ...(isOpenId ? { expectedNonce } : {}) },
    undefined,
    options,
  );
}

/** The device flow (RFC 8628): the person types the code into another device's browser. */
export async function logInOnDevice(
  client: Configuration,
  browser: UserAgent,
  person: Person,
  parameters: Parameters,
): Promise<Tokens> {
  const started = await initiateDeviceAuthorization(client, { ...parameters });
  await browser.visit(started.verification_uri, { ...person, userCode: started.user_code });
  // The person is through already, so there is nothing to wait for.
  return pollDeviceAuthorizationGrant(client, { ...started, interval: 0 });
}

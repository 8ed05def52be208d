import {
  CLIENT_CREDENTIALS,
  DEVICE_CODE,
  type AuthorizationServer,
  type Client,
} from '@a2a-auth/example-authorization-server';
import {
  allowInsecureRequests,
  ClientSecretBasic,
  clientCredentialsGrant,
  discovery,
  initiateDeviceAuthorization,
  pollDeviceAuthorizationGrant,
  type Configuration,
} from 'openid-client';

/** The clients of the embedded authorization server: one that may ask the agent, one that may not, one for people. */
export function createClients(secret: () => string) {
  const orchestrator: Client = {
    client_id: 'orchestrator',
    client_secret: secret(),
    grant_types: [CLIENT_CREDENTIALS],
    scope: 'agent:ask agent:status',
  };
  const monitor: Client = {
    client_id: 'monitor',
    client_secret: secret(),
    grant_types: [CLIENT_CREDENTIALS],
    scope: 'agent:status',
  };
  const terminal: Client = {
    client_id: 'terminal',
    client_secret: secret(),
    grant_types: [DEVICE_CODE],
    scope: 'agent:ask agent:status',
  };
  return { orchestrator, monitor, terminal };
}

/** Gets a client an access token in its own name. */
export async function clientCredentialsToken(
  authorizationServer: AuthorizationServer,
  client: Client,
  resource: string,
): Promise<string> {
  const configuration = await configure(authorizationServer, client);
  const { access_token } = await clientCredentialsGrant(configuration, { scope: client.scope, resource });
  return access_token;
}

/** Starts the device flow. The promise of the token settles once a person has said yes or no in a browser. */
export async function startDeviceFlow(
  authorizationServer: AuthorizationServer,
  client: Client,
  resource: string,
): Promise<{ userCode: string; verificationUri: string; token: Promise<string> }> {
  const configuration = await configure(authorizationServer, client);
  const started = await initiateDeviceAuthorization(configuration, { scope: client.scope, resource });
  return {
    userCode: started.user_code,
    verificationUri: started.verification_uri_complete ?? started.verification_uri,
    token: pollDeviceAuthorizationGrant(configuration, started, { resource }).then(
      (tokens) => tokens.access_token,
    ),
  };
}

function configure({ issuer }: AuthorizationServer, client: Client): Promise<Configuration> {
  return discovery(new URL(issuer), client.client_id, undefined, ClientSecretBasic(client.client_secret), {
    // The embedded authorization server speaks plain http on the loopback.
    execute: [allowInsecureRequests],
  });
}

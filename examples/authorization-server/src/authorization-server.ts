import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { Provider, type Configuration } from 'oidc-provider';

/** An OAuth client of the authorization server. */
export interface Client {
  readonly client_id: string;
  readonly client_secret: string;
  readonly grant_types: readonly string[];
  /** The scopes it may ask for, in one string. */
  readonly scope: string;
}

export interface AuthorizationServerOptions {
  /** 0 for any free port. */
  readonly port: number;
  /** The agent that tokens are for (RFC 8707), and the scopes it knows. */
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly clients: readonly Client[];
  /** Seconds. */
  readonly accessTokenTtl: number;
}

export interface AuthorizationServer {
  readonly issuer: string;
  readonly server: Server;
}

export const CLIENT_CREDENTIALS = 'client_credentials';
export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

/**
 * Starts an authorization server that issues JWT access tokens (RFC 9068) for one agent. Whoever logs in is believed:
 * the login page takes any name.
 */
export async function startAuthorizationServer(
  options: AuthorizationServerOptions,
): Promise<AuthorizationServer> {
  const server = createServer();
  server.listen(options.port);
  await once(server, 'listening');
  const issuer = `http://localhost:${String((server.address() as AddressInfo).port)}`;
  const provider = new Provider(issuer, configuration(options, await signingKey()));
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));
  return { issuer, server };
}

function configuration(options: AuthorizationServerOptions, key: JWK): Configuration {
  const { resource, scopes, clients, accessTokenTtl } = options;
  return {
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: ['openid', 'offline_access', ...scopes],
    clients: clients.map((client) => ({
      ...client,
      grant_types: [...client.grant_types],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'ES256',
    })),
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: scopes.join(' '),
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: accessTokenTtl,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    findAccount: (_context, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId }),
    }),
    ttl: { Grant: accessTokenTtl, Session: accessTokenTtl, Interaction: 3600, DeviceCode: 600 },
  };
}

async function signingKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return {
    ...(await exportJWK(privateKey)),
    alg: 'ES256',
    use: 'sig',
    kid: randomBytes(8).toString('base64url'),
  };
}

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { errors, Provider, type Configuration, type ResourceServer } from 'oidc-provider';

import { actorOf, addTokenExchange } from './token-exchange.js';

export { TOKEN_EXCHANGE } from './token-exchange.js';

/** An OAuth client of the authorization server. */
export interface Client {
  readonly client_id: string;
  readonly client_secret: string;
  readonly grant_types: readonly string[];
  /** The scopes it may ask for, in one string. */
  readonly scope: string;
  /** For programs that log people in with a browser: where it leads back to. */
  readonly redirect_uris?: readonly string[];
  /** The agent that this client is, where it exchanges tokens: it may exchange those for this agent. */
  readonly resource?: string;
}

export interface AuthorizationServerOptions {
  /** 0 for any free port. */
  readonly port: number;
  /** The agent that tokens are for (RFC 8707), and the scopes it knows. */
  readonly resource: string;
  readonly scopes: readonly string[];
  /** Further agents that tokens may be for, with the same scopes. */
  readonly otherResources?: readonly string[];
  readonly clients: readonly Client[];
  /** Seconds. */
  readonly accessTokenTtl: number;
}

export interface AuthorizationServer {
  readonly issuer: string;
  readonly server: Server;
}

export const AUTHORIZATION_CODE = 'authorization_code';
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
  const key = await signingKey();
  const provider = new Provider(issuer, configuration(options, key));
  addTokenExchange(provider, {
    signingKey: key,
    agentOf: new Map(options.clients.map((client) => [client.client_id, client.resource])),
    resourceServer: (resource) => resourceServer(options, resource),
  });
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
    clients: clients.map(({ client_id, client_secret, grant_types, scope, redirect_uris = [] }) => ({
      client_id,
      client_secret,
      scope,
      grant_types: [...grant_types],
      redirect_uris: [...redirect_uris],
      response_types: [],
      // A program listens for the redirect on a free port of the loopback (RFC 8252 §7.3).
      ...(redirect_uris.length === 0 ? {} : { application_type: 'native', response_types: ['code'] }),
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
        getResourceServerInfo: (_context, asked) => resourceServer(options, asked),
      },
    },
    extraTokenClaims: (context) => actorOf(context),
    findAccount: (_context, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId }),
    }),
    ttl: { Grant: accessTokenTtl, Session: accessTokenTtl, Interaction: 3600, DeviceCode: 600 },
  };
}

/** What tokens for an agent are like. */
function resourceServer(
  { resource, otherResources = [], scopes, accessTokenTtl }: AuthorizationServerOptions,
  asked: string,
): ResourceServer {
  if (asked !== resource && !otherResources.includes(asked)) throw new errors.InvalidTarget();
  return {
    scope: scopes.join(' '),
    audience: asked,
    accessTokenFormat: 'jwt',
    accessTokenTTL: accessTokenTtl,
    jwt: { sign: { alg: 'ES256' } },
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

import { randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { TLSSocket } from 'node:tls';

import { exportJWK, generateKeyPair, type JWK } from 'jose';
import {
  Provider,
  type ClientMetadata,
  type Configuration,
  type InteractionResults,
  type ResourceServer,
} from 'oidc-provider';

import type { ServerIdentity } from './certificates.js';
import { listen } from './servers.js';
import { memoryStorage } from './storage.js';
import { actorOf, addTokenExchange } from './token-exchange.js';

/** Seconds for which access tokens are good. */
export const TOKEN_TTL = 600;
export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
export const REDIRECT_URI = 'https://client.example/callback';
export const SECRET = 'a client secret that only this test knows';
/** The authentication contexts on offer; a login reaches the one it is asked for. */
export const PASSWORD = 'urn:example:password';
export const SECOND_FACTOR = 'urn:example:second-factor';

const WEEK = 7 * 24 * 3600;

/** An agent that asks about tokens, and gets none itself. */
export const noGrants = { grant_types: [], redirect_uris: [], response_types: [] };

/** A client for each way of getting tokens, and an agent. */
const clients: readonly ClientMetadata[] = [
  { client_id: 'agent', client_secret: SECRET, ...noGrants },
  {
    client_id: 'service',
    client_secret: SECRET,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  },
  {
    client_id: 'web',
    client_secret: SECRET,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [REDIRECT_URI],
    response_types: ['code'],
  },
  {
    client_id: 'other-web',
    client_secret: SECRET,
    grant_types: ['authorization_code'],
    redirect_uris: [REDIRECT_URI],
    response_types: ['code'],
  },
  {
    client_id: 'terminal',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: [DEVICE_CODE, 'refresh_token'],
    redirect_uris: [],
    response_types: [],
  },
  {
    client_id: 'native',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
    response_types: ['code'],
  },
];

export interface AuthorizationServerOptions {
  /** Speaks https, and takes client certificates (RFC 8705). */
  readonly identity?: ServerIdentity;
  /** Takes client certificates at addresses of their own alone (RFC 8705 §5). */
  readonly mtlsAliases?: boolean;
  /** Further clients, such as the agents that ask for introspection. */
  readonly clients?: readonly ClientMetadata[];
  /** Asks for a nonce in DPoP proofs. */
  readonly dpopNonces?: boolean;
  /** Exchanges tokens (RFC 8693, RFC 7523). */
  readonly tokenExchange?: boolean;
  /** The flows that are turned off. */
  readonly without?: readonly ('clientCredentials' | 'deviceFlow')[];
}

export type AuthorizationServer = Awaited<ReturnType<typeof startAuthorizationServer>>;

/** A real authorization server, in this process. Whoever logs in is believed. */
export async function startAuthorizationServer(options: AuthorizationServerOptions = {}) {
  const { url: issuer, serve } = await listen(options.identity, options.mtlsAliases !== true);
  const alias = options.mtlsAliases === true ? await listen(options.identity) : undefined;
  const resources = new Map<string, ResourceServer>();
  const shared: Shared = {
    resources,
    aliasUrl: alias?.url,
    storage: memoryStorage(),
    cookieSecret: randomBytes(32).toString('base64url'),
    nonceSecret: randomBytes(32),
  };
  const create = (keys: readonly JWK[]) => {
    const provider = new Provider(issuer, configuration(options, keys, shared));
    reachAskedContext(provider);
    if (options.tokenExchange === true) addTokenExchange(provider, keys, resources);
    return provider.callback();
  };

  let current = create([await signingKey()]);
  let isDown = false;
  const calls: string[] = [];
  const held = new Map<string, Promise<void>>();
  const answer: RequestListener = (req, res) => {
    const path = new URL(req.url ?? '/', issuer).pathname;
    calls.push(path);
    if (isDown) {
      req.socket.destroy();
      return;
    }
    void (held.get(path) ?? Promise.resolve()).then(() => {
      void current(req, res);
    });
  };
  serve(answer);
  alias?.serve(answer);

  return {
    issuer,
    /** Lets tokens be issued for an agent (RFC 8707). Left out: JWTs with the scopes `ask` and `admin`. */
    addResource(resource: string, changes: Partial<ResourceServer> = {}): void {
      resources.set(resource, {
        scope: 'ask admin',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: TOKEN_TTL,
        jwt: { sign: { alg: 'ES256' } },
        ...changes,
      });
    },
    /** How often an endpoint was called, in vain or not. */
    calls: (path: string): number => calls.filter((called) => called === path).length,
    /** Publishes these keys, and signs with the first. */
    publishKeys(keys: readonly JWK[]): void {
      current = create(keys);
    },
    /** While it is down, every connection is cut. */
    setDown(down: boolean): void {
      isDown = down;
    },
    /** Lets calls of an endpoint wait until the returned function is called. */
    hold(path: string): () => void {
      let release: () => void = () => undefined;
      const waiting = new Promise<void>((resolve) => {
        release = resolve;
      });
      held.set(path, waiting);
      return () => {
        held.delete(path);
        release();
      };
    },
  };
}

export async function signingKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return {
    ...(await exportJWK(privateKey)),
    alg: 'ES256',
    use: 'sig',
    kid: randomBytes(8).toString('base64url'),
  };
}

/** What stays when the keys change. */
interface Shared {
  readonly resources: ReadonlyMap<string, ResourceServer>;
  readonly aliasUrl: string | undefined;
  readonly storage: ReturnType<typeof memoryStorage>;
  readonly cookieSecret: string;
  readonly nonceSecret: Buffer;
}

function configuration(
  options: AuthorizationServerOptions,
  keys: readonly JWK[],
  shared: Shared,
): Configuration {
  const { without = [], dpopNonces = false } = options;
  return {
    jwks: { keys },
    adapter: shared.storage,
    cookies: { keys: [shared.cookieSecret] },
    clients: [...clients, ...(options.clients ?? [])],
    clientDefaults: { id_token_signed_response_alg: 'ES256', introspection_signed_response_alg: 'ES256' },
    clientAuthMethods: [
      'none',
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      ...(options.identity === undefined ? [] : (['tls_client_auth'] as const)),
    ],
    ...(shared.aliasUrl === undefined ? {} : { discovery: aliases(shared.aliasUrl) }),
    acrValues: [PASSWORD, SECOND_FACTOR],
    findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    // RFC 9068 §2.2.1: how, and when, the person behind the token authenticated.
    extraTokenClaims(context) {
      const act = actorOf(context);
      if (act !== undefined) return { act };
      const { entities } = context.oidc;
      const login = entities.AuthorizationCode ?? entities.DeviceCode ?? entities.RefreshToken;
      return login === undefined ? undefined : { acr: login.acr, auth_time: login.authTime };
    },
    ttl: {
      DeviceCode: TOKEN_TTL,
      Grant: WEEK,
      IdToken: TOKEN_TTL,
      Interaction: TOKEN_TTL,
      RefreshToken: WEEK,
      Session: WEEK,
    },
    features: {
      clientCredentials: { enabled: !without.includes('clientCredentials') },
      deviceFlow: { enabled: !without.includes('deviceFlow') },
      devInteractions: { enabled: true },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true },
      dPoP: dpopNonces
        ? { enabled: true, nonceSecret: shared.nonceSecret, requireNonce: () => true }
        : { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(_context, resource) {
          const info = shared.resources.get(resource);
          if (info === undefined) throw new Error(`Nobody knows the resource ${resource}.`);
          return info;
        },
      },
      ...(options.identity === undefined ? {} : { mTLS }),
    },
  };
}

function aliases(url: string) {
  return {
    mtls_endpoint_aliases: {
      token_endpoint: `${url}/token`,
      introspection_endpoint: `${url}/token/introspection`,
    },
  };
}

/** The certificate of the connection, as trusted as TLS says it is. */
const mTLS = {
  enabled: true,
  certificateBoundAccessTokens: true,
  tlsClientAuth: true,
  getCertificate: ({ socket }: { socket: unknown }) =>
    socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined,
  certificateAuthorized: ({ socket }: { socket: unknown }) =>
    socket instanceof TLSSocket && socket.authorized,
  certificateSubjectMatches: ({ socket }: { socket: unknown }, property: string, expected: string) =>
    socket instanceof TLSSocket &&
    property === 'tls_client_auth_subject_dn' &&
    socket.getPeerX509Certificate()?.subject === expected,
};

/** The login page asks for nothing in particular, so a login counts as whatever the client asked for. */
function reachAskedContext(provider: Provider): void {
  const finish = provider.interactionFinished.bind(provider);
  provider.interactionFinished = async (req, res, result, options) => {
    const { params } = await provider.interactionDetails(req, res);
    const acr = typeof params.acr_values === 'string' ? params.acr_values.split(' ')[0] : PASSWORD;
    const reached: InteractionResults =
      result.login === undefined ? result : { ...result, login: { ...result.login, acr } };
    await finish(req, res, reached, options);
  };
}

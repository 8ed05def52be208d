import {
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  allowInsecureRequests,
  customFetch,
  enableNonRepudiationChecks,
  PrivateKeyJwt,
  ResponseBodyError,
  TlsClientAuth,
  tokenIntrospection,
  type ClientAuth,
  type CryptoKey,
  type CustomFetch,
  type IntrospectionResponse,
  type ServerMetadata,
} from 'openid-client';

import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { Verification } from '../scheme.js';
import { circuit, type CircuitOptions } from './circuit.js';
import { delegationReader, type DelegationOptions, type DelegationReader } from './delegation.js';
import { discoverIssuer } from './discovery.js';
import {
  ASYMMETRIC_ALGORITHMS,
  hasAudience,
  identifyingPart,
  MAX_TOKEN_LENGTH,
  refused,
  shown,
  verificationOf,
  type ScopesMapper,
} from './jwt-claims.js';
import { isSecure } from '../secure-url.js';
import { boundedFetch, OutboundError, type OutboundOptions } from './outbound.js';
import { Refreshable } from './refreshable.js';
import { rememberTokens, type TokenMemoryOptions } from './token-memory.js';
import type { TokenVerifier } from './token-verifier.js';

/** How the agent authenticates at the introspection endpoint (RFC 7662 §2.1), where it is an OAuth client itself. */
export type ClientAuthentication =
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly clientSecret: string }
  /** RFC 7523: an assertion signed with the client's private key. */
  | { readonly method: 'private_key_jwt'; readonly key: CryptoKey; readonly keyId?: string }
  /** RFC 8705: the given `fetch` presents the client certificate. */
  | { readonly method: 'tls_client_auth' };

export interface IntrospectionOptions extends TokenMemoryOptions, DelegationOptions, OutboundOptions {
  /** The authorization server; where its metadata is looked for, unless `endpoint` is given. */
  readonly issuer: string;
  /** The introspection endpoint. Default: as the metadata says. */
  readonly endpoint?: string;
  /** The `aud` a token must have, alone or among others; several are alternatives. */
  readonly audience: string | readonly string[];
  /** The agent's own client id at the authorization server. */
  readonly clientId: string;
  readonly clientAuthentication: ClientAuthentication;
  /** Asks for signed responses (RFC 9701) with this algorithm, and verifies their signature. Default: plain JSON. */
  readonly signedResponseAlg?: string;
  /** Seconds for which a refusal is remembered. Default 5; 0 to ask every time. */
  readonly refusedMaxAge?: number;
  /** Finds the scopes, where they are not in `scope`. */
  readonly scopes?: ScopesMapper;
  /** When a failing endpoint is left alone, and how many calls may be under way. */
  readonly circuit?: CircuitOptions;
}

/** Metadata changes rarely; while it cannot be refreshed it is used on for a day. */
const METADATA = { maxAge: 3_600_000, maxStale: 86_400_000, cooldown: 5_000 };

/** Milliseconds. Some servers write the time of issue as `nbf`, by a clock that may be ahead of ours. */
const CLOCK_TOLERANCE = 5_000;

/**
 * Verifies opaque tokens by asking the authorization server (RFC 7662).
 *
 * A token is accepted when the answer says that it is active, an access token, for our audience, from this issuer, and
 * with an expiry that is not over. Answers are remembered up to `cache.maxAge`, and never past the token's end.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when an option is missing
 */
export function introspection(options: IntrospectionOptions): Required<TokenVerifier> {
  checkOptions('introspection()', options, {
    issuer: 'any',
    endpoint: 'any',
    audience: 'any',
    clientId: 'any',
    clientAuthentication: 'any',
    signedResponseAlg: 'any',
    refusedMaxAge: 'number',
    scopes: 'function',
    circuit: 'object',
    cache: 'any',
    revoked: 'function',
    maxDelegationDepth: 'number',
    allowedActors: 'any',
    timeout: 'number',
    fetch: 'function',
  });
  const { issuer, endpoint, clientId, signedResponseAlg, refusedMaxAge = 5 } = options;
  const audience = [options.audience].flat() as readonly string[];
  const delegation = delegationReader('introspection()', options);
  for (const [name, values] of Object.entries({ issuer: [issuer], clientId: [clientId], audience })) {
    if (values.length === 0 || !values.every((value) => typeof value === 'string' && value !== '')) {
      throw invalid(`${name} must be a non-empty string.`);
    }
  }
  for (const url of [endpoint ?? issuer, ...(signedResponseAlg === undefined ? [] : [issuer])]) {
    if (!URL.canParse(url) || !isSecure(new URL(url))) {
      throw invalid(
        `${JSON.stringify(url)} must be an https URL; plain http is for loopback addresses alone.`,
      );
    }
  }
  if (signedResponseAlg !== undefined && !ASYMMETRIC_ALGORITHMS.includes(signedResponseAlg)) {
    throw invalid(`signedResponseAlg must be one of ${ASYMMETRIC_ALGORITHMS.join(', ')}.`);
  }
  if (!Number.isFinite(refusedMaxAge) || refusedMaxAge < 0) {
    throw invalid('refusedMaxAge must be a number of seconds, 0 or more.');
  }
  const clientAuthentication = toClientAuth(options.clientAuthentication);
  const fetchBounded = boundedFetch(options);

  const client = new Refreshable({
    ...METADATA,
    what: `The metadata of ${issuer}`,
    load: () => introspectionClient(options, clientAuthentication, fetchBounded),
  });
  const ask = circuit(
    `The introspection endpoint of ${issuer}`,
    async (token: string) => {
      const configuration = await client.get();
      try {
        return await tokenIntrospection(configuration, token, { token_type_hint: 'access_token' });
      } catch (error) {
        if (isAboutToken(error)) return { active: false };
        throw error;
      }
    },
    options.circuit,
    isRefusal,
  );

  return {
    verify: rememberTokens(
      async (token) =>
        token.length > MAX_TOKEN_LENGTH
          ? refused('it is too long')
          : verificationFrom(await ask(token), { issuer, audience, delegation, scopes: options.scopes }),
      options,
      refusedMaxAge,
      identifyingPart,
    ),
    authorizationServers: [issuer],
    async warmUp() {
      await client.get();
    },
  };
}

/**
 * Some servers answer with an error, instead of `active: false`, when they are asked about what is no token of theirs, such
 * as a JWT. That is no failure of the endpoint: else whoever sends such tokens could open the circuit for everyone.
 */
function isAboutToken(error: unknown): boolean {
  if (error instanceof ResponseBodyError) {
    return (
      error.status === 400 &&
      ['invalid_request', 'invalid_token', 'unsupported_token_type'].includes(error.error)
    );
  }
  // What a server, or whatever stands before it, makes of a token that it cannot read or that is too long for it.
  const { cause } = error as { cause?: unknown };
  return cause instanceof Response && [400, 413, 414, 422].includes(cause.status);
}

/**
 * Something before the server, such as a firewall, may refuse what is in a token. That tells nothing about the token, nor that
 * the endpoint is down. 401 is about our own secret, and 404 about the endpoint itself.
 */
function isRefusal(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  if (!(cause instanceof Response)) return false;
  return cause.status >= 400 && cause.status < 500 && ![401, 404, 429].includes(cause.status);
}

function verificationFrom(
  response: IntrospectionResponse,
  expected: {
    issuer: string;
    audience: readonly string[];
    delegation: DelegationReader;
    scopes: ScopesMapper | undefined;
  },
): Verification {
  if (!response.active) return refused('the authorization server says that it is not active');
  if (response.iss !== undefined && response.iss !== expected.issuer)
    return refused(`its "iss" is ${shown(response.iss)}, which is another issuer`);
  if (!hasAudience(response.aud, expected.audience)) {
    return refused(
      `its "aud" is ${shown(response.aud)}, which does not name this agent (${expected.audience.join(', ')})`,
    );
  }
  // A refresh token is active as well, but has no type of access token (RFC 6749 §7.1).
  const type = String(response.token_type).toLowerCase();
  if (type !== 'bearer' && type !== 'dpop')
    return refused(`its "token_type" is ${shown(response.token_type)}, which is not that of an access token`);
  // Ory Hydra calls refresh tokens bearer tokens as well, and says here what they are.
  const { token_use: use } = response;
  if (use !== undefined && use !== 'access_token' && use !== 'access')
    return refused(`its "token_use" is ${shown(use)}, which is not that of an access token`);
  if (type === 'dpop' && response.cnf?.jkt === undefined) {
    return refused('it is bound to a DPoP key, and the authorization server does not say to which one');
  }
  const { exp, nbf } = response;
  if (exp === undefined) return refused('it has no "exp"');
  if (exp * 1000 <= Date.now()) return { verified: false, reason: 'expired', detail: 'The token has ended.' };
  if (nbf !== undefined && !(nbf * 1000 <= Date.now() + CLOCK_TOLERANCE))
    return refused('its "nbf" is not reached yet');
  // A token that stands for the client itself has no subject of its own; RFC 9068 §2.2 has the client id there.
  const sub = response.sub ?? response.client_id;
  if (sub === undefined) return refused('it has neither "sub" nor "client_id"');
  return verificationOf(
    { ...response, iss: expected.issuer, sub },
    {
      clockTolerance: 0,
      delegation: expected.delegation,
      scopes: expected.scopes,
    },
  );
}

async function introspectionClient(
  options: IntrospectionOptions,
  clientAuthentication: ClientAuth,
  fetchBounded: typeof fetch,
): Promise<Configuration> {
  const { issuer, endpoint, clientId, signedResponseAlg } = options;
  // The keys that responses are signed with are in the metadata.
  const isDiscovered = endpoint === undefined || signedResponseAlg !== undefined;
  const server: ServerMetadata = isDiscovered ? (await discoverIssuer(issuer, options)).metadata : { issuer };
  if (endpoint === undefined && server.introspection_endpoint === undefined) {
    throw new OutboundError(`The metadata of ${issuer} has no introspection_endpoint; give endpoint.`);
  }
  const configuration = new Configuration(
    { ...server, ...(endpoint === undefined ? {} : { introspection_endpoint: endpoint }) },
    clientId,
    {
      // RFC 8705 §5: where client certificates are presented, endpoints may have addresses of their own.
      use_mtls_endpoint_aliases:
        endpoint === undefined && options.clientAuthentication.method === 'tls_client_auth',
      ...(signedResponseAlg === undefined ? {} : { introspection_signed_response_alg: signedResponseAlg }),
    },
    clientAuthentication,
  );
  const call = signedResponseAlg === undefined ? fetchBounded : onlySigned(fetchBounded);
  configuration[customFetch] = call as CustomFetch;
  configuration.timeout = (options.timeout ?? 5_000) / 1000;
  allowInsecureRequests(configuration);
  if (signedResponseAlg !== undefined) enableNonRepudiationChecks(configuration);
  return configuration;
}

/** An answer in plain JSON is not verified: it must not pass for a signed one (RFC 9701 §5). */
function onlySigned(fetchImpl: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await fetchImpl(input, init);
    const type = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
    if (
      init?.method === 'POST' &&
      response.status === 200 &&
      type !== 'application/token-introspection+jwt'
    ) {
      throw new OutboundError('The introspection response is not signed.');
    }
    return response;
  };
}

/** @throws {ConfigurationError} `INVALID_OPTION` */
function toClientAuth(authentication: ClientAuthentication): ClientAuth {
  checkOptions('introspection(), clientAuthentication', authentication, {
    method: 'any',
    clientSecret: 'any',
    key: 'any',
    keyId: 'string',
  });
  switch (authentication.method) {
    case 'client_secret_basic':
    case 'client_secret_post': {
      const { method, clientSecret } = authentication;
      if (typeof clientSecret !== 'string' || clientSecret === '') {
        throw invalid(`${method} needs a clientSecret.`);
      }
      return method === 'client_secret_basic'
        ? ClientSecretBasic(clientSecret)
        : ClientSecretPost(clientSecret);
    }
    case 'private_key_jwt':
      return PrivateKeyJwt(
        authentication.keyId === undefined
          ? authentication.key
          : { key: authentication.key, kid: authentication.keyId },
      );
    case 'tls_client_auth':
      return TlsClientAuth();
    default:
      throw invalid(
        'clientAuthentication needs a method: client_secret_basic, client_secret_post, private_key_jwt or tls_client_auth.',
      );
  }
}

function invalid(message: string): Error {
  return configurationError('INVALID_OPTION', `introspection(): ${message}`);
}

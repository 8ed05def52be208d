import { createHash } from 'node:crypto';

import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose';

import { ClientError } from '../errors.js';
import { boundedFetch, isSecureUrl } from '../oauth/outbound.js';

/** An agent whose signature is good. */
export interface TrustedAgent {
  /** What the agent says of itself in `iss`. */
  readonly issuer: string;
  /** Where its public keys are, https. Give this or `jwks`. */
  readonly jwksUri?: string;
  readonly jwks?: JSONWebKeySet;
  /** Default: the global fetch. For proxies and private certificate authorities. */
  readonly fetch?: typeof fetch;
}

/** What a good signature says. */
export interface AgentSignature {
  readonly issuer: string;
  readonly id: string;
  readonly taskId: string;
  /** Whether it was made for this body. */
  covers(body: Uint8Array): boolean;
}

/** The keys of an agent cannot be asked for now. */
export class KeysUnavailable extends Error {}

/** Public-key algorithms only: whoever verifies must not be able to sign. */
const ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
  'EdDSA',
  'Ed25519',
];

/** Seconds. */
const MAX_AGE = 300;
const CLOCK_TOLERANCE = 30;
/** Milliseconds between two times that keys are fetched for a key that is not known, or after a failure. */
const COOLDOWN = 5_000;

/**
 * @param audience the webhook
 * @returns verifies a JWT; undefined when it is not good
 * @throws {ClientError} `INVALID_OPTION`
 */
export function agentSignatures(
  agents: readonly TrustedAgent[],
  audience: string,
): (token: string) => Promise<AgentSignature | undefined> {
  const keys = new Map(agents.map((agent) => [agent?.issuer, keysOf(agent)]));
  if (keys.size < agents.length)
    throw new ClientError('INVALID_OPTION', 'agents: two agents have the same issuer.');
  return async (token) => {
    try {
      const { iss } = decodeJwt(token);
      const getKey = iss === undefined ? undefined : keys.get(iss);
      if (iss === undefined || getKey === undefined) return undefined;
      const { payload } = await jwtVerify(token, getKey, {
        issuer: iss,
        audience,
        typ: 'a2a-notification+jwt',
        algorithms: ALGORITHMS,
        requiredClaims: ['exp'],
        maxTokenAge: MAX_AGE,
        clockTolerance: CLOCK_TOLERANCE,
      });
      const { jti, taskId, request_body_sha256: expected } = payload;
      if (!isText(jti) || !isText(taskId) || !isText(expected)) return undefined;
      const covers = (body: Uint8Array) => createHash('sha256').update(body).digest('hex') === expected;
      return { issuer: iss, id: jti, taskId, covers };
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw new KeysUnavailable();
      return undefined;
    }
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 256;
}

function keysOf(agent: TrustedAgent): JWTVerifyGetKey {
  const { issuer, jwksUri, jwks, fetch } = agent ?? {};
  const invalid = (message: string) => new ClientError('INVALID_OPTION', `agents: ${message}`);
  if (typeof issuer !== 'string' || issuer === '') throw invalid('each agent needs an issuer.');
  if ((jwksUri === undefined) === (jwks === undefined))
    throw invalid(`${issuer} needs either jwksUri or jwks, not both.`);
  if (jwks !== undefined) {
    try {
      return createLocalJWKSet(jwks);
    } catch {
      throw invalid(`the jwks of ${issuer} is no JSON Web Key Set.`);
    }
  }
  if (!isSecureUrl(jwksUri))
    throw invalid(`the jwksUri of ${issuer} must be an https URL, or an http one of the loopback.`);
  const send = boundedFetch(fetch === undefined ? {} : { fetch });
  let failedAt = -Infinity;
  const getKey = createRemoteJWKSet(new URL(jwksUri), {
    cooldownDuration: COOLDOWN,
    [customFetch]: async (url, { headers, signal }) => {
      if (Date.now() - failedAt < COOLDOWN) throw new KeysUnavailable();
      return send(url, { headers, signal });
    },
  });
  return async (header, token) => {
    try {
      return await getKey(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey || error instanceof KeysUnavailable))
        failedAt = Date.now();
      // A key that is not there may be published already. Who is told to come again can be let in then.
      throw new KeysUnavailable();
    }
  };
}

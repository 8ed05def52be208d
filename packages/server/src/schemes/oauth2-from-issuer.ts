import type { ServerMetadata } from 'openid-client';

import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { SecurityScheme } from '../scheme.js';
import { discoverIssuer, type DiscoveredIssuer } from '../tokens/discovery.js';
import type { DpopVerifier } from '../tokens/dpop.js';
import {
  jwtFromIssuer,
  PROOF_OPTIONS,
  type JwtFromIssuerOptions,
  type TrustedIssuer,
} from '../tokens/jwt-from-issuer.js';
import { OutboundError } from '../tokens/outbound.js';
import type { TokenVerifier } from '../tokens/token-verifier.js';
import { oauth2AuthorizationCode, oauth2ClientCredentials, oauth2DeviceCode } from './oauth2.js';

/** The OAuth 2.0 flows that A2A cards declare. */
export type OAuth2Flow = 'authorizationCode' | 'clientCredentials' | 'deviceCode';

export interface OAuth2FromIssuerOptions<Flow extends OAuth2Flow> extends Omit<
  JwtFromIssuerOptions,
  'issuer' | 'audience' | 'accept'
> {
  /** The issuer's URL, exactly as in its metadata; or a preset such as `keycloak()`. */
  readonly issuer: string | TrustedIssuer;
  /** The flows to declare; a provider that does not offer one of them is an error. */
  readonly flows: readonly Flow[];
  /** The scopes that requirements may ask for, each with its description. */
  readonly scopes: Readonly<Record<string, string>>;
  /** The `aud` that tokens must have. Not needed where the preset has it, or a `verifier` is given. */
  readonly audience?: string | readonly string[];
  /** Published. */
  readonly description?: string;
  /**
   * How tokens are proven, where that is not as JWTs of this issuer. Everything that says how a JWT is proven (`audience`,
   * `anyJwt`, `cache`, `revoked` and so on) then belongs to it.
   */
  readonly verifier?: TokenVerifier;
  /** Accepts tokens that are bound to a key, with their DPoP proofs; see `dpop()`. */
  readonly dpop?: DpopVerifier;
}

const grantTypes: Readonly<Record<OAuth2Flow, string>> = {
  authorizationCode: 'authorization_code',
  clientCredentials: 'client_credentials',
  deviceCode: 'urn:ietf:params:oauth:grant-type:device_code',
};

/**
 * Makes one scheme a flow out of what an issuer says about itself (RFC 8414, OpenID Connect Discovery 1.0).
 *
 * ```ts
 * const idp = await oauth2FromIssuer({ issuer, flows: ['clientCredentials'], scopes: { ask: 'Ask' }, audience });
 * security.addSecurityScheme('service', idp.clientCredentials).addSecurityRequirement({ service: ['ask'] });
 * ```
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when the issuer cannot be reached, or does not offer a flow
 */
export async function oauth2FromIssuer<const Flow extends OAuth2Flow>(
  options: OAuth2FromIssuerOptions<Flow>,
): Promise<Readonly<Record<Flow, SecurityScheme<string>>>> {
  checkOptions<OAuth2FromIssuerOptions<Flow>>('oauth2FromIssuer()', options, {
    ...PROOF_OPTIONS,
    flows: 'any',
    scopes: 'object',
    description: 'string',
    verifier: 'object',
    dpop: 'any',
  });
  const { flows, scopes, description, dpop, verifier: givenVerifier, ...proof } = options;
  const given: unknown = flows;
  if (!Array.isArray(given) || given.length === 0) {
    throw invalid(`flows must name at least one of ${Object.keys(grantTypes).join(', ')}.`);
  }
  if ((options.issuer as unknown) === undefined || options.issuer === '') {
    throw invalid('issuer must be its URL. Is an environment variable missing?');
  }
  const verifier = givenVerifier ?? jwtFromIssuer(proof);
  const { metadata, foundAt } = await metadataOf(options);
  const common = {
    tokenUrl: endpoint(metadata, 'token_endpoint', flows[0] ?? 'any'),
    scopes,
    verifier,
    oauth2MetadataUrl: foundAt,
    ...(description === undefined ? {} : { description }),
    ...(dpop === undefined ? {} : { dpop }),
  };
  const make: Readonly<Record<OAuth2Flow, () => SecurityScheme<string>>> = {
    authorizationCode: () =>
      oauth2AuthorizationCode({
        ...common,
        authorizationUrl: endpoint(metadata, 'authorization_endpoint', 'authorizationCode'),
      }),
    clientCredentials: () => oauth2ClientCredentials(common),
    deviceCode: () =>
      oauth2DeviceCode({
        ...common,
        deviceAuthorizationUrl: endpoint(metadata, 'device_authorization_endpoint', 'deviceCode'),
      }),
  };
  const schemes = flows.map((flow) => {
    assertOffered(metadata, flow);
    return [flow, make[flow]()] as const;
  });
  return Object.fromEntries(schemes) as unknown as Readonly<Record<Flow, SecurityScheme<string>>>;
}

async function metadataOf({ issuer, keys }: OAuth2FromIssuerOptions<OAuth2Flow>): Promise<DiscoveredIssuer> {
  try {
    return await discoverIssuer(typeof issuer === 'string' ? issuer : issuer.issuer, keys);
  } catch (error) {
    if (error instanceof OutboundError) throw invalid(error.message);
    throw error;
  }
}

/** Providers that leave `grant_types_supported` out (Entra ID does) are taken by their endpoints. */
function assertOffered(metadata: ServerMetadata, flow: OAuth2Flow): void {
  const { grant_types_supported: offered, code_challenge_methods_supported: pkce } = metadata;
  if (!Object.hasOwn(grantTypes, flow)) {
    throw invalid(`${JSON.stringify(flow)} is no flow. The flows are ${Object.keys(grantTypes).join(', ')}.`);
  }
  if (offered !== undefined && !offered.includes(grantTypes[flow])) {
    throw invalid(
      `${metadata.issuer} does not offer the flow ${flow} (its grant_types_supported: ${offered.join(', ')}). Turn it on there, or leave it out of flows.`,
    );
  }
  if (flow === 'authorizationCode' && pkce !== undefined && !pkce.includes('S256')) {
    throw invalid(
      `${metadata.issuer} does not offer PKCE with S256, which the flow authorizationCode needs.`,
    );
  }
}

function endpoint(metadata: ServerMetadata, name: string, flow: string): string {
  const url = metadata[name];
  if (typeof url === 'string') return url;
  throw invalid(`${metadata.issuer} has no ${name}, which the flow ${flow} needs.`);
}

function invalid(message: string): Error {
  return configurationError('INVALID_OPTION', `oauth2FromIssuer(): ${message}`);
}

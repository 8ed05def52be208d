import { prepare, refusedDestination, type AuthenticationOptions } from '../authenticating-fetch.js';
import type { Authenticator } from '../authenticator.js';
import { ClientError } from '../errors.js';
import type { AuthenticationStep, PlannedAlternative } from '../plan.js';
import { checkPolicy, isAllowedDestination } from '../policy.js';
import { isLoopback } from '../secure-url.js';
import { endpointOf } from './endpoint.js';
import { isMetadataName, noMetadata, noPlace } from './to-metadata.js';

export interface GrpcAuthenticationOptions extends AuthenticationOptions {
  /**
   * The gRPC interface, as the card writes it: `agent.example:443`, or a URL. Its origin must be that of `url`, or one of
   * `policy.origins`. It is called over TLS, unless that origin is an http one, which only the loopback can have.
   */
  readonly endpoint: string;
}

/**
 * What all ways to authenticate gRPC calls start with. grpc-js looks up names itself, and lets nobody see the address that it
 * connects to. So an interface is called only where the user said, also with an alternative that needs nothing.
 */
export function prepareCalls(options: GrpcAuthenticationOptions): {
  readonly endpoint: URL;
  readonly steps: readonly AuthenticationStep[];
  readonly authenticator: Authenticator;
} {
  const policy = checkPolicy(options.url, options.policy);
  const endpoint = endpointOf(options.endpoint, policy);
  if (endpoint === undefined) {
    throw new ClientError(
      'INVALID_OPTION',
      'endpoint must be the address of a gRPC interface, such as agent.example:443.',
    );
  }
  const { alternative, authenticator } = prepare(options, (candidate) => obstacleTo(candidate, endpoint));
  if (!isAllowedDestination(policy, endpoint)) throw refusedEndpoint(endpoint);
  return { endpoint, steps: alternative.steps, authenticator };
}

/** Why calls to this endpoint cannot meet an alternative. */
function obstacleTo({ steps }: PlannedAlternative, { protocol }: URL): ClientError | undefined {
  for (const { scheme } of steps) {
    if (scheme.type === 'mutualTLS' && protocol === 'http:') return noCertificate();
    if (scheme.type !== 'apiKey') continue;
    if (scheme.in !== 'header') return noPlace();
    if (!isMetadataName(scheme.name)) return noMetadata(scheme.name);
  }
  return undefined;
}

function refusedEndpoint(endpoint: URL): ClientError {
  const { host, hostname, protocol } = endpoint;
  if (protocol === 'http:' || !isLoopback(hostname)) return refusedDestination(endpoint);
  return new ClientError(
    'ADDRESS_REFUSED',
    `Calls do not go to ${host}: it is not the origin of the agent's url. If it is the agent's, name it in policy.origins, as ` +
      `http://${host} where it is served without TLS.`,
  );
}

export function noCertificate(): ClientError {
  return new ClientError(
    'CREDENTIAL_UNUSABLE',
    'The chosen alternative needs a client certificate, but there is none, or the endpoint is called without TLS.',
  );
}

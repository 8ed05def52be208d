import { credentials, type CallCredentials, type ChannelCredentials } from '@grpc/grpc-js';

import { AUTHENTICATION_OPTIONS } from '../authenticating-fetch.js';
import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import { quote } from '../quote.js';
import { channelCredentials } from './channels.js';
import { noCertificate, prepareCalls, type GrpcAuthenticationOptions } from './prepare-calls.js';
import { toMetadata } from './to-metadata.js';

/** What grpc-js takes to call the agent: the SDK has it as `grpcChannelCredentials` and `grpcCallOptions.credentials`. */
export interface GrpcAuthentication {
  /** TLS, with the client certificate that the alternative needs; to the loopback in plain where `endpoint` says so. */
  readonly channelCredentials: ChannelCredentials;
  /** Adds the metadata of all schemes to each call. On a channel to another host than `endpoint`, calls fail. */
  readonly callCredentials: CallCredentials;
}

/**
 * Credentials for a channel and calls of one's own, by the same plan as for HTTP. A client certificate is read once. A refused
 * call is not repeated: prefer `authenticatingInterceptor`.
 *
 * @throws {ClientError} `NO_ALTERNATIVE` when no alternative of the card can be met; `ADDRESS_REFUSED` when calls may not go
 *   to `endpoint`; `CREDENTIAL_UNUSABLE` when an alternative can be met, but not over gRPC: it has no place for a query parameter
 *   or a cookie; `INVALID_OPTION`; and what the sources throw
 */
export async function grpcAuthentication(options: GrpcAuthenticationOptions): Promise<GrpcAuthentication> {
  checkOptions('grpcAuthentication()', options, { ...AUTHENTICATION_OPTIONS, endpoint: true });
  const { endpoint, steps, authenticator } = prepareCalls(options);
  const needsCertificate = steps.some(({ scheme }) => scheme.type === 'mutualTLS');
  const target = { method: 'POST', url: endpoint.href };
  const tls = needsCertificate ? (await authenticator.authenticate(target)).credentials.tls : undefined;
  if (needsCertificate && tls === undefined) throw noCertificate();

  return {
    channelCredentials: channelCredentials(endpoint, tls),
    callCredentials: credentials.createFromMetadataGenerator(
      ({ method_name: path, service_url }, callback) => {
        // The channel is opened by somebody else, such as the SDK to where the card says.
        if (steps.length > 0 && hostOf(service_url) !== endpoint.hostname.replace(/^\[|\]$/g, '')) {
          callback(otherChannel(service_url, endpoint));
          return;
        }
        authenticator
          .authenticate({ ...target, url: new URL(path, endpoint).href })
          .then((authentication) => toMetadata(authentication.credentials))
          .then(
            (metadata) => {
              callback(null, metadata);
            },
            (error: unknown) => {
              callback(
                error instanceof Error ? error : new ClientError('CREDENTIAL_UNUSABLE', 'A source failed.'),
              );
            },
          );
      },
    ),
  };
}

/** The URL of a service has no port, and an IPv6 address in it no brackets. */
function hostOf(serviceUrl: string): string {
  return serviceUrl.replace(/^https:\/\/|\/[^/]*$/g, '').toLowerCase();
}

function otherChannel(serviceUrl: string, { hostname }: URL): ClientError {
  return new ClientError(
    'ADDRESS_REFUSED',
    `Credentials are not sent to ${quote(hostOf(serviceUrl))}: endpoint names ${hostname}. Open the channel to there.`,
  );
}

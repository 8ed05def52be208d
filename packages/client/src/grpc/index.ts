import { Buffer } from 'node:buffer';

import { credentials, Metadata, type CallCredentials, type ChannelCredentials } from '@grpc/grpc-js';

import { prepare, refusedDestination, type AuthenticationOptions } from '../authenticating-fetch.js';
import type { RequestCredentials } from '../apply-credentials.js';
import { ClientError } from '../errors.js';
import { isAllowedDestination } from '../policy.js';
import { quote } from '../quote.js';

export interface GrpcAuthenticationOptions extends AuthenticationOptions {
  /**
   * The gRPC interface, as the card writes it: `agent.example:443`, or with `https://`. Only `http://` and a loopback name
   * is called without TLS. Its origin must be that of `url`, or one of `policy.origins`.
   */
  readonly endpoint: string;
}

/** What grpc-js takes to call the agent: the SDK has it as `grpcChannelCredentials` and `grpcCallOptions.credentials`. */
export interface GrpcAuthentication {
  /** TLS, with the client certificate that the alternative needs; to the loopback in plain where `endpoint` says so. */
  readonly channelCredentials: ChannelCredentials;
  /** Adds the metadata of all schemes to each call. On a channel to another host than `endpoint`, calls fail. */
  readonly callCredentials: CallCredentials;
}

/**
 * Authentication for gRPC, by the same plan as for HTTP. A client certificate is read once. A refused call is not
 * repeated: the status and the tasks are the caller's to see.
 *
 * @throws {ClientError} `NO_ALTERNATIVE` when no alternative of the card can be met; `ADDRESS_REFUSED` when credentials may
 *   not go to `endpoint`; `CREDENTIAL_UNUSABLE` when the chosen alternative needs what gRPC has no place for: a query
 *   parameter or a cookie; `INVALID_OPTION`; and what the sources throw
 */
export async function grpcAuthentication(options: GrpcAuthenticationOptions): Promise<GrpcAuthentication> {
  const endpoint = parseEndpoint(options.endpoint);
  const { alternative, policy, authenticator } = prepare(options);
  const { steps } = alternative;
  if (steps.length > 0 && !isAllowedDestination(policy, endpoint)) throw refusedDestination(endpoint);
  if (steps.some(({ scheme }) => scheme.type === 'apiKey' && scheme.in !== 'header')) throw noPlace();

  const needsCertificate = steps.some(({ scheme }) => scheme.type === 'mutualTLS');
  const target = { method: 'POST', url: endpoint.href };
  const tls = needsCertificate ? (await authenticator.authenticate(target)).credentials.tls : undefined;
  if (needsCertificate && (tls === undefined || endpoint.protocol === 'http:')) throw noCertificate();

  return {
    channelCredentials:
      endpoint.protocol === 'http:'
        ? credentials.createInsecure()
        : credentials.createSsl(
            tls?.ca === undefined ? null : Buffer.from(tls.ca),
            tls === undefined ? null : Buffer.from(tls.key),
            tls === undefined ? null : Buffer.from(tls.certificate),
          ),
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

function parseEndpoint(endpoint: string): URL {
  const text = /^https?:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`;
  if (!URL.canParse(text))
    throw new ClientError(
      'INVALID_OPTION',
      'endpoint must be the address of a gRPC interface, such as agent.example:443.',
    );
  return new URL(text);
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

function toMetadata({ headers, query }: RequestCredentials): Metadata {
  if (query.size > 0 || headers.has('cookie')) throw noPlace();
  const metadata = new Metadata();
  for (const [name, value] of headers) {
    // The first belong to gRPC itself, the others are binary.
    if (name.startsWith('grpc-') || name.endsWith('-bin')) {
      throw new ClientError(
        'CREDENTIAL_UNUSABLE',
        `A credential cannot be sent: ${name} is no metadata for it.`,
      );
    }
    metadata.set(name, value);
  }
  return metadata;
}

function noPlace(): ClientError {
  return new ClientError(
    'CREDENTIAL_UNUSABLE',
    'The chosen alternative needs an API key in the query or in a cookie, for which gRPC has no place.',
  );
}

function noCertificate(): ClientError {
  return new ClientError(
    'CREDENTIAL_UNUSABLE',
    'The chosen alternative needs a client certificate, but there is none, or the endpoint is called without TLS.',
  );
}

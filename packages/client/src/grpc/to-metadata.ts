import { Metadata } from '@grpc/grpc-js';

import type { RequestCredentials } from '../apply-credentials.js';
import { ClientError } from '../errors.js';
import { quote } from '../quote.js';

/**
 * Credentials as metadata.
 *
 * @param rest what else is sent; what has the name of a credential is replaced
 * @throws {ClientError} `CREDENTIAL_UNUSABLE`
 */
export function toMetadata({ headers, query }: RequestCredentials, rest = new Metadata()): Metadata {
  if (query.size > 0 || headers.has('cookie')) throw noPlace();
  const metadata = rest.clone();
  for (const [name, value] of headers) {
    if (!isMetadataName(name)) throw noMetadata(name);
    metadata.set(name, value);
  }
  return metadata;
}

/** What gRPC takes for the name of a text; `grpc-` is its own, and `-bin` announces bytes. */
export function isMetadataName(name: string): boolean {
  return /^(?!grpc-)[0-9a-z_.-]+(?<!-bin)$/i.test(name);
}

export function noMetadata(name: string): ClientError {
  return new ClientError(
    'CREDENTIAL_UNUSABLE',
    `A credential cannot be sent: ${quote(name)} is no metadata for it.`,
  );
}

export function noPlace(): ClientError {
  return new ClientError(
    'CREDENTIAL_UNUSABLE',
    'The chosen alternative needs an API key in the query or in a cookie, for which gRPC has no place.',
  );
}

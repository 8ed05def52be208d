import { Buffer } from 'node:buffer';

import type { CredentialSource } from '../credential-source.js';
import { ClientError } from '../errors.js';

/**
 * A user name and a password for HTTP Basic (RFC 7617), sent as UTF-8.
 *
 * @throws {ClientError} `INVALID_OPTION` when the user name holds a colon, or either a control character
 */
export function basic(user: string, password: string): CredentialSource {
  const isText = (value: unknown) => typeof value === 'string' && !/\p{Cc}/u.test(value);
  if (!isText(user) || user.includes(':') || !isText(password)) {
    throw new ClientError(
      'INVALID_OPTION',
      'basic(user, password) takes texts without control characters, and no colon in the user name.',
    );
  }
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return {
    interactive: false,
    unfitFor: (scheme) =>
      scheme.type === 'http' && scheme.scheme.toLowerCase() === 'basic'
        ? undefined
        : 'A user name and a password meet only the HTTP authentication scheme Basic.',
    credential: async () => ({ headers: { authorization } }),
  };
}

import type { CredentialRequest, CredentialSource } from '../credential-source.js';
import { ClientError } from '../errors.js';
import { quote } from '../quote.js';

/** `b64token` of RFC 6750 §2.1. */
const b64token = /^[A-Za-z0-9\-._~+/]+=*$/;

/**
 * A bearer token that comes from elsewhere, for HTTP bearer, OAuth 2.0 and OpenID Connect schemes.
 *
 * @param token the token, or a function that gives the one to be used now. The function is called for each request and
 *   keeps what it gave as long as it likes; after a refusal it is called once more.
 * @throws {ClientError} `INVALID_OPTION` when the token is neither
 */
export function bearer(
  token: string | ((request: CredentialRequest) => string | Promise<string>),
): CredentialSource {
  if (typeof token !== 'function' && !(typeof token === 'string' && b64token.test(token)))
    throw new ClientError(
      'INVALID_OPTION',
      'bearer(): the token must be a text of the characters of RFC 6750 §2.1, without "Bearer" before it, and with no space or line break around it. Was it read from a file, or is an environment variable missing?',
    );
  return {
    interactive: false,
    unfitFor(scheme) {
      if (scheme.type === 'oauth2' || scheme.type === 'openIdConnect') return undefined;
      if (scheme.type !== 'http') return `A bearer token is no ${scheme.type} credential.`;
      return scheme.scheme.toLowerCase() === 'bearer'
        ? undefined
        : `A bearer token is no credential of the HTTP authentication scheme ${quote(scheme.scheme)}.`;
    },
    async credential(request) {
      const value = typeof token === 'function' ? await token(request) : token;
      if (typeof value !== 'string' || !b64token.test(value))
        throw new ClientError(
          'CREDENTIAL_UNUSABLE',
          `The bearer token for ${quote(request.schemeId)} is no text of the characters of RFC 6750 §2.1, without "Bearer" before it.`,
        );
      return { headers: { authorization: `Bearer ${value}` } };
    },
    ...(typeof token === 'function' ? { renew: async () => true } : {}),
  };
}

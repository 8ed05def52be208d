import type { CredentialSource } from '../credential-source.js';
import { ClientError } from '../errors.js';
import { isHeaderValue } from '../header-value.js';
import { quote } from '../quote.js';

/**
 * An API key, put where the card declares it: a header, the query or a cookie.
 *
 * @param key the key, or a function that gives the one to be used now; it is called for each request
 * @throws {ClientError} `INVALID_OPTION` when the key is neither
 */
export function apiKey(key: string | (() => string | Promise<string>)): CredentialSource {
  if (typeof key !== 'function' && !isHeaderValue(key))
    throw new ClientError(
      'INVALID_OPTION',
      'apiKey(): the key must be a text of visible ASCII characters, with no space or line break around it. Was it read from a file, or is an environment variable missing?',
    );
  return {
    interactive: false,
    unfitFor: (scheme) =>
      scheme.type === 'apiKey' ? undefined : `An API key is no ${scheme.type} credential.`,
    async credential({ scheme, schemeId }) {
      if (scheme.type !== 'apiKey') throw new TypeError('An API key meets apiKey schemes only.');
      const value = typeof key === 'function' ? await key() : key;
      if (!isHeaderValue(value))
        throw new ClientError(
          'CREDENTIAL_UNUSABLE',
          `The API key for ${quote(schemeId)} is no text of visible ASCII characters, with no space or line break around it.`,
        );
      switch (scheme.in) {
        case 'header':
          return { headers: { [scheme.name.toLowerCase()]: value } };
        case 'query':
          return { query: { [scheme.name]: value } };
        case 'cookie':
          return { cookies: { [scheme.name]: value } };
      }
    },
    // Only a function can have another one.
    ...(typeof key === 'function' ? { renew: async () => true } : {}),
  };
}

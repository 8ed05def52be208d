import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { TokenStore } from '../stores/token-store.js';
import { digest } from './digest.js';
import { OAUTH_OPTIONS, oauthSource, type OAuthOptions, type OAuthSource } from './oauth-source.js';

export interface RefreshingOptions extends OAuthOptions {
  /** From a login that happened elsewhere. What replaces it, where the server rotates, is kept in `store`. */
  readonly refreshToken: string;
  /** Default: this process's memory. */
  readonly store?: TokenStore;
}

/**
 * Tokens from a refresh token (RFC 6749 §6), with the scopes of the login it came from. One source for one agent: what the
 * server rotates is one token at a time.
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export function refreshing(options: RefreshingOptions): OAuthSource {
  checkOptions('refreshing()', options, { ...OAUTH_OPTIONS, refreshToken: true, store: true });
  const { refreshToken, store } = options;
  if (typeof refreshToken !== 'string' || refreshToken === '') {
    throw new ClientError('INVALID_OPTION', 'refreshing() needs a refreshToken.');
  }
  // Another one begins another session.
  const id = digest(refreshToken);
  return oauthSource(
    {
      name: 'refreshing',
      interactive: false,
      refused: 'LOGIN_REQUIRED',
      sharing: 'session',
      store,
      refreshToken,
      prepare: () => Promise.resolve({ id, context: undefined }),
      obtain: () => {
        throw new ClientError(
          'LOGIN_REQUIRED',
          'The refresh token is no longer good. Log in again, and make a new source with the new one.',
        );
      },
    },
    options,
  );
}

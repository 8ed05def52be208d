import { clientCredentialsGrant } from 'openid-client';

import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import { OAUTH_OPTIONS, oauthSource, type OAuthOptions, type OAuthSource } from './oauth-source.js';

/**
 * Tokens for the client itself (RFC 6749 §4.4), without a person.
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export function clientCredentials(options: OAuthOptions): OAuthSource {
  checkOptions('clientCredentials()', options, OAUTH_OPTIONS);
  const { clientSecret, privateKey, tls } = options;
  if (clientSecret === undefined && privateKey === undefined && tls === undefined) {
    throw new ClientError('INVALID_OPTION', 'clientCredentials() needs a clientSecret, a privateKey or tls.');
  }
  return oauthSource(
    {
      name: 'clientCredentials',
      interactive: false,
      flows: ['clientCredentials'],
      refused: 'TOKEN_REFUSED',
      sharing: 'request',
      obtain: (configuration, { parameters, options: binding }) =>
        clientCredentialsGrant(configuration, { ...parameters }, binding),
    },
    options,
  );
}

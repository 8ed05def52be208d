import { genericGrantRequest } from 'openid-client';

import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import { digest } from './digest.js';
import { OAUTH_OPTIONS, oauthSource, type OAuthOptions, type OAuthSource } from './oauth-source.js';
import { tokenOf, type TokenFunction } from './token-exchange.js';

export interface JwtBearerOptions extends OAuthOptions {
  /** A JWT that the authorization server accepts as a grant, such as the token of a caller. */
  readonly assertion: TokenFunction;
}

/**
 * Gets tokens for a JWT (RFC 7523 §2.1): from servers that have no token exchange. What they want besides, such as
 * `requested_token_use`, goes into `tokenParameters`.
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export function jwtBearer(options: JwtBearerOptions): OAuthSource {
  checkOptions('jwtBearer()', options, { ...OAUTH_OPTIONS, assertion: true });
  const { assertion } = options;
  if (typeof assertion !== 'function') {
    throw new ClientError('INVALID_OPTION', 'jwtBearer(): assertion must be a function that gives a JWT.');
  }
  return oauthSource<string>(
    {
      name: 'jwtBearer',
      interactive: false,
      refused: 'TOKEN_REFUSED',
      sharing: 'request',
      async prepare(request) {
        const token = await tokenOf('assertion', assertion, request);
        return { id: digest(token), context: token };
      },
      obtain: (configuration, { context, parameters, options: binding }) =>
        genericGrantRequest(
          configuration,
          'urn:ietf:params:oauth:grant-type:jwt-bearer',
          { ...parameters, assertion: context },
          binding,
        ),
    },
    options,
  );
}

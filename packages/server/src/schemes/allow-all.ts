import { configurationError } from '../errors.js';
import type { SecurityScheme } from '../scheme.js';

/**
 * Lets every caller in as one principal, `developer`. For development: it warns when constructed, is not published on
 * the card, and refuses to exist in production.
 *
 * @throws {ConfigurationError} `FORBIDDEN_IN_PRODUCTION` when `NODE_ENV` is `production`
 */
export function allowAll(): SecurityScheme<'everyone'> {
  if (process.env.NODE_ENV === 'production') {
    throw configurationError(
      'FORBIDDEN_IN_PRODUCTION',
      'allowAll() lets every caller in and is meant for development, but NODE_ENV is "production". Register a real security scheme.',
    );
  }
  process.emitWarning('allowAll() lets every caller of this agent in. Use it for development only.', {
    code: 'A2A_AUTH_ALLOW_ALL',
  });
  return {
    extract: () => 'everyone',
    verify: () => ({ verified: true, principal: { subject: 'developer' } }),
  };
}

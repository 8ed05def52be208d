import { ConfigurationError } from '@a2a-auth/server';

/** For an option of {@link biscuit} that is wrong. */
export function configurationError(message: string): ConfigurationError {
  return new ConfigurationError([{ code: 'INVALID_OPTION', message: `biscuit(): ${message}` }]);
}

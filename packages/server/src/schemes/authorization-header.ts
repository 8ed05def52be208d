import type { AuthRequest } from '../auth-request.js';
import { MalformedCredential } from '../errors.js';

/** Longer credentials than any real one; Node's own limit for all headers together is 16 KiB. */
const MAX_LENGTH = 16_384;

/**
 * The credentials of an Authorization field (RFC 9110 §11.6.2) for one auth-scheme, which is matched without regard to
 * case.
 *
 * @returns undefined when there is no Authorization field, or one for another auth-scheme
 * @throws {MalformedCredential} when there are two fields, or no credentials after the auth-scheme
 */
export function authorizationCredentials(request: AuthRequest, authScheme: string): string | undefined {
  const fields = request.header('authorization');
  if (fields.length > 1) {
    throw new MalformedCredential('There is more than one Authorization header.');
  }
  const [field] = fields;
  if (field === undefined) return undefined;
  if (field.slice(0, authScheme.length).toLowerCase() !== authScheme.toLowerCase()) return undefined;
  const rest = field.slice(authScheme.length);
  // Another auth-scheme whose name merely begins like ours.
  if (rest !== '' && !/^[ \t]/.test(rest)) return undefined;
  if (field.length > MAX_LENGTH) {
    throw new MalformedCredential('The Authorization header is too long.');
  }
  const credentials = rest.replace(/^ +/, '');
  if (credentials === '') {
    throw new MalformedCredential(`The Authorization header holds no credentials after ${authScheme}.`);
  }
  return credentials;
}

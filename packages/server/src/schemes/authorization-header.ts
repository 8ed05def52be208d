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
  const name = field.slice(0, authScheme.length);
  if (name !== authScheme && name.toLowerCase() !== authScheme.toLowerCase()) return undefined;
  // Another auth-scheme whose name merely begins like ours.
  if (!['', ' ', '\t'].includes(field.charAt(name.length))) return undefined;
  if (field.length > MAX_LENGTH) {
    throw new MalformedCredential('The Authorization header is too long.');
  }
  let start = name.length;
  while (field[start] === ' ') start++;
  const credentials = field.slice(start);
  if (credentials === '') {
    throw new MalformedCredential(`The Authorization header holds no credentials after ${authScheme}.`);
  }
  return credentials;
}

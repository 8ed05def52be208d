import type { ReceivedChallenge } from '../credential-source.js';
import { isScope } from '../scopes.js';

/**
 * How a person is to log in before a token is good enough (RFC 9470 §4), as parameters of the request that begins the
 * login: `acr_values` and `max_age` of OpenID Connect Core §3.1.2.1.
 */
export type LoginDemand = Readonly<Partial<Record<'acr_values' | 'max_age', string>>>;

const MAX_ACR_VALUES = 20;

/**
 * What a challenge asks of the login. The agent's word goes to the authorization server as it is, so it must look like what it
 * says it is.
 *
 * @returns undefined when the challenge asks for nothing of the kind, or for nothing that a login could be asked for
 */
export function loginDemandOf(challenge: ReceivedChallenge | undefined): LoginDemand | undefined {
  if (!asksForLogin(challenge)) return undefined;
  const { acr_values: acrValues, max_age: maxAge } = challenge.params;
  const contexts = (acrValues ?? '').split(' ').filter((value) => value !== '');
  const isUsable =
    contexts.length <= MAX_ACR_VALUES &&
    contexts.every(isScope) &&
    (maxAge === undefined || /^\d{1,9}$/.test(maxAge)) &&
    (contexts.length > 0 || maxAge !== undefined);
  if (!isUsable) return undefined;
  return {
    ...(contexts.length === 0 ? {} : { acr_values: contexts.join(' ') }),
    ...(maxAge === undefined ? {} : { max_age: maxAge }),
  };
}

/** RFC 9470 §3: the token is good, but the login behind it is too weak, or too long ago. */
export function asksForLogin(challenge: ReceivedChallenge | undefined): challenge is ReceivedChallenge {
  return challenge?.params.error === 'insufficient_user_authentication';
}

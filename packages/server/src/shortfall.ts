import type { SchemeOutcome } from './decision.js';
import type { PolicyRequirement } from './policy.js';
import type { Principal } from './principal.js';

/** RFC 9470: whether one of the requirement's principals authenticated as strongly, and as lately, as is asked. */
export function isStrongEnough({ entries, stepUp }: PolicyRequirement, outcomes: readonly SchemeOutcome[]): boolean {
  if (stepUp === undefined) return true;
  const { acrValues, maxAge } = stepUp;
  return entries.some(({ position }) => {
    const outcome = outcomes[position];
    if (outcome?.status !== 'verified') return false;
    const { acr, auth_time: authTime } = outcome.principal.claims;
    const isStrong = acrValues === undefined || (typeof acr === 'string' && acrValues.includes(acr));
    const isFresh =
      maxAge === undefined || (typeof authTime === 'number' && Date.now() / 1000 - authTime <= maxAge);
    return isStrong && isFresh;
  });
}

/** The scopes that are asked for and not there. */
export function lackingScopes(principal: Principal, scopes: readonly string[]): readonly string[] {
  return scopes.filter((scope) => !principal.scopes.includes(scope));
}

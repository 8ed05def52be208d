import type { SchemeOutcome } from './decision.js';
import type { PolicyRequirement } from './policy.js';
import type { Principal } from './principal.js';

/** Seconds by which the clock of whoever wrote `auth_time` may be ahead of ours. */
const CLOCK_TOLERANCE = 60;

/** RFC 9470: whether one of the requirement's principals authenticated as strongly, and as lately, as is asked. */
export function isStrongEnough(
  { entries, stepUp }: PolicyRequirement,
  outcomes: readonly SchemeOutcome[],
): boolean {
  if (stepUp === undefined) return true;
  const { acrValues, maxAge } = stepUp;
  return entries.some(({ position }) => {
    const outcome = outcomes[position];
    if (outcome?.status !== 'verified') return false;
    const { acr, auth_time: authTime } = outcome.principal.claims;
    const isStrong = acrValues === undefined || (typeof acr === 'string' && acrValues.includes(acr));
    return isStrong && (maxAge === undefined || isFresh(authTime, maxAge));
  });
}

/** A time that is to come, such as one in milliseconds, tells nothing about freshness. */
function isFresh(authTime: unknown, maxAge: number): boolean {
  if (typeof authTime !== 'number') return false;
  const age = Date.now() / 1000 - authTime;
  return age <= maxAge && age >= -CLOCK_TOLERANCE;
}

/** The scopes that are asked for and not there. */
export function lackingScopes(principal: Principal, scopes: readonly string[]): readonly string[] {
  return scopes.filter((scope) => !principal.scopes.includes(scope));
}

import { configurationError } from '../errors.js';
import type { Actor } from '../principal.js';

/** Which delegated tokens are accepted: those by which one party acts for another (RFC 8693 §4.1, `act`). */
export interface DelegationOptions {
  /** How many actors a token may name, one behind the other. 0 refuses every delegated token. Default 4. */
  readonly maxDelegationDepth?: number | undefined;
  /**
   * Who may act for others: the `sub` of actors of the token's own issuer, or a function that says yes with `true`. It is asked
   * of the nearest actor alone, as the ones behind it only inform (RFC 8693 §4.1). Default: whoever the issuer says.
   */
  readonly allowedActors?: readonly string[] | ((actor: Actor) => boolean) | undefined;
}

type Claims = Readonly<Record<string, unknown>>;

/** Reads the delegation in a token's claims: the actor, or undefined when nobody acts for the subject. */
export type DelegationReader = (claims: Claims) => { actor: Actor | undefined } | { problem: string };

/**
 * @param culprit the function whose options they are
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function delegationReader(
  culprit: string,
  { maxDelegationDepth = 4, allowedActors }: DelegationOptions,
): DelegationReader {
  if (!Number.isInteger(maxDelegationDepth) || maxDelegationDepth < 0) {
    throw configurationError(
      'INVALID_OPTION',
      `${culprit}: maxDelegationDepth must be an integer, 0 or more.`,
    );
  }
  const isList =
    Array.isArray(allowedActors) && allowedActors.every((subject) => typeof subject === 'string');
  if (allowedActors !== undefined && typeof allowedActors !== 'function' && !isList) {
    throw configurationError(
      'INVALID_OPTION',
      `${culprit}: allowedActors must be a list of subjects, or a function.`,
    );
  }
  return (claims) => {
    if (claims.act === undefined) return { actor: undefined };
    const actor = actorOf(claims.act, maxDelegationDepth);
    if (typeof actor === 'string') return { problem: actor };
    if (!isWhoMayAct(claims, actor)) return { problem: 'its "act" is not who "may_act" (RFC 8693 §4.4)' };
    if (!isAllowed(actor, claims, allowedActors))
      return { problem: `"${actor.subject}" may not act for others` };
    return { actor };
  };
}

/** The actor with those behind it, or what is wrong with it. */
function actorOf(act: unknown, depthLeft: number): Actor | string {
  if (depthLeft === 0) return 'it went through more actors than maxDelegationDepth';
  if (typeof act !== 'object' || act === null) return 'its "act" is not an actor';
  const { sub, client_id: clientId, iss, act: behind } = act as Claims;
  const subject = sub ?? clientId;
  if (typeof subject !== 'string' || subject === '') return 'its "act" names nobody';
  if (iss !== undefined && typeof iss !== 'string') return 'the "iss" of its "act" is not a string';
  const actor = behind === undefined ? undefined : actorOf(behind, depthLeft - 1);
  if (typeof actor === 'string') return actor;
  return Object.freeze({ subject, issuer: iss, actor });
}

/** A token may come with the condition under which it was made for delegation. */
function isWhoMayAct({ may_act: condition, act, iss }: Claims, actor: Actor): boolean {
  if (condition === undefined) return true;
  if (typeof condition !== 'object' || condition === null) return false;
  const wanted = Object.entries(condition as Claims);
  const has: Claims = { iss, ...(act as Claims), sub: actor.subject };
  return (
    wanted.length > 0 && wanted.every(([claim, value]) => typeof value === 'string' && has[claim] === value)
  );
}

function isAllowed(actor: Actor, { iss }: Claims, allowed: DelegationOptions['allowedActors']): boolean {
  if (allowed === undefined) return true;
  // Whatever is not exactly a yes, such as a promise, is a no.
  if (typeof allowed === 'function') return (allowed(actor) as unknown) === true;
  return allowed.includes(actor.subject) && (actor.issuer === undefined || actor.issuer === iss);
}

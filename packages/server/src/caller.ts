import type { RequestContext, ServerCallContext, User } from '@a2a-js/sdk/server';

import { Granted, type Decision } from './decision.js';
import type { Principal } from './principal.js';

/** The SDK's `User` for a caller: what tasks are scoped by. Carries the decision without showing it. */
export class CallerUser implements User {
  readonly #decision: Decision;
  #hasLeft = false;
  #onLeave: (() => void) | undefined;

  constructor(decision: Decision) {
    this.#decision = decision;
  }

  get isAuthenticated(): boolean {
    return this.#decision.granted && !this.#decision.isAnonymous;
  }

  /** The principal's `id`; empty for a denied caller. */
  get userName(): string {
    return this.#decision.granted ? this.#decision.principal.id : '';
  }

  static decisionOf(user: User | undefined): Decision | undefined {
    return user !== undefined && #decision in user ? user.#decision : undefined;
  }

  /** Said by the binding, when nobody is there any more to read the answer. */
  static leave(user: User | undefined): void {
    if (user === undefined || !(#decision in user)) return;
    user.#hasLeft = true;
    user.#onLeave?.();
  }

  /** @param listener the only one: a call has one stream at most */
  static whenLeft(user: User | undefined, listener: () => void): void {
    if (user === undefined || !(#decision in user)) return;
    if (user.#hasLeft) listener();
    else user.#onLeave = listener;
  }
}

/** The same caller, for keeping: with the principals, and without the credentials and the request. */
export function lastingUser(user: User | undefined): User | undefined {
  const decision = CallerUser.decisionOf(user);
  return decision?.granted === true ? new CallerUser(Granted.withoutSecrets(decision)) : user;
}

/** The caller's principal is asked of a call that this library did not authenticate. */
export class NotAuthenticated extends Error {
  override readonly name = 'NotAuthenticated';
  readonly code = 'NOT_AUTHENTICATED';
}

/**
 * Who calls. To be used inside an executor, or wherever the SDK hands on its context.
 *
 * @throws {NotAuthenticated} when the call did not come through one of this library's bindings
 */
export function principalOf(context: RequestContext | ServerCallContext): Principal {
  return grantedOf(context).principal;
}

/**
 * Everyone whose credentials the met alternative needed, by scheme id: with `{ tenantKey: [], user: [] }` the tenant
 * and the user.
 *
 * @throws {NotAuthenticated} when the call did not come through one of this library's bindings
 */
export function principalsOf(context: RequestContext | ServerCallContext): ReadonlyMap<string, Principal> {
  return grantedOf(context).principals;
}

/**
 * The raw credential that a scheme verified, for code that calls on behalf of the caller. A secret: it belongs into no
 * log, no task and no error.
 *
 * @returns the scheme's own form of it (a string for API keys and bearer tokens); undefined when that scheme had no
 *   part in the grant
 * @throws {NotAuthenticated} when the call did not come through one of this library's bindings
 */
export function callerCredential(context: RequestContext | ServerCallContext, schemeId: string): unknown {
  return Granted.credential(grantedOf(context), schemeId);
}

function grantedOf(context: RequestContext | ServerCallContext): Granted {
  const call = 'user' in context ? context : context.context;
  const decision = CallerUser.decisionOf(call.user);
  if (decision?.granted !== true) {
    throw new NotAuthenticated(
      'This call carries no decision. Use the userBuilder of the binding (for Express: @a2a-auth/server/express), ' +
        'and give the SDK the request handler that AgentSecurity.protect() returns.',
    );
  }
  return decision;
}

import type { PrincipalClaims, Validated } from '@a2a-auth/server';

/** Why a user is nobody to an agent; for the audit event. */
export class UnusableUser extends Error {
  override readonly name = 'UnusableUser';
}

/** Where users have their name, the first that there is. */
const names = ['id', 'sub', 'username'] as const;

/**
 * Who a user is, when the application does not say: `id`, or else `sub` (together with `iss`), or else `username`; and
 * the scopes in `info.scope` or `user.scope`; and what a token is bound to (`cnf`, RFC 7800), in `info` or the user. Nothing
 * else of the user is taken over: it may hold a password's hash.
 *
 * @throws {UnusableUser} when it names nobody
 */
export function defaultPrincipalOf(user: unknown, info: unknown): Validated {
  if (typeof user !== 'object' || user === null) {
    throw new UnusableUser(
      `The strategy's user is ${user === null ? 'null' : `a ${typeof user}`}, and no object.`,
    );
  }
  if (typeof member(user, 'then') === 'function') {
    throw new UnusableUser("The strategy's user is a promise; the strategy has to wait for it.");
  }
  const name = names.find((candidate) => isThere(member(user, candidate)));
  if (name === undefined) throw new UnusableUser("The strategy's user has neither id nor sub nor username.");
  const subject = nameOf(member(user, name));
  if (subject === undefined) {
    throw new UnusableUser(`The ${name} of the strategy's user is neither a text nor a whole number.`);
  }
  const scope = member(info, 'scope') ?? member(user, 'scope');
  const cnf = member(info, 'cnf') ?? member(user, 'cnf');
  const binding = isThere(cnf) ? { claims: { cnf } } : {};
  return { principal: { subject, ...issuerOf(user, name), ...binding }, scopes: scopesOf(scope) };
}

/**
 * A user's own member, or one of its class: users may be documents of a database, with getters. Never one that every
 * object has: with a polluted `Object.prototype`, all users would be one.
 */
function member(of: unknown, name: string): unknown {
  if (typeof of !== 'object' || of === null) return undefined;
  let holder: object | null = of;
  while (holder !== null && !Object.hasOwn(holder, name))
    holder = Object.getPrototypeOf(holder) as object | null;
  if (holder === null || (holder !== of && Object.getPrototypeOf(holder) === null)) return undefined;
  return (of as Record<string, unknown>)[name];
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** An object's toString() is for people: "[object Object]" would be a name that many have. */
function nameOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value.trim() !== '') return value;
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return String(value);
  return undefined;
}

/** A `sub` is unique with its issuer alone. */
function issuerOf(user: object, name: (typeof names)[number]): Pick<PrincipalClaims, 'issuer'> {
  const issuer = name === 'sub' ? member(user, 'iss') : undefined;
  if (!isThere(issuer)) return {};
  if (typeof issuer === 'string' && issuer !== '') return { issuer };
  throw new UnusableUser("The iss of the strategy's user is no text.");
}

/** A list, or a text with blanks between them (RFC 6749 §3.3). */
function scopesOf(scope: unknown): readonly string[] {
  if (!isThere(scope)) return [];
  const scopes = typeof scope === 'string' ? scope.split(' ') : scope;
  if (Array.isArray(scopes) && scopes.every((one) => typeof one === 'string')) {
    return scopes.filter((one) => one !== '');
  }
  throw new UnusableUser("The scope of the strategy's user is neither a text nor a list of texts.");
}

import { LRUCache } from 'lru-cache';

import { ClientError } from '../errors.js';
import type { TokenStore } from '../stores/token-store.js';
import type { LoginDemand } from './login-demand.js';
import { allows, covers, hasEnded, isFresh, readSession, writeSession, type Session } from './session.js';
import { oneByOne, sharedWork } from './shared-work.js';
import { isInvalidGrant } from './token-error.js';
import type { Tokens } from './tokens.js';

/** What tokens are wanted for, and how they are had. */
export interface Wanted {
  /** Sessions are kept under it; those who may not share tokens have different ones. */
  readonly key: string;
  readonly scopes: readonly string[];
  readonly resource: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Gets tokens without a refresh token, such as by a login. */
  obtain(scopes: readonly string[], signal: AbortSignal, demand: LoginDemand | undefined): Promise<Tokens>;
  /** Left out: refresh tokens are not used. */
  readonly refresh?: ((refreshToken: string) => Promise<Tokens>) | undefined;
  /** The refresh token to begin with. */
  readonly refreshToken?: string | undefined;
}

export interface TokenKeeper {
  /**
   * Tokens that are still good, from memory, the store, or the server. However many ask at the same time, there is one
   * request to the server, or one login.
   *
   * @throws {ClientError}
   */
  get(wanted: Wanted): Promise<Session>;
  /** Forgets an access token that was refused, unless it was replaced already. Says whether there may be a better one. */
  refuse(accessToken: string): boolean;
  /**
   * Gets tokens by a login that is as demanded, unless the access token was replaced already; later logins are alike. Whoever
   * does not ask for such a login uses meanwhile, and if it fails, what there is. However it ends, there is none for a minute.
   *
   * @returns whether there may be a better token
   * @throws {ClientError} when the login fails
   */
  logIn(wanted: Wanted, accessToken: string, demand: LoginDemand): Promise<boolean>;
}

/** Sessions in memory; more only with very many agents or subjects. */
const MAX_SESSIONS = 1_000;

/**
 * Milliseconds for which the replacement of a refused token is not replaced in turn, and after a login that was demanded no
 * other is: an agent that refuses whatever it gets costs no token request, and no login, with every call.
 */
const COOLDOWN = 60_000;

/** What is left of a session, or the refresh token to begin with. */
type Before = Readonly<Partial<{ [Name in keyof Session]: Session[Name] | undefined }>>;

interface Kept {
  session: Session;
  /** Set while the store does not have it. */
  isUnsaved: boolean;
  /** Whether it replaced a token that was refused. */
  readonly isReplacement: boolean;
}

export function tokenKeeper(store: TokenStore | undefined): TokenKeeper {
  const kept = new LRUCache<string, Kept>({ max: MAX_SESSIONS });
  const keyOf = new LRUCache<string, string>({ max: MAX_SESSIONS });
  const refused = new LRUCache<string, true>({ max: MAX_SESSIONS });
  const demands = new LRUCache<string, LoginDemand>({ max: MAX_SESSIONS });
  /** When the last login that was demanded came to its end. */
  const loggedIn = new LRUCache<string, number>({ max: MAX_SESSIONS });
  const share = sharedWork<Session>();
  const inTurn = oneByOne();

  const isUsable = (session: Session, wanted: Wanted) =>
    covers(session, wanted) && isFresh(session) && !refused.has(session.accessToken);

  const remember = (key: string, session: Session, isUnsaved: boolean, isReplacement: boolean): void => {
    kept.set(key, { session, isUnsaved, isReplacement });
    keyOf.set(session.accessToken, key);
  };

  const save = async (key: string): Promise<void> => {
    const entry = kept.get(key);
    if (store === undefined || entry?.isUnsaved !== true) return;
    await fromStore(() => store.set(key, writeSession(entry.session)));
    entry.isUnsaved = false;
  };

  /** What there is: another process may have been here since. */
  const latest = async (key: string): Promise<Session | undefined> => {
    const entry = kept.get(key);
    if (store === undefined || entry?.isUnsaved === true) return entry?.session;
    const stored = readSession(await fromStore(() => store.get(key)));
    if (stored === undefined) kept.delete(key);
    else if (stored.accessToken !== entry?.session.accessToken) remember(key, stored, false, false);
    return stored;
  };

  /** Stored before it is used: what a server rotated away is gone. */
  const keep = async (
    wanted: Wanted,
    tokens: Tokens,
    before: Before,
    isReplacement = before.accessToken !== undefined && refused.has(before.accessToken),
  ): Promise<Session> => {
    const { key, resource } = wanted;
    const session: Session = {
      ...tokens,
      refreshToken: tokens.refreshToken ?? before.refreshToken,
      obtainedAt: Date.now(),
      asked: before.asked,
      resource,
    };
    remember(key, session, store !== undefined, isReplacement);
    await save(key);
    return session;
  };

  const forget = async (key: string): Promise<void> => {
    kept.delete(key);
    if (store !== undefined) await fromStore(() => store.delete(key));
  };

  /** Undefined when the refresh token is no longer good. */
  const refreshed = async (
    wanted: Wanted,
    refresh: (refreshToken: string) => Promise<Tokens>,
    before: Before,
  ): Promise<Session | undefined> => {
    const { key } = wanted;
    const tried = new Set<string>();
    for (;;) {
      const current = (await latest(key)) ?? before;
      if (current.accessToken !== undefined && isUsable(current as Session, wanted))
        return current as Session;
      const { refreshToken } = current;
      if (refreshToken === undefined) return undefined;
      // Without a lock, another process may have rotated it under our hands.
      if (tried.has(refreshToken)) {
        await forget(key);
        return undefined;
      }
      tried.add(refreshToken);
      try {
        return await keep(wanted, await refresh(refreshToken), current);
      } catch (error) {
        if (!isInvalidGrant(error)) throw error;
      }
    }
  };

  const renewed = async (
    wanted: Wanted,
    current: Session | undefined,
    signal: AbortSignal,
  ): Promise<Session> => {
    const { key, refresh, scopes } = wanted;
    const before: Before = current ?? { refreshToken: wanted.refreshToken };
    if (refresh !== undefined && before.refreshToken !== undefined) {
      if (current === undefined || allows(current, scopes)) {
        // Not to be aborted: the server may have rotated the token already.
        const work = () => refreshed(wanted, refresh, before);
        const session = await (store?.withLock === undefined
          ? work()
          : fromStore(() => store.withLock?.(key, work) ?? work()));
        if (session !== undefined) return session;
      }
    }
    const asked = [...new Set([...(current?.asked ?? []), ...scopes])];
    const tokens = await wanted.obtain(asked, signal, demands.get(key));
    return keep(wanted, tokens, { accessToken: current?.accessToken, asked });
  };

  const acquire = async (wanted: Wanted, signal: AbortSignal): Promise<Session> => {
    signal.throwIfAborted();
    const current = await latest(wanted.key);
    if (current !== undefined && isUsable(current, wanted)) {
      await save(wanted.key);
      return current;
    }
    try {
      return await renewed(wanted, current, signal);
    } catch (error) {
      const isOutage = error instanceof ClientError && error.code === 'PROVIDER_UNAVAILABLE';
      if (isOutage && current !== undefined && isStillGood(current, wanted)) return current;
      throw error;
    }
  };

  const isStillGood = (session: Session, wanted: Wanted) =>
    covers(session, wanted) && !hasEnded(session) && !refused.has(session.accessToken);

  return {
    async get(wanted) {
      const entry = kept.get(wanted.key);
      if (entry !== undefined && !entry.isUnsaved && isUsable(entry.session, wanted)) return entry.session;
      const name = JSON.stringify([wanted.key, wanted.scopes, wanted.resource]);
      return share(name, wanted.signal, (signal) => inTurn(wanted.key, () => acquire(wanted, signal)));
    },
    refuse(accessToken) {
      const entry = kept.get(keyOf.get(accessToken) ?? '');
      // Replaced, or pushed out: the next one is another.
      if (entry?.session.accessToken !== accessToken) return true;
      if (entry.isReplacement && Date.now() - entry.session.obtainedAt < COOLDOWN) return false;
      refused.set(accessToken, true);
      return true;
    },
    async logIn(wanted, accessToken, demand) {
      const { key, scopes, signal: waiting } = wanted;
      const session = kept.get(key)?.session;
      if (session?.accessToken !== accessToken) return true;
      if (Date.now() - (loggedIn.get(key) ?? -Infinity) < COOLDOWN) return false;
      await share(JSON.stringify([key, 'login']), waiting, async (signal) => {
        const asked = [...new Set([...(session.asked ?? []), ...scopes])];
        const ended = () => {
          loggedIn.set(key, Date.now());
        };
        // At once: what was begun may take its time to stop.
        signal.addEventListener('abort', ended, { once: true });
        try {
          const tokens = await wanted.obtain(asked, signal, demand);
          demands.set(key, demand);
          return await inTurn(key, () => keep(wanted, tokens, { asked }, true));
        } finally {
          ended();
        }
      });
      return true;
    },
  };
}

/** What a store of somebody else throws may show what it was given. */
async function fromStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ClientError) throw error;
    throw new ClientError(
      'STORE_UNAVAILABLE',
      `The token store failed (${error instanceof Error ? error.name : 'an unknown error'}).`,
    );
  }
}

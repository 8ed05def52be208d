/**
 * Where logins outlive the process. A value holds tokens: who can read it can act as the person who logged in.
 */
export interface TokenStore {
  get(key: string): Promise<string | undefined>;
  /** Resolves once the value is safe: a refresh token that is lost can be had by a new login alone. */
  set(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
  /**
   * Lets nobody else who uses this store, in this process or another, hold the same key's lock meanwhile. Without it, two
   * processes may use one refresh token at the same time, of which servers that rotate them refuse the second.
   */
  withLock?<T>(key: string, work: () => Promise<T>): Promise<T>;
}

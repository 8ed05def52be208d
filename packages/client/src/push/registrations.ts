import { LRUCache } from 'lru-cache';

/** Where the credential of a webhook stands in a notification. */
export type CredentialPlace = 'bearer' | 'basic' | 'apiKey' | 'token';

/** A webhook that an agent was given. */
export interface PushRegistration {
  readonly place: CredentialPlace;
  /** SHA-256 of the credential, base64url. The credential itself is not kept. */
  readonly digest: string;
  /** The task it is for. Undefined until that is known. */
  readonly taskId: string | undefined;
  /** The agent that has to sign, where notifications are signed. */
  readonly issuer: string | undefined;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Keeps the webhooks that are out. For several processes, put a shared one behind this interface. */
export interface PushRegistrations {
  add(id: string, registration: PushRegistration): void | Promise<void>;
  find(id: string): PushRegistration | undefined | Promise<PushRegistration | undefined>;
  /**
   * Ties a webhook to a task unless it is tied to one, in one step.
   *
   * @returns whether it is tied to this task now
   */
  bind(id: string, taskId: string): boolean | Promise<boolean>;
  remove(id: string): void | Promise<void>;
}

/**
 * Keeps them in this process. When there are too many, those that were not used for the longest time go.
 *
 * @param max default 100 000
 */
export function memoryPushRegistrations(max = 100_000): PushRegistrations {
  const known = new LRUCache<string, PushRegistration>({ max });
  const find = (id: string) => {
    const registration = known.get(id);
    if (registration === undefined || registration.expiresAt > Date.now()) return registration;
    known.delete(id);
    return undefined;
  };
  return {
    add(id, registration) {
      known.set(id, registration);
    },
    find,
    bind(id, taskId) {
      const registration = find(id);
      if (registration === undefined) return false;
      if (registration.taskId === undefined) known.set(id, { ...registration, taskId });
      return (registration.taskId ?? taskId) === taskId;
    },
    remove(id) {
      known.delete(id);
    },
  };
}

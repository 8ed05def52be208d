import { VerifierUnavailable } from '../errors.js';

export interface RefreshableOptions<T> {
  /** What is fetched, for messages. */
  readonly what: string;
  readonly load: () => Promise<T>;
  /** Milliseconds for which a value counts as fresh. It is used on while it is refreshed. */
  readonly maxAge: number;
  /**
   * Milliseconds after which whoever asks waits for the refresh, where its owner is not known to be down: of a value that
   * nobody asked for so long, its owner may have withdrawn a part by now. Default: nobody waits.
   */
  readonly maxUnasked?: number;
  /** Milliseconds for which a value is used on while it cannot be refreshed, counted from when it was loaded. */
  readonly maxStale: number;
  /** Milliseconds between two attempts that were not due by age. */
  readonly cooldown: number;
}

/**
 * A value that somebody else owns and changes: loaded once for concurrent callers, refreshed in the background once it
 * is no longer fresh, and used on for a bounded time while its owner is down. Loads for something that was not found, and
 * those after one that failed, are never closer together than the cool-down allows, whoever asks however often.
 */
export class Refreshable<T> {
  readonly #options: RefreshableOptions<T>;
  #value: T | undefined;
  #loadedAt = -Infinity;
  #failedAt = -Infinity;
  #refreshedForMissAt = -Infinity;
  #failure: unknown;
  #pending: Promise<T> | undefined;

  constructor(options: RefreshableOptions<T>) {
    this.#options = options;
  }

  /** Whether the last attempt to load failed. */
  get isFailing(): boolean {
    return this.#failedAt !== -Infinity;
  }

  /**
   * @throws {VerifierUnavailable} when there is no value that may still be used, and none can be loaded now
   */
  async get(): Promise<T> {
    const { maxAge, maxUnasked = Infinity, maxStale } = this.#options;
    const value = this.#value;
    const age = Date.now() - this.#loadedAt;
    if (value === undefined || age >= maxStale) return this.#loadUnlessCoolingDown();
    if (age < maxAge || this.#isCoolingDown(this.#failedAt)) return value;
    const refreshed = this.#load().catch(() => value);
    return age < maxUnasked || this.isFailing ? value : refreshed;
  }

  /**
   * The value, loaded anew because something was not found in it. At most one such load a cool-down; further calls get
   * what there is.
   *
   * @throws {VerifierUnavailable} when the load fails, or one failed within the cool-down
   */
  async getAfterMiss(): Promise<T> {
    if (this.#pending !== undefined) return this.#loadUnlessCoolingDown();
    if (this.#value !== undefined && !this.isFailing && this.#isCoolingDown(this.#refreshedForMissAt)) {
      return this.#value;
    }
    return this.#loadUnlessCoolingDown(() => {
      this.#refreshedForMissAt = Date.now();
    });
  }

  async #loadUnlessCoolingDown(beforeLoad?: () => void): Promise<T> {
    if (this.#pending === undefined && this.#isCoolingDown(this.#failedAt))
      throw this.#unavailable(this.#failure);
    if (this.#pending === undefined) beforeLoad?.();
    try {
      return await this.#load();
    } catch (error) {
      throw this.#unavailable(error);
    }
  }

  #isCoolingDown(since: number): boolean {
    return Date.now() - since < this.#options.cooldown;
  }

  #load(): Promise<T> {
    this.#pending ??= this.#options
      .load()
      .then(
        (value) => {
          this.#value = value;
          this.#loadedAt = Date.now();
          this.#failedAt = -Infinity;
          return value;
        },
        (error: unknown) => {
          this.#failedAt = Date.now();
          this.#failure = error;
          throw error;
        },
      )
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }

  #unavailable(error: unknown): VerifierUnavailable {
    return new VerifierUnavailable(
      `${this.#options.what} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      { retryAfter: Math.max(1, Math.ceil(this.#options.cooldown / 1000)), cause: error },
    );
  }
}

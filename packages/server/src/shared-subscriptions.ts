import type { StreamResponse } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';

import { CallerUser } from './caller.js';

type Subscribe = A2ARequestHandler['resubscribe'];

/**
 * Subscriptions to tasks that end when their caller leaves.
 *
 * The SDK's own wait for the next event of their task by then, and only that ends them: callers who come and go would leave
 * more and more of them behind, at a task that waits for a person maybe for days. So the subscriptions of one caller to one
 * task hang on that of whoever came first, which stays until the next event. What each begins with, the task as it is now,
 * the SDK is asked for each time, and so whether the caller may see it.
 */
export function sharedSubscriptions(handler: Pick<A2ARequestHandler, 'resubscribe'>): Subscribe {
  /** Who reads the events of a subscription that others may join. */
  const shared = new Map<string, Set<Reader>>();

  /** Hands on the events that follow, until nobody is there any more to read the next one. */
  async function run(key: string, readers: Set<Reader>, events: ReturnType<Subscribe>): Promise<void> {
    if (!shared.has(key)) shared.set(key, readers);
    let failure: { readonly error: unknown } | undefined;
    try {
      for (;;) {
        const next = await events.next();
        if (next.done === true || readers.size === 0) break;
        for (const reader of readers) reader.push(next.value);
      }
    } catch (error) {
      failure = { error };
    }
    // At once: whoever came to one that is over would hear nothing.
    if (shared.get(key) === readers) shared.delete(key);
    for (const reader of readers) reader.end(failure);
    await events.return().catch(() => undefined);
  }

  return async function* subscribe(params, context) {
    const { user, tenant } = context;
    const key = JSON.stringify([user?.isAuthenticated, user?.userName, tenant, params.tenant, params.id]);
    const leaving = new AbortController();
    CallerUser.whenLeft(user, () => {
      leaving.abort();
    });
    let reader = new Reader(leaving.signal);
    // Before the task is looked up, so that no event falls between. As with the SDK, one may be told of twice then.
    let readers = shared.get(key);
    readers?.add(reader);
    try {
      const own = handler.resubscribe(params, context);
      const first = await own.next();
      if (first.done === true) return;
      if (leaving.signal.aborted || (readers !== undefined && shared.get(key) === readers)) {
        await own.return();
      } else {
        // There was none to join, or what was joined is over: the own one has missed nothing since.
        reader = new Reader(leaving.signal);
        readers = new Set([reader]);
        void run(key, readers, own);
      }
      yield first.value;
      yield* reader.read();
    } finally {
      readers?.delete(reader);
    }
  };
}

/** Events that wait to be read. */
class Reader {
  #events: StreamResponse[] = [];
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  /** @param leaving when whoever reads goes away */
  constructor(leaving: AbortSignal) {
    const leave = () => {
      this.end();
    };
    if (leaving.aborted) leave();
    else leaving.addEventListener('abort', leave, { once: true });
  }

  push(event: StreamResponse): void {
    this.#events.push(event);
    this.#wake();
  }

  end(failure?: { readonly error: unknown }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    this.#wake();
  }

  async *read(): AsyncGenerator<StreamResponse, void, undefined> {
    for (;;) {
      const events = this.#events;
      this.#events = [];
      yield* events;
      if (this.#events.length > 0) continue;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

import type { StrategyRequest } from './strategy-request.js';

/** A Passport strategy: an instance, as `passport.use()` takes it. */
export interface PassportStrategy {
  readonly name?: string | undefined;
  authenticate(request: never, options?: never): unknown;
}

/** What a strategy did, the first time that it did anything. */
export type StrategyOutcome =
  | { readonly called: 'success'; readonly user: unknown; readonly info: unknown }
  | { readonly called: 'fail'; readonly challenge: unknown; readonly status: unknown }
  | { readonly called: 'error'; readonly error: unknown }
  | { readonly called: 'redirect' }
  | { readonly called: 'pass' }
  /** It threw, or the promise that it returned was rejected. */
  | { readonly called: 'throw'; readonly error: unknown };

/**
 * Runs a strategy as Passport does: on an object of its own for each request, with the actions on it. The first action
 * counts. A strategy that does nothing is never done.
 */
export function runStrategy(
  strategy: PassportStrategy,
  request: StrategyRequest,
  done: (outcome: StrategyOutcome) => void,
): void {
  let isDone = false;
  const finish = (outcome: StrategyOutcome) => {
    if (isDone) return;
    isDone = true;
    done(outcome);
  };
  const actions = {
    success: (user: unknown, info?: unknown) => {
      finish({ called: 'success', user, info });
    },
    fail: (challenge?: unknown, status?: unknown) => {
      // Passport allows fail(status).
      finish(
        typeof challenge === 'number'
          ? { called: 'fail', challenge: undefined, status: challenge }
          : { called: 'fail', challenge, status },
      );
    },
    error: (error?: unknown) => {
      finish({ called: 'error', error });
    },
    redirect: () => {
      finish({ called: 'redirect' });
    },
    pass: () => {
      finish({ called: 'pass' });
    },
  };
  // Defined and not assigned: an action of the same name on a frozen strategy would forbid that.
  const running = Object.create(
    strategy,
    Object.fromEntries(
      Object.entries(actions).map(([name, value]) => [
        name,
        { value, writable: true, enumerable: true, configurable: true },
      ]),
    ),
  ) as { authenticate(request: StrategyRequest, options: object): unknown };
  try {
    // Passport ignores what a strategy returns; an asynchronous one may be rejected, and nobody else would notice.
    Promise.resolve(running.authenticate(request, {})).catch((error: unknown) => {
      finish({ called: 'throw', error });
    });
  } catch (error) {
    finish({ called: 'throw', error });
  }
}

import type { StrategyRequest } from './strategy-request.js';

/** A Passport strategy: an instance, as `passport.use()` takes it. */
export interface PassportStrategy {
  readonly name?: string | undefined;
  authenticate(request: never, options?: never): unknown;
}

/** What a strategy did. */
export type StrategyOutcome =
  | { readonly called: 'success'; readonly user: unknown; readonly info: unknown }
  | { readonly called: 'fail'; readonly challenge: unknown; readonly status: unknown }
  | { readonly called: 'error'; readonly error: unknown }
  | { readonly called: 'redirect' }
  | { readonly called: 'pass' }
  /** It threw, or the promise that it returned was rejected. */
  | { readonly called: 'throw'; readonly error: unknown };

/**
 * Runs a strategy as Passport does: on an object of its own for each request, with the actions on it.
 *
 * @param done told whatever the strategy does, of which the first counts; nothing, when it does nothing
 */
export function runStrategy(
  strategy: PassportStrategy,
  request: StrategyRequest,
  done: (outcome: StrategyOutcome) => void,
): void {
  const actions = {
    success: (user: unknown, info?: unknown) => {
      done({ called: 'success', user, info });
    },
    fail: (challenge?: unknown, status?: unknown) => {
      // Passport allows fail(status).
      done(
        typeof challenge === 'number'
          ? { called: 'fail', challenge: undefined, status: challenge }
          : { called: 'fail', challenge, status },
      );
    },
    error: (error?: unknown) => {
      done({ called: 'error', error });
    },
    redirect: () => {
      done({ called: 'redirect' });
    },
    pass: () => {
      done({ called: 'pass' });
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
      done({ called: 'throw', error });
    });
  } catch (error) {
    done({ called: 'throw', error });
  }
}

import type { PassportStrategy, StrategyRequest } from '@a2a-auth/passport';

/** What Passport puts on a strategy for each request. */
export interface Actions {
  success(user?: unknown, info?: unknown): void;
  fail(challenge?: unknown, status?: unknown): void;
  error(error?: unknown): void;
  redirect(url?: string, status?: number): void;
  pass(): void;
}

/** A strategy that does as told with every request that has a credential, and fails the others. */
export function strategyThat(
  act: (actions: Actions, request: StrategyRequest) => unknown,
  hasCredential = (request: StrategyRequest) =>
    Object.keys(request.headers).length > 0 || Object.keys(request.query).length > 0,
): PassportStrategy {
  const authenticate = function (this: Actions, request: StrategyRequest): unknown {
    if (!hasCredential(request)) {
      this.fail();
      return undefined;
    }
    return act(this, request);
  };
  return { name: 'test', authenticate: authenticate };
}

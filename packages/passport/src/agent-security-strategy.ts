import {
  renderChallenge,
  type AgentSecurity,
  type Denied,
  type Granted,
  type Principal,
} from '@a2a-auth/server';
import type { toAuthRequest } from '@a2a-auth/server/express';

type Request = Parameters<typeof toAuthRequest>[0];

/** What `req.authInfo` is on a route that the strategy let a caller through to. */
export interface RouteGrant {
  /** The scopes of the principal. */
  readonly scope: readonly string[];
  /** Everyone whose credentials the met alternative needed, by scheme id. */
  readonly principals: ReadonlyMap<string, Principal>;
}

/** What Passport puts on a strategy for each request. */
interface Actions {
  success(user: Principal, info: RouteGrant): void;
  fail(challenge: string | undefined, status: number): void;
  error(error: Error): void;
}

/** To be given to `passport.use()`. */
export interface AgentSecurityStrategy {
  readonly name: 'a2a';
  authenticate(this: Actions, request: Request, options?: { readonly session?: boolean }): void;
}

/** As Express answers it: with this status, and these headers. */
class TryLater extends Error {
  override readonly name = 'TryLater';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor({ reason, retryAfter = 1 }: Denied) {
    super(
      reason === 'unavailable' ? 'The credentials cannot be verified now.' : 'There were too many attempts.',
    );
    this.status = reason === 'unavailable' ? 503 : 429;
    this.headers = { 'retry-after': String(Math.ceil(retryAfter)) };
  }
}

/**
 * The security of an agent as a Passport strategy named `a2a`, for the other routes of an Express application that has
 * Passport: whoever may call the agent may call them, with the same credentials. `req.user` is the `Principal`.
 *
 * ```ts
 * passport.use(agentSecurityStrategy(security));
 * app.get('/reports', passport.authenticate('a2a', { session: false }), reports);
 * ```
 *
 * It is not for the agent itself, whose requests go through `agentRouter` or `authenticate`. A route has no operation, so
 * a credential that allows some operations and not others is denied (403), and so is the anonymous caller (401).
 *
 * @throws {ConfigurationError} when the security is configured wrongly
 */
export function agentSecurityStrategy(security: AgentSecurity<string>): AgentSecurityStrategy {
  security.validate();
  return {
    name: 'a2a',
    authenticate(request, options) {
      // A session would outlive the credential, and let the browser in without it.
      if (options?.session !== false) {
        this.error(
          new TypeError(
            "Agents send their credentials with every request. Use passport.authenticate('a2a', { session: false }).",
          ),
        );
        return;
      }
      decide(security, request)
        .then((decision) => {
          if (decision.granted) {
            const { principal, principals } = decision;
            this.success(principal, { scope: principal.scopes, principals });
          } else {
            deny(this, request, decision);
          }
        })
        .catch((error: unknown) => {
          this.error(error instanceof Error ? error : new Error('Authentication failed.'));
        });
    },
  };
}

async function decide(security: AgentSecurity<string>, request: Request): Promise<Granted | Denied> {
  // Only when it is used: an agent without Express may well have schemes of Passport.
  const { toAuthRequest } = await import('@a2a-auth/server/express');
  return security.authenticateElsewhere(toAuthRequest(request), 'HTTP');
}

/** Passport takes one challenge from a strategy: several are one list (RFC 9110 §11.6.1). It sends them with a 401 alone. */
function deny(actions: Actions, request: Request, denied: Denied): void {
  if (denied.retryAfter !== undefined) {
    actions.error(new TryLater(denied));
    return;
  }
  for (const { headers = {} } of denied.challenges) {
    for (const [name, value] of Object.entries(headers)) request.res?.setHeader(name, value);
  }
  const challenge = denied.challenges.map(renderChallenge).join(', ');
  actions.fail(challenge === '' ? undefined : challenge, statusOf(denied));
}

function statusOf({ reason }: Denied): number {
  return reason === 'insufficient_scope' || reason === 'not_permitted' ? 403 : 401;
}

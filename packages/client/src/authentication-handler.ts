import type { AuthenticationHandler } from '@a2a-js/sdk/client';
import { LRUCache } from 'lru-cache';

import {
  AUTHENTICATION_OPTIONS,
  prepare,
  refusedDestination,
  type AuthenticationOptions,
} from './authenticating-fetch.js';
import type { Authentication } from './authenticator.js';
import { ClientError } from './errors.js';
import { findDenial } from './find-denial.js';
import { checkOptions } from './options.js';
import { isAllowedDestination } from './policy.js';

export interface AuthenticationHandlerOptions extends AuthenticationOptions {
  /** The one URL that will be called: a JSON-RPC interface of the card, by POST. */
  readonly endpoint: string | URL;
}

/** How many calls may be on their way at a time and still be retried. */
const mostInFlight = 10_000;

/**
 * The SDK's `AuthenticationHandler`, for those who put its transports together themselves with
 * `createAuthenticatingFetchWithRetry`. Prefer `authenticatingFetch`: a handler adds headers only, and sees neither where
 * a request goes nor whether it is redirected, so give it a fetch that follows no redirects.
 *
 * @throws {ClientError} `NO_ALTERNATIVE` when no alternative of the card can be met; `ADDRESS_REFUSED` when credentials may
 *   not go to `endpoint`; `INVALID_OPTION` when the chosen alternative needs more than headers
 */
export function authenticationHandler(options: AuthenticationHandlerOptions): AuthenticationHandler {
  checkOptions('authenticationHandler()', options, { ...AUTHENTICATION_OPTIONS, endpoint: true });
  if (!URL.canParse(String(options.endpoint))) {
    throw new ClientError('INVALID_OPTION', 'endpoint must be the URL of a JSON-RPC interface of the card.');
  }
  const endpoint = new URL(options.endpoint);
  const { alternative, policy, authenticator } = prepare(options);
  if (alternative.steps.length > 0 && !isAllowedDestination(policy, endpoint))
    throw refusedDestination(endpoint);
  if (
    alternative.steps.some(
      ({ scheme: { type, ...rest } }) => type === 'mutualTLS' || ('in' in rest && rest.in === 'query'),
    )
  )
    throw needsMore();
  const target = { method: 'POST', url: endpoint.href };
  /** The handler is told of a response what headers its request had, and nothing else. */
  const inFlight = new LRUCache<string, Authentication>({ max: mostInFlight });

  const authenticate = async (scopes?: readonly string[]) => {
    const authentication = await authenticator.authenticate(target, scopes);
    const { headers, query, tls } = authentication.credentials;
    if (query.size > 0 || tls !== undefined) throw needsMore();
    return { authentication, headers };
  };
  let names: readonly string[] = [];
  const keyOf = (value: (name: string) => string | null | undefined) =>
    JSON.stringify(names.map((name) => value(name) ?? ''));

  return {
    async headers() {
      const { authentication, headers } = await authenticate();
      names = [...headers.keys()].sort();
      inFlight.set(
        keyOf((name) => headers.get(name)),
        authentication,
      );
      return Object.fromEntries(headers);
    },

    async shouldRetryWithHeaders(request, response) {
      const { status, headers } = response;
      authenticator.observe({ url: target.url, status, headers });
      const sent = new Headers(request.headers);
      const refused = inFlight.get(keyOf((name) => sent.get(name)));
      if (refused === undefined) return undefined;
      const copy = response.clone();
      const body = typeof request.body === 'string' ? request.body : undefined;
      const { denial, response: rest } = await findDenial(copy, { ...target, body }, undefined);
      if (rest.body !== null && !rest.body.locked) void rest.body.cancel().catch(() => undefined);
      if (denial === undefined) return undefined;
      const scopes = await authenticator.improve(refused, denial);
      if (scopes === undefined) return undefined;
      const improved = await authenticate(scopes);
      return Object.fromEntries(improved.headers);
    },
  };
}

function needsMore(): ClientError {
  return new ClientError(
    'INVALID_OPTION',
    "The chosen alternative needs more than headers: a query parameter or a client certificate. The SDK's handler cannot add " +
      'those; use authenticatingFetch.',
  );
}

import { authenticatedCall, type Examined } from './authenticated-call.js';
import { createAuthenticator, type Authentication, type Authenticator } from './authenticator.js';
import { readCard } from './card/read-card.js';
import type { AuthRequiredTask } from './denial.js';
import { ClientError } from './errors.js';
import { findDenial } from './find-denial.js';
import { guardedFetch, type Send } from './guarded-fetch.js';
import { lenient } from './listener.js';
import { checkOptions } from './options.js';
import {
  choose,
  planFor,
  reasonsOf,
  type AuthenticationPlan,
  type Credentials,
  type PlannedAlternative,
} from './plan.js';
import { checkPolicy, isAllowedDestination, type ClientPolicy, type Policy } from './policy.js';
import { isSecure } from './secure-url.js';

export interface AuthenticationOptions {
  /** Where the agent is, as you know it: the card's own address, or any other of the same origin. */
  readonly url: string | URL;
  /** JSON that was parsed, or the SDK's `AgentCard`. Give this with `credentials`, or else a `plan`. */
  readonly card?: unknown;
  readonly credentials?: Credentials | undefined;
  /** What `planAuthentication` returned. */
  readonly plan?: AuthenticationPlan | undefined;
  /** Default: credentials go to the origin of `url` alone, and for the scopes of the card. */
  readonly policy?: ClientPolicy | undefined;
  /** The agent's resource identifier (RFC 8707), for which tokens are asked. Default: none is named. */
  readonly resource?: string | undefined;
}

/** The names of what all ways to authenticate take. */
export const AUTHENTICATION_OPTIONS = {
  url: true,
  card: true,
  credentials: true,
  plan: true,
  policy: true,
  resource: true,
} as const satisfies Record<keyof AuthenticationOptions, true>;

export interface AuthenticatingFetchOptions extends AuthenticationOptions {
  /**
   * Called with each task that waits for a credential in its midst, as messages and streams tell of it. Not waited for.
   */
  readonly onAuthRequired?: ((task: AuthRequiredTask) => void) | undefined;
  /**
   * The fetch underneath. Default: one that connects to no private address but those of `url` and `policy.origins`, and
   * can present client certificates; yours has to see to the first, and cannot do the second.
   */
  readonly fetch?: typeof fetch | undefined;
}

/**
 * A `fetch` for the SDK's JSON-RPC and HTTP+JSON transports that meets all schemes of the chosen alternative. After a
 * denial (HTTP 401, a task in auth-required as the answer to a message or as the first event of its stream) it lets
 * the sources renew what was refused, and sends the same request once more. A second denial is returned as it came.
 *
 * It throws a `ClientError`, before anything is sent, `ADDRESS_REFUSED` for an address that credentials may not go to,
 * and after a redirect, which is never followed; and whatever the sources throw.
 *
 * @throws {ClientError} `NO_ALTERNATIVE` when no alternative of the card can be met, `INVALID_OPTION`
 */
export function authenticatingFetch(options: AuthenticatingFetchOptions): typeof fetch {
  checkOptions('authenticatingFetch()', options, {
    ...AUTHENTICATION_OPTIONS,
    onAuthRequired: true,
    fetch: true,
  });
  const { fetch: given } = options;
  const onAuthRequired = lenient('onAuthRequired', options.onAuthRequired);
  const { alternative, policy, authenticator } = prepare(options);
  if (given !== undefined && alternative.steps.some(({ scheme }) => scheme.type === 'mutualTLS')) {
    throw new ClientError(
      'INVALID_OPTION',
      'A fetch of your own cannot present a client certificate. Leave out the option fetch.',
    );
  }
  const send: Send = given === undefined ? guardedFetch(policy.own) : (url, init) => given(url.href, init);
  const secret = alternative.steps.length > 0;

  return async (input, init) => {
    const request = await readRequest(input, init);
    if (secret && !isAllowedDestination(policy, request.url)) throw refusedDestination(request.url);
    const target = { method: request.method, url: request.url.href, signal: request.signal ?? undefined };

    const once = async (authentication: Authentication): Promise<Examined<Response>> => {
      const response = await transmit(send, request, authentication);
      authenticator.observe({ url: target.url, status: response.status, headers: response.headers });
      const { body } = request.init;
      const examined = await findDenial(
        response,
        { ...target, body: typeof body === 'string' ? body : undefined },
        onAuthRequired,
      );
      return request.replayable ? examined : { ...examined, denial: undefined };
    };
    return authenticatedCall(authenticator, target, { once, discard });
  };
}

/**
 * What all ways to authenticate calls start with.
 *
 * @param obstacle why an alternative cannot be met over this transport; another one is chosen then
 * @throws {ClientError} `NO_ALTERNATIVE`, `INVALID_OPTION`; the obstacle, when there is no other alternative
 */
export function prepare(
  { url, card, credentials, plan, policy: allowed, resource }: AuthenticationOptions,
  obstacle: (alternative: PlannedAlternative) => ClientError | undefined = () => undefined,
): {
  readonly alternative: PlannedAlternative;
  readonly policy: Policy;
  readonly authenticator: Authenticator;
} {
  const policy = checkPolicy(url, allowed);
  if (resource === '') {
    throw new ClientError(
      'INVALID_OPTION',
      'resource must not be empty. Is an environment variable missing?',
    );
  }
  if ((plan === undefined) === (credentials === undefined && card === undefined)) {
    throw new ClientError('INVALID_OPTION', 'Give either a plan, or a card and credentials.');
  }
  const made = plan ?? planFor(readCard(card), credentials ?? {}, policy);
  const { chosen } = made;
  if (chosen === undefined) throw noAlternative(made);
  const refused = obstacle(chosen);
  const alternative =
    refused === undefined
      ? chosen
      : choose(made.alternatives.filter((other) => obstacle(other) === undefined));
  if (alternative === undefined) throw refused ?? noAlternative(made);
  return { alternative, policy, authenticator: createAuthenticator(alternative.steps, policy, resource) };
}

function noAlternative({ alternatives }: AuthenticationPlan): ClientError {
  return new ClientError(
    'NO_ALTERNATIVE',
    `No alternative of the agent card can be met with these credentials. ${reasonsOf(alternatives)}`,
  );
}

interface ReadRequest {
  readonly url: URL;
  readonly method: string;
  readonly init: RequestInit;
  readonly signal: AbortSignal | null | undefined;
  /** Whether the body can be sent twice. */
  readonly replayable: boolean;
}

async function readRequest(input: Parameters<typeof fetch>[0], init: RequestInit = {}): Promise<ReadRequest> {
  const isRequest = typeof input === 'object' && 'method' in input;
  const url = new URL(isRequest ? input.url : input);
  url.hash = '';
  const base: RequestInit = isRequest
    ? {
        method: input.method,
        headers: input.headers,
        signal: input.signal,
        ...(input.body === null ? {} : { body: await input.arrayBuffer() }),
      }
    : {};
  const merged = { ...base, ...init };
  const { body } = merged;
  return {
    url,
    method: (merged.method ?? 'GET').toUpperCase(),
    init: merged,
    signal: merged.signal,
    replayable:
      body === undefined ||
      body === null ||
      typeof body === 'string' ||
      body instanceof URLSearchParams ||
      body instanceof ArrayBuffer ||
      ArrayBuffer.isView(body),
  };
}

async function transmit(
  send: Send,
  { url, init }: ReadRequest,
  { credentials }: Authentication,
): Promise<Response> {
  const headers = new Headers(init.headers);
  for (const [name, value] of credentials.headers) {
    const own = name === 'cookie' ? headers.get(name) : null;
    headers.set(name, own === null ? value : `${own}; ${value}`);
  }
  const address = credentials.query.size === 0 ? url : new URL(url);
  for (const [name, value] of credentials.query) address.searchParams.set(name, value);
  const response = await send(
    address,
    { ...init, headers: Object.fromEntries(headers), redirect: 'manual' },
    credentials.tls,
  );
  const { status } = response;
  if (
    response.type === 'opaqueredirect' ||
    response.redirected ||
    (status >= 300 && status < 400 && status !== 304)
  ) {
    await discard(response);
    throw new ClientError(
      'ADDRESS_REFUSED',
      `${url.origin} answers with a redirect (HTTP ${status}). Credentials are sent over no redirect: ask for the agent's ` +
        'final address.',
    );
  }
  return credentials.query.size > 0 ? withUrl(response, url.href) : response;
}

/** A key in the query is to be seen in nobody's log of responses. */
function withUrl(response: Response, url: string): Response {
  const clone = response.clone.bind(response);
  return Object.defineProperties(response, {
    url: { configurable: true, value: url },
    clone: { configurable: true, value: () => withUrl(clone(), url) },
  });
}

async function discard({ body }: Response): Promise<void> {
  if (body !== null && !body.locked) await body.cancel().catch(() => undefined);
}

export function refusedDestination(url: URL): ClientError {
  return new ClientError(
    'ADDRESS_REFUSED',
    url.protocol === 'http:' && !isSecure(url)
      ? `Credentials are not sent to ${url.origin}: over plain http, everybody on the way could read them.`
      : `Credentials are not sent to ${url.origin}: it is not the origin of the agent's url. If it is the agent's, name it ` +
          'in policy.origins.',
  );
}

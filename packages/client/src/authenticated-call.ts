import { sameCredentials } from './apply-credentials.js';
import type { Authentication, Authenticator, HttpTarget } from './authenticator.js';
import type { Denial } from './denial.js';

/** What came of one try. */
export interface Examined<R> {
  readonly denial: Denial | undefined;
  /** To be read from its beginning. */
  readonly response: R;
}

/** How a call is made over some transport. */
export interface Exchange<R> {
  readonly once: (authentication: Authentication) => Promise<Examined<R>>;
  /** Ends a response that nobody will read. */
  readonly discard: (response: R) => Promise<void>;
}

/**
 * Makes a call, and after a denial the same call once more, when the sources have other credentials by then. A second
 * denial is returned as it came.
 */
export async function authenticatedCall<R>(
  authenticator: Authenticator,
  target: HttpTarget,
  { once, discard }: Exchange<R>,
): Promise<R> {
  const { signal } = target;
  signal?.throwIfAborted();
  const authentication = await unlessAborted(authenticator.authenticate(target), signal);
  const first = await once(authentication);
  if (first.denial === undefined) return first.response;
  try {
    const scopes = await unlessAborted(authenticator.improve(authentication, first.denial), signal);
    if (scopes === undefined) return first.response;
    const improved = await unlessAborted(authenticator.authenticate(target, scopes), signal);
    if (sameCredentials(improved.credentials, authentication.credentials)) return first.response;
    await discard(first.response);
    const second = await once(improved);
    if (second.denial === undefined) authenticator.keepScopes(scopes);
    return second.response;
  } catch (error) {
    await discard(first.response);
    throw error;
  }
}

/** A source may not heed the signal. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

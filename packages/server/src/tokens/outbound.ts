import { WWWAuthenticateChallengeError } from 'openid-client';

import { configurationError } from '../errors.js';
import { isSecure } from '../secure-url.js';
import { MAX_TIMEOUT } from '../timeout.js';

/** How this library calls providers. */
export interface OutboundOptions {
  /** Milliseconds that one call may take, its body included. Default 5 000. */
  readonly timeout?: number;
  /** Default: the global fetch. For proxies, private certificate authorities, or client certificates. */
  readonly fetch?: typeof fetch;
}

/** Larger than any real metadata, key set or introspection response. */
const MAX_RESPONSE_BYTES = 512 * 1024;

/** A provider's answer that cannot be used, or none at all. */
export class OutboundError extends Error {
  override readonly name = 'OutboundError';
  readonly code = 'OUTBOUND_FAILED';
}

/**
 * A fetch that cannot hang, be flooded, or be sent elsewhere: it has a timeout, reads no more than 512 KiB, follows no
 * redirect, and speaks plain http to the loopback alone.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when the timeout is out of range
 */
export function boundedFetch({ timeout = 5_000, fetch: fetchImpl = fetch }: OutboundOptions): typeof fetch {
  if (!(timeout > 0 && timeout <= MAX_TIMEOUT)) {
    throw configurationError('INVALID_OPTION', 'timeout must be a positive number of milliseconds.');
  }
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    assertSecure(url);
    const signal = AbortSignal.any([AbortSignal.timeout(timeout), ...(init?.signal ? [init.signal] : [])]);
    const exchange = async () => {
      const response = await fetchImpl(input, { ...init, redirect: 'manual', signal });
      if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
        void response.body?.cancel().catch(() => undefined);
        throw new OutboundError(`${url.origin} answered with a redirect, which is not followed.`);
      }
      const { status, statusText, headers } = response;
      return new Response(await readBounded(response, url), { status, statusText, headers });
    };
    try {
      // A fetch that was given may not heed the signal.
      return await Promise.race([exchange(), rejectionBy(signal)]);
    } catch (error) {
      if (error instanceof OutboundError) throw error;
      throw new OutboundError(`${url.origin} did not answer: ${reasonOf(error)}`, { cause: error });
    }
  };
}

/** What the innermost cause says: of its own, fetch says no more than that it failed. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const challenged = challengeError(error);
  if (challenged !== undefined) return challenged;
  // openid-client keeps an unexpected response, or the OAuth error in it, beside a message that says neither.
  if (error.cause instanceof Response) return `HTTP ${String(error.cause.status)}, ${error.message}`;
  const { status, error: oauthError } = error as { status?: unknown; error?: unknown };
  if (typeof status === 'number') {
    return `HTTP ${String(status)}, ${typeof oauthError === 'string' ? oauthError : error.message}`;
  }
  if (error instanceof OutboundError || error.cause === undefined) {
    return error.message || ((error as NodeJS.ErrnoException).code ?? error.name);
  }
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}

/** The OAuth error of a WWW-Authenticate header (RFC 6750 §3), with which RFC 6749 §5.2 has a client's secret refused. */
function challengeError(error: Error): string | undefined {
  if (!(error instanceof WWWAuthenticateChallengeError)) return undefined;
  const named = error.cause.map(({ parameters }) => parameters.error).find((name) => name !== undefined);
  return `HTTP ${String(error.status)}, ${named ?? error.message}`;
}

/**
 * @throws {OutboundError} unless the URL is https, or http to the loopback
 */
export function assertSecure(url: URL): void {
  if (isSecure(url)) return;
  throw new OutboundError(
    `${url.origin === 'null' ? url.href : url.origin} is not https, which is needed for all but loopback addresses.`,
  );
}

function rejectionBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

async function readBounded(response: Response, url: URL): Promise<Uint8Array<ArrayBuffer> | null> {
  if (response.body === null) return null;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_RESPONSE_BYTES) {
      throw new OutboundError(`${url.origin} sent more than ${String(MAX_RESPONSE_BYTES)} bytes.`);
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

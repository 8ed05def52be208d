import { isIPv4 } from 'node:net';

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
 */
export function boundedFetch({ timeout = 5_000, fetch: fetchImpl = fetch }: OutboundOptions): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    assertSecure(url);
    const signals = [AbortSignal.timeout(timeout), ...(init?.signal ? [init.signal] : [])];
    try {
      const response = await fetchImpl(input, {
        ...init,
        redirect: 'manual',
        signal: AbortSignal.any(signals),
      });
      if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
        throw new OutboundError(`${url.origin} answered with a redirect, which is not followed.`);
      }
      const { status, statusText, headers } = response;
      return new Response(await readBounded(response, url), { status, statusText, headers });
    } catch (error) {
      if (error instanceof OutboundError) throw error;
      throw new OutboundError(
        `${url.origin} did not answer: ${error instanceof Error ? error.message : String(error)}`,
        {
          cause: error,
        },
      );
    }
  };
}

/**
 * @throws {OutboundError} unless the URL is https, or http to the loopback
 */
export function assertSecure(url: URL): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return;
  throw new OutboundError(`${url.origin} is not https, which is needed for all but loopback addresses.`);
}

/** Whether plain http to this host never leaves the machine. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
  );
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

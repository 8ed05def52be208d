import { ClientError } from '../errors.js';
import { isSecure } from '../secure-url.js';

/** How authorization servers are called. */
export interface OutboundOptions {
  /** Milliseconds that one call may take, its body included. Default 5 000. */
  readonly timeout?: number;
  /** Default: the global fetch. For proxies and private certificate authorities. */
  readonly fetch?: typeof fetch;
}

/** Larger than any real metadata or token response. */
const MAX_RESPONSE_BYTES = 512 * 1024;

/** Node's timers hold no more, and would fire at once. */
export const MAX_TIMEOUT = 2 ** 31 - 1;

/**
 * A fetch that cannot hang, be flooded, or be sent elsewhere: it has a timeout, reads no more than 512 KiB, follows no
 * redirect, and speaks plain http to the loopback alone. What a server echoes of the secrets it was sent is taken out of
 * its answer, so that no error can show them.
 *
 * @throws {ClientError} `INVALID_OPTION` when the timeout is out of range
 */
export function boundedFetch({ timeout = 5_000, fetch: fetchImpl = fetch }: OutboundOptions): typeof fetch {
  if (!(timeout > 0 && timeout <= MAX_TIMEOUT)) {
    throw new ClientError('INVALID_OPTION', 'timeout must be a positive number of milliseconds.');
  }
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (!isSecure(url)) {
      throw new ClientError(
        'ADDRESS_REFUSED',
        `${url.origin} is not https, which is needed for all but loopback addresses.`,
      );
    }
    const signal = AbortSignal.any([AbortSignal.timeout(timeout), ...(init?.signal ? [init.signal] : [])]);
    const exchange = async () => {
      const response = await fetchImpl(input, { ...init, redirect: 'manual', signal });
      if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
        void response.body?.cancel().catch(() => undefined);
        throw unavailable(`${url.origin} answered with a redirect, which is not followed.`);
      }
      const { status, statusText, headers } = response;
      const body = await readBounded(response, url);
      return new Response(status < 400 || body === null ? body : withoutSecrets(body, init), {
        status,
        statusText,
        headers,
      });
    };
    try {
      // A fetch that was given may not heed the signal.
      return await Promise.race([exchange(), rejectionBy(signal)]);
    } catch (error) {
      if (error instanceof ClientError) throw error;
      if (init?.signal?.aborted === true) throw init.signal.reason;
      throw unavailable(`${url.origin} did not answer: ${reasonOf(error)}`);
    }
  };
}

/** Whether this is the URL of something that may be called. */
export function isSecureUrl(url: unknown): url is string {
  return typeof url === 'string' && URL.canParse(url) && isSecure(new URL(url));
}

function unavailable(message: string): ClientError {
  return new ClientError('PROVIDER_UNAVAILABLE', message);
}

/** What the innermost cause says: of its own, fetch says no more than that it failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the call failed.';
  if (error.cause instanceof Error) return reasonOf(error.cause);
  return error.message || ((error as NodeJS.ErrnoException).code ?? error.name);
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
      throw unavailable(`${url.origin} sent more than ${String(MAX_RESPONSE_BYTES)} bytes.`);
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

const SECRET_PARAMETERS = [
  'actor_token',
  'assertion',
  'client_assertion',
  'client_secret',
  'code',
  'code_verifier',
  'device_code',
  'refresh_token',
  'subject_token',
];

/**
 * What the protocol goes by (RFC 6749 §5.2, RFC 8628 §3.5, RFC 8707 §2, RFC 9449 §5 and §8): no secret, even if one is spelt
 * like a part of it.
 */
const ERROR_CODES = [
  'access_denied',
  'authorization_pending',
  'expired_token',
  'invalid_client',
  'invalid_dpop_proof',
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'slow_down',
  'unauthorized_client',
  'unsupported_grant_type',
  'use_dpop_nonce',
];

/** What is not JSON is of no use to anybody, and could not be searched. */
function withoutSecrets(body: Uint8Array<ArrayBuffer>, init: RequestInit | undefined): string {
  const secrets = secretsOf(init);
  const redact = (name: string, value: unknown) =>
    typeof value === 'string' && !(name === 'error' && ERROR_CODES.includes(value))
      ? secrets.reduce((text, secret) => text.replaceAll(secret, '[redacted]'), value)
      : value;
  try {
    return JSON.stringify(JSON.parse(Buffer.from(body).toString(), redact));
  } catch {
    return '';
  }
}

/** The secrets of a token request (RFC 6749 §2.3.1), as they were meant and as they were written. */
function secretsOf(init: RequestInit | undefined): string[] {
  const sent = init?.body instanceof URLSearchParams ? init.body : new URLSearchParams();
  const basic = /^Basic (.+)$/i.exec(new Headers(init?.headers).get('authorization') ?? '')?.[1];
  const password =
    basic === undefined ? undefined : Buffer.from(basic, 'base64').toString().split(/:(.*)/s)[1];
  const written = [...SECRET_PARAMETERS.map((name) => sent.get(name)), basic, password];
  return written.flatMap((secret) =>
    secret === null || secret === undefined || secret === '' ? [] : [secret, ...formDecoded(secret)],
  );
}

function formDecoded(text: string): string[] {
  const [decoded] = new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).values();
  return decoded === undefined || decoded === '' || decoded === text ? [] : [decoded];
}

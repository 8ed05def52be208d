import { ClientError, type ClientErrorCode } from './errors.js';
import type { Send } from './guarded-fetch.js';

const mostBytes = 1024 * 1024;
const mostDepth = 64;
const timeout = 10_000;

export interface FetchJsonOptions {
  /** What is fetched, for errors. */
  readonly what: string;
  readonly codes: { readonly unavailable: ClientErrorCode; readonly invalid: ClientErrorCode };
  readonly headers?: Readonly<Record<string, string>>;
  /** Asked for once more, with other headers, after HTTP 400 or 406. */
  readonly otherHeaders?: Readonly<Record<string, string>>;
  /** A sentence for whoever gets something else from the URL. */
  readonly mend?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fetches JSON: at most 1 MiB and 64 levels deep, within 10 seconds, over no redirect.
 *
 * @throws {ClientError} with one of the codes, or `ADDRESS_REFUSED`; or the reason of `signal`
 */
export async function fetchJson(url: URL, send: Send, options: FetchJsonOptions): Promise<unknown> {
  const { what, codes, headers = {}, otherHeaders, mend, signal } = options;
  const orElse = mend === undefined ? '' : ` ${mend}`;
  const timer = AbortSignal.timeout(timeout);
  const either = signal === undefined ? timer : AbortSignal.any([signal, timer]);
  const ask = (fields: Readonly<Record<string, string>>) =>
    send(url, {
      headers: { accept: 'application/json', ...fields },
      redirect: 'manual',
      signal: either,
    });
  const unavailable = (how: string, cause?: unknown) =>
    new ClientError(codes.unavailable, `${what} cannot be fetched: ${url.origin}${url.pathname} ${how}`, {
      cause,
    });
  try {
    let response = await ask(headers);
    if (otherHeaders !== undefined && (response.status === 400 || response.status === 406)) {
      await response.body?.cancel();
      response = await ask(otherHeaders);
    }
    const { status } = response;
    if (status === 200) return parse(await readBounded(response));
    await response.body?.cancel();
    throw unavailable(
      status >= 300 && status < 400
        ? `answers with a redirect (HTTP ${status}), which is not followed. Give the final address.`
        : `answers HTTP ${status}.${orElse}`,
    );
  } catch (error) {
    if (error instanceof ClientError || signal?.aborted === true) throw error;
    if (error instanceof Unfit) throw new ClientError(codes.invalid, `${what} ${error.message}.${orElse}`);
    throw unavailable(
      timer.aborted
        ? `did not answer within ${timeout / 1000} seconds.`
        : `cannot be reached${codeOf(error)}.`,
      error,
    );
  }
}

class Unfit extends Error {}

/** Such as ECONNREFUSED, or what is wrong with a certificate: fetch itself says no more than that it failed. */
function codeOf(error: unknown): string {
  for (let current = error; current instanceof Error; current = current.cause) {
    const { code } = current as NodeJS.ErrnoException;
    if (typeof code === 'string') return ` (${code})`;
  }
  return '';
}

async function readBounded({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > mostBytes) throw new Unfit(`is larger than ${mostBytes} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parse(text: string): unknown {
  // Whoever walks over it may do so by recursion.
  if (depthOf(text) > mostDepth) throw new Unfit(`is nested more than ${mostDepth} levels deep`);
  try {
    return JSON.parse(text);
  } catch {
    throw new Unfit('is no JSON');
  }
}

function depthOf(json: string): number {
  let deepest = 0;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && (character === '{' || character === '[')) deepest = Math.max(deepest, ++depth);
    else if (!quoted && (character === '}' || character === ']')) depth--;
  }
  return deepest;
}

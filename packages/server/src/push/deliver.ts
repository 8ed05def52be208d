import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest, type AgentOptions } from 'node:https';

import { lookupBy, WebhookRefused, type HostResolver } from './webhook-address.js';

/** What became of one attempt. */
export type Outcome =
  | { readonly delivered: true }
  | {
      readonly delivered: false;
      /** Whether the webhook must not be called. */
      readonly refused?: boolean;
      /** Whether another attempt may help. */
      readonly retry: boolean;
      /** Milliseconds that the webhook asks to be left alone. */
      readonly retryAfter?: number | undefined;
      readonly detail: string;
    };

export interface Delivery {
  readonly url: URL;
  /** Undefined: as the operating system does it. */
  readonly resolve: HostResolver | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

/** An answer says what it has to say in its status. More of its body is not waited for. */
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Makes something that sends a notification once. Each has a connection of its own: one that is used again would keep
 * webhooks in touch with addresses that were checked long ago.
 */
export function deliverer({ timeout, ca }: { timeout: number; ca: AgentOptions['ca'] }) {
  const agent = new Agent({ keepAlive: false, ...(ca === undefined ? {} : { ca }) });
  return ({ url, resolve, headers, body, signal }: Delivery): Promise<Outcome> =>
    new Promise((settle) => {
      let outcome: Outcome | undefined;
      const isHttps = url.protocol === 'https:';
      const request = (isHttps ? httpsRequest : httpRequest)(url, {
        method: 'POST',
        headers: { ...headers, 'content-length': body.byteLength },
        agent: isHttps ? agent : false,
        signal,
        ...(resolve === undefined ? {} : { lookup: lookupBy(resolve) }),
      });
      // The whole exchange: a host that is never found, and an answer that never ends.
      const timer = setTimeout(() => {
        request.destroy(new TimeoutError());
      }, timeout);
      const end = (result: Outcome) => {
        clearTimeout(timer);
        settle(outcome ?? result);
        request.destroy();
      };
      request.on('response', (response) => {
        outcome = outcomeOf(response.statusCode ?? 0, response.headers['retry-after']);
        const known = outcome;
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.byteLength;
          if (size > MAX_ANSWER_BYTES) end(known);
        });
        response.on('close', () => {
          end(known);
        });
        response.on('error', () => undefined);
      });
      // A listener that outlives the promise: a connection may fail once more while it is torn down.
      request.on('error', (error) => {
        const refused = error instanceof WebhookRefused;
        end({ delivered: false, refused, retry: !refused, detail: detailOf(error) });
      });
      request.on('close', () => {
        end({ delivered: false, retry: true, detail: 'the connection was closed' });
      });
      request.end(body);
    });
}

class TimeoutError extends Error {
  readonly code = 'TIMEOUT';
}

function outcomeOf(status: number, retryAfter: string | undefined): Outcome {
  if (status >= 200 && status < 300) return { delivered: true };
  const detail = `it answered HTTP ${status}`;
  if (status >= 300 && status < 400) {
    return { delivered: false, retry: false, detail: `${detail}, a redirect, which is not followed` };
  }
  const retry = status === 429 || (status >= 500 && status < 600);
  return { delivered: false, retry, detail, retryAfter: retry ? millisecondsOf(retryAfter) : undefined };
}

/** RFC 9110 §10.2.3: seconds or a date. */
function millisecondsOf(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined) return undefined;
  const time = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now();
  return Number.isFinite(time) ? Math.max(0, time) : undefined;
}

/** Messages of the TLS layer quote the certificate, in which anybody may write anything. */
function detailOf(error: Error): string {
  if (error instanceof WebhookRefused) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'TIMEOUT' ? 'it did not answer in time' : `it cannot be reached (${code ?? error.name})`;
}

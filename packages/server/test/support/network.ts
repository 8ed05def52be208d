/** One call as it reached the network. */
export interface Call {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
  /** Aborted when the caller gives up. */
  readonly signal: AbortSignal;
}

/** What an address answers with: an object is sent as JSON, a function is asked with every call. */
export type Answer = object | ((call: Call) => Response | Promise<Response>);

/**
 * A network in which only the given addresses exist. It counts, and answers can be changed at any time. Redirects are followed
 * for whoever does not say otherwise, as by the real one.
 */
export interface Network {
  readonly calls: readonly Call[];
  readonly fetch: typeof fetch;
  /** How often an address was called; left out: how often any was. */
  count(url?: string): number;
  answer(url: string, answer: Answer): void;
}

export function network(answers: Readonly<Record<string, Answer>> = {}): Network {
  const byUrl = new Map(Object.entries(answers));
  const calls: Call[] = [];
  const self: Network = {
    calls,
    async fetch(input, init) {
      const request = new Request(input, init);
      const { url, method, headers, signal } = request;
      const call: Call = { url, method, headers, body: await request.text(), signal };
      calls.push(call);
      const answer = byUrl.get(url);
      if (answer === undefined) return new Response('No such page.', { status: 404 });
      if (typeof answer !== 'function') return Response.json(answer);
      const response = await (answer as (call: Call) => Response | Promise<Response>)(call);
      const location = response.status >= 300 && response.status < 400 && response.headers.get('location');
      return location && request.redirect === 'follow' ? self.fetch(location) : response;
    },
    count: (url) => calls.filter((call) => url === undefined || call.url === url).length,
    answer(url, answer) {
      byUrl.set(url, answer);
    },
  };
  return self;
}

/** Never answers, but heeds that the caller gives up. */
export const hang = ({ signal }: Call): Promise<Response> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });

/** The connection is refused. */
export const down = (): Promise<Response> => Promise.reject(new TypeError('fetch failed'));

/** An answer that comes when it is let go. */
export function held(answer: () => Response): { answer: () => Promise<Response>; release: () => void } {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { answer: () => gate.then(answer), release };
}

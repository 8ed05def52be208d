/** What a scripted agent was sent. */
interface SeenRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: unknown;
  readonly redirect: string | undefined;
}

/** What a scripted agent answers; made anew for each call. */
export type Answer = () => Response;

/** A fetch that gives these answers one after the other, the last one forever, and remembers what it was asked. */
export function scriptedFetch(...answers: readonly Answer[]) {
  const seen: SeenRequest[] = [];
  const fetch = (async (input, init) => {
    seen.push({
      url: input instanceof Request ? input.url : String(input),
      method: init?.method ?? 'GET',
      headers: new Headers(init?.headers),
      body: init?.body,
      redirect: init?.redirect,
    });
    const answer = answers[Math.min(seen.length, answers.length) - 1];
    if (answer === undefined) throw new Error('There is no answer.');
    return answer();
  }) satisfies typeof globalThis.fetch;
  return { fetch, seen };
}

export const json =
  (body: unknown, headers: Readonly<Record<string, string>> = {}, status = 200) =>
  () =>
    new Response(JSON.stringify(body), {
      status,
      headers: { 'content-type': 'application/json', ...headers },
    });

/** An event stream, in these pieces. */
export const stream =
  (pieces: readonly string[], headers: Readonly<Record<string, string>> = {}) =>
  () =>
    new Response(
      new ReadableStream({
        start(controller) {
          for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
          controller.close();
        },
      }),
      { headers: { 'content-type': 'text/event-stream; charset=utf-8', ...headers } },
    );

export const event = (payload: unknown) => `data: ${JSON.stringify(payload)}\n\n`;

export const unauthorized = (challenge = 'Bearer realm="a2a", error="invalid_token"') =>
  json({ error: 'no' }, { 'www-authenticate': challenge }, 401);

export const rpc = (result: unknown) => ({ jsonrpc: '2.0', id: 1, result });

/** A SendMessage request of JSON-RPC 1.0. */
export function sendMessage(
  message: Readonly<Record<string, unknown>> = {},
  configuration?: Readonly<Record<string, unknown>>,
  method = 'SendMessage',
): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        message: { messageId: 'm-1', role: 'ROLE_USER', parts: [{ text: 'hi' }], ...message },
        configuration,
      },
    }),
  };
}

/** A task that waits in auth-required, as JSON of A2A 1.0. */
export function waitingTask(fields: Readonly<Record<string, unknown>> = {}, data?: unknown) {
  const parts = [{ text: 'Log in.' }, ...(data === undefined ? [] : [{ data }])];
  return {
    id: 't-1',
    contextId: 'c-1',
    status: { state: 'TASK_STATE_AUTH_REQUIRED', message: { messageId: 'a-1', role: 'ROLE_AGENT', parts } },
    ...fields,
  };
}

/** The beginning of a response's body, and the response as it was, to be read from the beginning. */
export interface Peeked {
  readonly response: Response;
  readonly seen: 'all' | 'enough' | 'too much';
}

/**
 * Reads the body until `enough` says so, or `most` bytes were read. Each piece of text goes to `enough`, also those that
 * are read later by whoever reads the response: that is how events of a stream are watched.
 */
export async function peek(
  response: Response,
  most: number,
  enough: (piece: string) => boolean,
): Promise<Peeked> {
  const { body } = response;
  if (body === null) return { response, seen: 'all' };
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      enough(decoder.decode());
      return { response: rebuild(response, joined(chunks, size)), seen: 'all' };
    }
    chunks.push(value);
    size += value.byteLength;
    const stop = enough(decoder.decode(value, { stream: true }));
    if (stop || size > most) {
      return {
        response: rebuild(
          response,
          rest(chunks, reader, (chunk) => enough(decoder.decode(chunk, { stream: true }))),
        ),
        seen: stop ? 'enough' : 'too much',
      };
    }
  }
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}

/** What was read already, then the rest, at the pace of whoever reads. */
function rest(
  chunks: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
  watch: (chunk: Uint8Array) => void,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) {
        controller.close();
        return;
      }
      watch(value);
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

function rebuild(
  { status, statusText, headers, url }: Response,
  body: ConstructorParameters<typeof Response>[0],
): Response {
  const response = new Response(body, { status, statusText, headers: [...headers] });
  Object.defineProperty(response, 'url', { value: url, configurable: true });
  return response;
}

/** Milliseconds in which a body has to be there. */
const TIMEOUT = 10_000;

/** @returns the body, or the HTTP status that says why there is none */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array | 400 | 408 | 413> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) return 413;
  const reader = (request.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return 400;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, TIMEOUT, 'late');
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const result = await Promise.race([reader.read(), late]);
      if (result === 'late') return 408;
      if (result.done) return Buffer.concat(chunks);
      size += result.value.byteLength;
      if (size > maxBytes) return 413;
      chunks.push(result.value);
    }
  } catch {
    return 400;
  } finally {
    clearTimeout(timer);
    // What is left is not wanted. It has no effect once everything was read.
    void reader.cancel().catch(() => undefined);
  }
}

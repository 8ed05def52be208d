import { gzipSync } from 'node:zlib';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { readBody } from '../../src/fetch/body-reader.js';

afterEach(() => {
  vi.useRealTimers();
});

const json = { 'content-type': 'application/json' };

function request(body: RequestInit['body'], init: RequestInit = {}): Request {
  return new Request('https://agent.example/a2a', {
    method: 'POST',
    headers: json,
    ...(body === undefined ? {} : { body, duplex: 'half' }),
    ...init,
  });
}

const read = (of: Request, limit = 100) => readBody(of, 'JSONRPC', limit);
const refused = (status: number) => ({ error: expect.objectContaining({ status }) as Error });

/** A body in pieces, which notes how far it was read and whether it was canceled. */
function pieces(...chunks: unknown[]) {
  const seen = { pulled: 0, canceled: 0 };
  const stream = new ReadableStream(
    {
      pull(controller) {
        const chunk = chunks[seen.pulled++];
        if (chunk instanceof Error) controller.error(chunk);
        else if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
      cancel() {
        seen.canceled++;
      },
    },
    { highWaterMark: 0 },
  );
  return { seen, stream };
}
const never = () => new Promise<void>(() => undefined);
const bytes = (text: string) => new TextEncoder().encode(text);

describe('a body', () => {
  it('is read in one piece and in many, also when a piece ends within a character', async () => {
    expect(await read(request('{"a":"é"}'))).toEqual({ body: { a: 'é' } });
    const [first, ...others] = [...bytes('{"a":"é"}')].map((byte) => new Uint8Array([byte]));
    expect(await read(request(pieces(first, ...others).stream))).toEqual({ body: { a: 'é' } });
  });

  it.each([
    ['a byte that UTF-8 does not have', [0x22, 0xff, 0x22]],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a character that is cut off', [0x22, 0xc3, 0x22]],
    ['a NUL', [0]],
    ['UTF-16', [0x7b, 0, 0x7d, 0]],
  ])('with %s is no JSON', async (_what, sent) => {
    expect(await read(request(new Uint8Array(sent)))).toEqual(refused(400));
  });

  it.each([
    { 'content-type': 'application/json; charset=utf-16' },
    { 'content-type': 'application/json; charset="iso-8859-1"' },
    { 'content-type': 'application/a2a+json' },
    { 'content-type': 'text/json' },
    { ...json, 'content-encoding': 'br' },
    { ...json, 'content-encoding': 'gzip, gzip' },
    {},
  ])('sent with %j is none that is understood', async (headers) => {
    expect(await read(request(new Uint8Array([0x7b, 0x7d]), { headers }))).toEqual(refused(415));
  });

  it.each(['APPLICATION/JSON', 'application/json;charset=UTF-8', 'application/json ; a=b; charset="utf-8"'])(
    'sent as %s is JSON',
    async (type) => {
      expect(await read(request('{}', { headers: { 'content-type': type } }))).toEqual({ body: {} });
    },
  );

  it('of exactly the limit is read, and of one byte more is not', async () => {
    const exact = JSON.stringify('x'.repeat(98));
    expect(await read(request(exact))).toEqual({ body: 'x'.repeat(98) });
    expect(await read(request(`${exact} `))).toEqual(refused(413));
  });

  it('is not there when the request has none, or an empty one, whatever its type', async () => {
    for (const headers of [
      json,
      { 'content-type': 'text/plain' },
      { 'content-encoding': 'gzip', ...json },
      {},
    ]) {
      for (const body of [undefined, '', new Uint8Array(0), pieces().stream]) {
        expect(await read(request(body, { headers }))).toEqual({ body: undefined });
      }
    }
  });

  it('over the limit is read no further, and its source is told', async () => {
    const { seen, stream } = pieces(...Array.from({ length: 10 }, () => new Uint8Array(60)));
    expect(await read(request(stream))).toEqual(refused(413));
    expect(seen).toEqual({ pulled: 2, canceled: 1 });
  });

  it('that is no JSON by its headers is read no further than to see that it is there', async () => {
    const { seen, stream } = pieces(new Uint8Array(0), bytes('{}'), bytes('{}'));
    expect(await read(request(stream, { headers: { 'content-type': 'text/plain' } }))).toEqual(refused(415));
    expect(seen).toEqual({ pulled: 2, canceled: 1 });
  });

  it('that fails is refused', async () => {
    const { stream } = pieces(bytes('{'), new Error('The connection is gone.'));
    expect(await read(request(stream))).toMatchObject({ error: { message: 'The body cannot be read.' } });
  });

  it.each([['a text'], [5], [{ byteLength: 0 }], [{ byteLength: -1e9, length: 1e9 }]])(
    'that is not made of bytes but of %j is refused',
    async (chunk) => {
      // A body of this kind is made of bytes by `Request` itself, unless somebody puts another one in its place.
      const of = request('{}');
      Object.defineProperty(of, 'body', { value: pieces(chunk, chunk).stream });
      expect(await read(of)).toHaveProperty('error');
    },
  );

  it('that does not end is waited for no longer than five minutes', async () => {
    vi.useFakeTimers();
    let canceled = false;
    const stream = new ReadableStream({
      pull: never,
      cancel() {
        canceled = true;
      },
    });
    const reading = read(request(stream));
    await vi.advanceTimersByTimeAsync(300_000);
    expect(await reading).toEqual(refused(408));
    expect(canceled).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not waited for when the caller leaves', async () => {
    const aborter = new AbortController();
    const reading = read(request(new ReadableStream({ pull: never }), { signal: aborter.signal }));
    aborter.abort();
    expect(await reading).toEqual(refused(400));
  });

  it('is not read when the caller has left', async () => {
    const { seen, stream } = pieces(bytes('{}'));
    expect(await read(request(stream, { signal: AbortSignal.abort() }))).toEqual(refused(400));
    expect(seen.pulled).toBe(0);
  });

  it('leaves no timer and no listener behind', async () => {
    vi.useFakeTimers();
    const of = request('{}');
    const remove = vi.spyOn(of.signal, 'removeEventListener');
    await read(of);
    expect(vi.getTimerCount()).toBe(0);
    expect(remove).toHaveBeenCalledOnce();
  });

  it('that somebody has read, or is reading, is a mistake of the program', async () => {
    const used = request('{}');
    await used.text();
    await expect(read(used)).rejects.toThrow(TypeError);
    const locked = request('{}');
    locked.body?.getReader();
    await expect(read(locked)).rejects.toThrow(TypeError);
  });
});

describe('a packed body', () => {
  const packed = (text: string) =>
    request(gzipSync(text), { headers: { ...json, 'content-encoding': 'GZIP' } });

  it('is unpacked', async () => {
    expect(await read(packed('{"a":1}'))).toEqual({ body: { a: 1 } });
  });

  it('is measured packed and unpacked', async () => {
    const large = JSON.stringify('x'.repeat(10_000_000));
    expect(gzipSync(large).length).toBeLessThan(20_000);
    expect(await read(packed(large), 20_000)).toEqual(refused(413));
    // The name of the file in its head is a part of a packed body, and of no unpacked one.
    const [head, rest] = [gzipSync('{}').subarray(0, 10), gzipSync('{}').subarray(10)];
    const named = Buffer.concat([head.fill(8, 3, 4), Buffer.alloc(200, 'n'), Buffer.from([0]), rest]);
    const of = request(named, { headers: { ...json, 'content-encoding': 'gzip' } });
    expect(await read(of)).toEqual(refused(413));
    const again = request(named, { headers: { ...json, 'content-encoding': 'gzip' } });
    expect(await read(again, 1000)).toEqual({ body: {} });
  });

  it('that is cut off is refused', async () => {
    const cut = request(gzipSync('{"a":1}').subarray(0, 15), {
      headers: { ...json, 'content-encoding': 'gzip' },
    });
    expect(await read(cut)).toMatchObject({ error: { message: 'The body cannot be read.' } });
  });
});

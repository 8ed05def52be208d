import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { cardCache } from '../../src/delegation/card-cache.js';
import type { Send } from '../../src/guarded-fetch.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});
const passTime = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000);

type Headers_ = Readonly<Record<string, string>>;
const url = new URL('https://agent.example/card.json');

/** A server whose card says how often it was asked for. */
function server(headers: Headers_ | (() => Headers_), respond?: (init: RequestInit) => Response | undefined) {
  const asked: RequestInit[] = [];
  const send: Send = async (_to, init) => {
    asked.push(init);
    const answer = respond?.(init);
    if (answer !== undefined) return answer;
    const fields = typeof headers === 'function' ? headers() : headers;
    return new Response(JSON.stringify({ name: `card ${asked.length}`, skills: [{ id: 'a' }] }), {
      headers: fields,
    });
  };
  return { place: { key: 'agent', url, send }, asked };
}

const etagOf = (init: RequestInit | undefined) => (init?.headers as Headers_ | undefined)?.['if-none-match'];

describe('a card', () => {
  it('is used again as long as it is fresh', async () => {
    const { place, asked } = server({ 'cache-control': 'max-age=60' });
    const cards = cardCache(10);
    const card = await cards(place);
    passTime(59);
    expect(await cards(place)).toBe(card);
    passTime(1);
    expect((await cards(place)).name).toBe('card 2');
    expect(asked).toHaveLength(2);
  });

  it('is not kept against the will of its server', async () => {
    let field = 'max-age=60';
    const { place, asked } = server(() => ({ 'cache-control': field }));
    const cards = cardCache(10);
    await cards(place);
    passTime(60);
    field = 'no-store';
    await cards(place);
    await cards(place);
    expect(asked).toHaveLength(3);
  });

  it('that did not change is not sent again', async () => {
    const { place, asked } = server({ etag: '"v1"', 'cache-control': 'max-age=60' }, (init) =>
      etagOf(init) === '"v1"' ? new Response(null, { status: 304 }) : undefined,
    );
    const cards = cardCache(10);
    const card = await cards(place);
    passTime(60);
    expect(await cards(place)).toBe(card);
    expect(asked.map(etagOf)).toEqual([undefined, '"v1"']);
    // The lifetime from before goes on.
    passTime(59);
    expect(await cards(place)).toBe(card);
    expect(asked).toHaveLength(2);
  });

  it('takes a new ETag and a new lifetime from the answer that it did not change', async () => {
    const { place, asked } = server({ etag: '"v1"', 'cache-control': 'no-cache' }, (init) =>
      etagOf(init) === undefined
        ? undefined
        : new Response(null, { status: 304, headers: { etag: '"v2"', 'cache-control': 'max-age=10' } }),
    );
    const cards = cardCache(10);
    await cards(place);
    await cards(place);
    await cards(place);
    passTime(10);
    await cards(place);
    expect(asked.map(etagOf)).toEqual([undefined, '"v1"', '"v2"']);
  });

  it('that changed replaces the old one, with its ETag', async () => {
    let version = 0;
    const { place, asked } = server(() => ({ etag: `"${++version}"`, 'cache-control': 'no-cache' }));
    const cards = cardCache(10);
    for (const name of ['card 1', 'card 2', 'card 3']) expect((await cards(place)).name).toBe(name);
    expect(asked.map(etagOf)).toEqual([undefined, '"1"', '"2"']);
  });

  it('is not made out of a 304 that nobody asked for', async () => {
    const { place } = server({}, () => new Response(null, { status: 304 }));
    await expect(cardCache(10)(place)).rejects.toMatchObject({ code: 'CARD_UNAVAILABLE' });
  });

  it('cannot be changed by who gets it', async () => {
    const { place } = server({});
    const card = await cardCache(10)(place);
    expect(() => Object.assign(card, { name: 'mine' })).toThrow(TypeError);
    expect(() => (card.skills as object[]).push({})).toThrow(TypeError);
  });

  it.each([
    ['is too large', () => new Response(`{"name":"${'x'.repeat(1024 * 1024)}"}`)],
    ['is nested too deep', () => new Response(`${'['.repeat(65)}${']'.repeat(65)}`)],
    ['is no JSON', () => new Response('<html>')],
    ['is no object', () => new Response('[]')],
    ['is null', () => new Response('null')],
  ])('that %s is refused, and asked for again', async (_, make) => {
    let answer: (() => Response) | undefined = make;
    const { place } = server({}, () => answer?.());
    const cards = cardCache(10);
    await expect(cards(place)).rejects.toMatchObject({ code: 'CARD_INVALID' });
    answer = undefined;
    expect(await cards(place)).toMatchObject({ name: 'card 2' });
  });

  it('that never ends is not read to its end', async () => {
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent++;
        controller.enqueue(new Uint8Array(64 * 1024).fill(32));
      },
    });
    const { place } = server({}, () => new Response(endless));
    await expect(cardCache(10)(place)).rejects.toMatchObject({ code: 'CARD_INVALID' });
    expect(sent).toBeLessThan(40);
  });
});

describe('while it is asked whether a stale card changed', () => {
  const field = { 'cache-control': 'max-age=60, stale-while-revalidate=600' };

  it('the stale one is used, and one question is asked', async () => {
    const { place, asked } = server(field);
    const cards = cardCache(10);
    const old = await cards(place);
    passTime(60);
    expect(await Promise.all(Array.from({ length: 10 }, () => cards(place)))).toEqual(Array(10).fill(old));
    await vi.waitFor(async () => {
      expect((await cards(place)).name).toBe('card 2');
    });
    expect(asked).toHaveLength(2);
  });

  it('a server that fails is asked again some seconds later', async () => {
    let isDown = false;
    const { place, asked } = server(field, () =>
      isDown ? new Response('down', { status: 503 }) : undefined,
    );
    const cards = cardCache(10);
    const old = await cards(place);
    isDown = true;
    passTime(60);
    for (let index = 0; index < 5; index++) {
      expect(await cards(place)).toBe(old);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(asked).toHaveLength(2);
    passTime(5);
    expect(await cards(place)).toBe(old);
    await vi.waitFor(() => {
      expect(asked).toHaveLength(3);
    });
  });

  it('it is forgotten once its server wants it not kept', async () => {
    let cacheControl = field['cache-control'];
    const { place } = server(() => ({ 'cache-control': cacheControl }));
    const cards = cardCache(10);
    const old = await cards(place);
    cacheControl = 'no-store';
    passTime(60);
    expect(await cards(place)).toBe(old);
    await vi.waitFor(async () => {
      expect(await cards(place)).not.toBe(old);
    });
  });

  it('it is used no longer than its server allows', async () => {
    let isDown = false;
    const { place } = server(field, () => (isDown ? new Response('down', { status: 503 }) : undefined));
    const cards = cardCache(10);
    await cards(place);
    isDown = true;
    passTime(660);
    await expect(cards(place)).rejects.toMatchObject({ code: 'CARD_UNAVAILABLE' });
  });
});

describe('those who ask at the same time', () => {
  it('share one question', async () => {
    const { place, asked } = server({ 'cache-control': 'no-store' });
    const cards = cardCache(10);
    const got = await Promise.all(Array.from({ length: 100 }, () => cards(place)));
    expect(asked).toHaveLength(1);
    expect(new Set(got).size).toBe(1);
  });

  it('go on waiting when one of them gives up', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { place } = server({});
    const slow = {
      ...place,
      send: (async (to, init) => {
        await held;
        return place.send(to, init);
      }) satisfies Send,
    };
    const cards = cardCache(10);
    const impatient = new AbortController();
    const gaveUp = cards(slow, impatient.signal);
    const waits = cards(slow);
    impatient.abort(new Error('Enough.'));
    await expect(gaveUp).rejects.toThrow('Enough.');
    release();
    expect(await waits).toMatchObject({ name: 'card 1' });
  });
});

it('no more cards are kept than allowed', async () => {
  const { place, asked } = server({});
  const cards = cardCache(2);
  for (const key of ['a', 'b', 'c', 'c', 'b', 'a']) await cards({ ...place, key });
  expect(asked).toHaveLength(4);
});

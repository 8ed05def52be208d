import { describe, expect, it } from 'vitest';

import { replay } from '../src/replay.js';

const json = '{"name":"ü"}';
const bytes = new TextEncoder().encode(json);

async function start(): Promise<Response> {
  const response = new Response(json, { status: 201, headers: { 'content-type': 'application/json' } });
  return replay(response, new Uint8Array(await response.arrayBuffer()));
}

describe('a response that is replayed', () => {
  const ways: readonly [string, (response: Response) => Promise<unknown>, unknown][] = [
    ['text', (response) => response.text(), json],
    ['json', (response) => response.json(), { name: 'ü' }],
    ['arrayBuffer', async (response) => new Uint8Array(await response.arrayBuffer()), bytes],
    ['blob', async (response) => (await response.blob()).text(), json],
    ['body', (response) => new Response(response.body).text(), json],
    ['clone', (response) => response.clone().text(), json],
  ];
  it.each(ways)('gives its body by %s', async (_name, read, expected) => {
    const response = await start();
    expect(response.bodyUsed).toBe(false);
    expect(await read(response)).toEqual(expected);
    expect(response.status).toBe(201);
  });

  it('gives its body once', async () => {
    const response = await start();
    await response.text();
    expect(response.bodyUsed).toBe(true);
    await expect(response.json()).rejects.toThrow(TypeError);
  });

  it('gives its body once when it is read as a stream', async () => {
    const response = await start();
    response.body?.getReader();
    await expect(response.text()).rejects.toThrow(TypeError);
  });

  it('can be cloned before it is read', async () => {
    const response = await start();
    const clone = response.clone();
    expect([await response.text(), await clone.text()]).toEqual([json, json]);
    expect(clone.headers.get('content-type')).toBe('application/json');
  });
});

import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { OutboundError } from '@a2a-auth/server';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { isSecure } from '../../src/secure-url.js';
import { assertSecure, boundedFetch } from '../../src/tokens/outbound.js';
import { hang, network } from '../support/network.js';

const servers: Server[] = [];

/** A server on the loopback that answers so; `closed` is when its first exchange has come to an end. */
async function serve(listener: RequestListener): Promise<{ url: string; closed: Promise<void> }> {
  const server = createServer(listener);
  servers.push(server);
  const closed = new Promise<void>((resolve) => {
    server.once('request', (_req, res) => res.once('close', resolve));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`, closed };
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

describe('a call', () => {
  it('hands on status, headers and body', async () => {
    const { url } = await serve((_req, res) => {
      res.writeHead(418, { 'x-pot': 'tea' }).end('short and stout');
    });
    const response = await boundedFetch({})(url);
    expect(response.status).toBe(418);
    expect(response.headers.get('x-pot')).toBe('tea');
    expect(await response.text()).toBe('short and stout');
  });

  it('may have no body', async () => {
    const { url } = await serve((_req, res) => {
      res.writeHead(204).end();
    });
    expect((await boundedFetch({})(url)).status).toBe(204);
  });

  it('hands on what is sent, but not how redirects are treated', async () => {
    const net = network({ 'https://issuer.example/': {} });
    const seen = vi.fn(net.fetch);
    const init = { method: 'POST', body: 'a=b', headers: { 'x-a': 'b' }, redirect: 'follow' } as const;
    await boundedFetch({ fetch: seen })('https://issuer.example/', init);
    expect(net.calls[0]).toMatchObject({ method: 'POST', body: 'a=b' });
    expect(seen).toHaveBeenCalledWith(expect.anything(), expect.objectContaining({ redirect: 'manual' }));
  });

  it('uses the fetch it is given, and no other', async () => {
    const given = vi.fn(async () => Response.json({ by: 'the given one' }));
    expect(await (await boundedFetch({ fetch: given })('https://issuer.example/')).json()).toEqual({
      by: 'the given one',
    });
  });
});

describe('a call to a server that', () => {
  it('hangs before it answers ends, and its connection too', async () => {
    const { url, closed } = await serve(() => undefined);
    await expect(boundedFetch({ timeout: 50 })(url)).rejects.toThrow(OutboundError);
    await closed;
  });

  it('hangs within its body ends, and its connection too', async () => {
    const { url, closed } = await serve((_req, res) => {
      res.write('{');
    });
    await expect(boundedFetch({ timeout: 50 })(url)).rejects.toThrow(OutboundError);
    await closed;
  });

  it('sends its body for ever, byte by byte, ends', async () => {
    const { url } = await serve((_req, res) => {
      const timer = setInterval(() => res.write(' '), 5);
      res.on('close', () => {
        clearInterval(timer);
      });
    });
    await expect(boundedFetch({ timeout: 50 })(url)).rejects.toThrow(OutboundError);
  });

  it('sends without end ends with the 513th KiB, and its connection too', async () => {
    const { url, closed } = await serve((_req, res) => {
      const chunk = Buffer.alloc(65_536, 0x20);
      const more = () => {
        while (!res.destroyed && res.write(chunk));
      };
      res.on('drain', more);
      more();
    });
    await expect(boundedFetch({})(url)).rejects.toThrow('sent more than 524288 bytes');
    await closed;
  });

  it('promises a body that is too large is not read', async () => {
    const { url } = await serve((_req, res) => {
      res.end(Buffer.alloc(512 * 1024 + 1));
    });
    await expect(boundedFetch({})(url)).rejects.toThrow('sent more than');
    const { url: fitting } = await serve((_req, res) => {
      res.end(Buffer.alloc(512 * 1024));
    });
    expect((await (await boundedFetch({})(fitting)).arrayBuffer()).byteLength).toBe(512 * 1024);
  });

  it.each([301, 302, 303, 307, 308])('redirects to another is not followed: %i', async (status) => {
    const reached = vi.fn();
    const other = await serve((_req, res) => {
      reached();
      res.end('{}');
    });
    const { url } = await serve((_req, res) => {
      res.writeHead(status, { location: other.url }).end();
    });
    await expect(boundedFetch({})(url)).rejects.toThrow('redirect');
    await expect(boundedFetch({})(url, { method: 'POST', body: 'secret' })).rejects.toThrow('redirect');
    await expect(boundedFetch({})(url, { redirect: 'follow' })).rejects.toThrow('redirect');
    expect(reached).not.toHaveBeenCalled();
  });

  it('redirects, with a body without end, is let go', async () => {
    const { url, closed } = await serve((_req, res) => {
      res.writeHead(302, { location: '/' }).write('x');
    });
    await expect(boundedFetch({ timeout: 60_000 })(url)).rejects.toThrow('redirect');
    await closed;
  });

  it('breaks off is no answer', async () => {
    const { url } = await serve((_req, res) => {
      res.writeHead(200, { 'content-length': '100' });
      res.write('{', () => res.destroy());
    });
    await expect(boundedFetch({})(url)).rejects.toThrow(OutboundError);
  });

  it('is not there is no answer', async () => {
    await expect(boundedFetch({})('http://127.0.0.1:1/')).rejects.toThrow(OutboundError);
  });
});

describe('a fetch that was given', () => {
  it('and heeds no signal does not hang the call', async () => {
    const deaf = () => new Promise<Response>(() => undefined);
    await expect(boundedFetch({ timeout: 20, fetch: deaf })('https://issuer.example/')).rejects.toThrow(
      OutboundError,
    );
  });

  it('and whose body heeds no signal does not hang the call', async () => {
    const deaf = async () => new Response(new ReadableStream({ pull: () => new Promise(() => undefined) }));
    await expect(boundedFetch({ timeout: 20, fetch: deaf })('https://issuer.example/')).rejects.toThrow(
      OutboundError,
    );
  });

  it('does not hang a call that was aborted before it began', async () => {
    const deaf = () => new Promise<Response>(() => undefined);
    const call = boundedFetch({ timeout: 2 ** 31 - 1, fetch: deaf });
    await expect(call('https://issuer.example/', { signal: AbortSignal.abort() })).rejects.toThrow(
      OutboundError,
    );
  });

  it('is told that the body of a redirect is not wanted', async () => {
    const cancel = vi.fn();
    const redirect = async () =>
      new Response(new ReadableStream({ cancel }), { status: 302, headers: { location: '/' } });
    await expect(boundedFetch({ fetch: redirect })('https://issuer.example/')).rejects.toThrow('redirect');
    expect(cancel).toHaveBeenCalledOnce();
  });

  it('is told when the time is over', async () => {
    const net = network({ 'https://issuer.example/': hang });
    await expect(boundedFetch({ timeout: 20, fetch: net.fetch })('https://issuer.example/')).rejects.toThrow(
      OutboundError,
    );
    expect(net.calls[0]?.signal.aborted).toBe(true);
  });

  it('is told when the caller gives up', async () => {
    const net = network({ 'https://issuer.example/': hang });
    const caller = new AbortController();
    const pending = boundedFetch({ fetch: net.fetch })('https://issuer.example/', { signal: caller.signal });
    caller.abort(new Error('given up'));
    await expect(pending).rejects.toThrow('given up');
  });

  it.each([
    ['fails', () => Promise.reject(new TypeError('fetch failed'))],
    [
      'throws',
      () => {
        throw new TypeError('fetch failed');
      },
    ],
    ['answers an error', () => Promise.resolve(Response.error())],
  ])('and %s is no answer', async (_what, given) => {
    await expect(boundedFetch({ fetch: given })('https://issuer.example/')).rejects.toThrow(OutboundError);
  });
});

describe('a call that is over', () => {
  it('leaves no timer that keeps the process alive', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    await boundedFetch({ timeout: 60_000, fetch: async () => Response.json({}) })('https://issuer.example/');
    expect(timers()).toBe(before);
  });

  it('is no unhandled rejection when its time runs out later', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const caller = new AbortController();
    const given = async () => Response.json({});
    await boundedFetch({ fetch: given })('https://issuer.example/', { signal: caller.signal });
    caller.abort();
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
    process.off('unhandledRejection', unhandled);
  });

  it('is no unhandled rejection when a deaf fetch fails after its time', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    let fail = (_error: Error): void => undefined;
    const deaf = () =>
      new Promise<Response>((_, reject) => {
        fail = reject;
      });
    await expect(boundedFetch({ timeout: 10, fetch: deaf })('https://issuer.example/')).rejects.toThrow();
    fail(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
    process.off('unhandledRejection', unhandled);
  });
});

describe('plain http', () => {
  it.each([
    'http://localhost/',
    'http://localhost:3000/',
    'http://LOCALHOST/',
    'http://127.0.0.1/',
    'http://127.8.9.1/',
    'http://127.1/',
    'http://0x7f000001/',
    'http://[::1]/',
    'https://issuer.example/',
  ])('is let through where it stays on the machine, or is none: %s', (url) => {
    expect(isSecure(new URL(url))).toBe(true);
    expect(() => {
      assertSecure(new URL(url));
    }).not.toThrow();
  });

  it.each([
    'http://issuer.example/',
    'http://127.0.0.1.evil.example/',
    'http://localhost.evil.example/',
    'http://evil-localhost/',
    'http://localhost@evil.example/',
    'http://evil.example/#localhost',
    'http://0.0.0.0/',
    'http://10.0.0.1/',
    'http://169.254.169.254/',
    'http://[::ffff:10.0.0.1]/',
    'http://[::2]/',
    'ftp://localhost/',
    'file:///etc/passwd',
    'data:application/json,{}',
    'javascript:0',
  ])('is not let through where it does not: %s', async (url) => {
    const given = vi.fn(async () => Response.json({}));
    await expect(boundedFetch({ fetch: given })(url)).rejects.toThrow(OutboundError);
    expect(given).not.toHaveBeenCalled();
  });

  it('tells loopback addresses from names that look like them', () => {
    const isLoopback = (host: string) => isSecure(new URL(`http://${host}/`));
    expect(['localhost', '127.0.0.1', '[::1]'].map(isLoopback)).toEqual([true, true, true]);
    expect(['127.evil.example', 'localhost.', 'localhost.evil.example'].map(isLoopback)).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('a timeout', () => {
  it.each([0, -1, Number.NaN, Infinity, 2 ** 31])('of %d is refused at start-up', (timeout) => {
    expect(() => boundedFetch({ timeout })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

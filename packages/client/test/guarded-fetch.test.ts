import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import dns from 'node:dns';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { guardedFetch } from '../src/guarded-fetch.js';

let hits = 0;
const server = createServer((_request, response) => {
  hits++;
  response.end('reached');
});
let port = 0;
beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

vi.mock('node:dns', { spy: true });
afterEach(() => {
  vi.mocked(dns.lookup).mockReset();
});

/** Lets every name resolve to these addresses. */
function resolveTo(...addresses: readonly string[]) {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  vi.mocked(dns.lookup).mockImplementation(((
    _name: string,
    _options: unknown,
    callback: (error: null, found: unknown) => void,
  ) => {
    callback(null, found);
  }) as never);
}

const agent = new URL('https://agent.example');

describe('an address that a card named', () => {
  it.each([
    '127.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '2130706433',
    '0x7f.1',
    '0.0.0.0',
    '169.254.169.254',
    '10.0.0.1',
  ])('is refused when it is the private %s', async (host) => {
    const before = hits;
    const calling = guardedFetch([agent])(new URL(`http://${host}:${String(port)}/`), {});
    await expect(calling).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(hits).toBe(before);
  });

  it.each([[['127.0.0.1']], [['::1']], [['169.254.169.254']], [['8.8.8.8', '127.0.0.1']], [[]]])(
    'is refused when its name resolves to %j',
    async (addresses) => {
      resolveTo(...addresses);
      const before = hits;
      const calling = guardedFetch([agent])(new URL(`http://rebind.example:${String(port)}/`), {});
      await expect(calling).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
      expect(hits).toBe(before);
    },
  );

  it('is refused on another loopback name while the agent is not on the loopback', async () => {
    resolveTo('127.0.0.1');
    await expect(
      guardedFetch([agent])(new URL(`http://localhost:${String(port)}/`), {}),
    ).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
  });

  it.each(['http://agent.example', 'https://agent.example:8443', 'http://agent.example:443'])(
    'is refused at %s, when the host of the agent resolves to a private one there',
    async (at) => {
      resolveTo('127.0.0.1');
      const send = guardedFetch([agent]);
      await expect(send(new URL(at), {})).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    },
  );

  it('may be on the loopback when the agent is, but nowhere else that is private', async () => {
    const send = guardedFetch([new URL('http://localhost:1')]);
    const response = await send(new URL(`http://127.0.0.1:${String(port)}/`), {});
    expect(await response.text()).toBe('reached');
    await expect(send(new URL('http://10.0.0.1/'), {})).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
  });
});

it('reaches the private addresses that the user named', async () => {
  const own = new URL(`http://127.0.0.1:${String(port)}/`);
  const response = await guardedFetch([agent, own])(own, {});
  expect(await response.text()).toBe('reached');
});

it('reaches the private IPv6 address that the user named', async () => {
  const own = new URL('http://[fd00::1]:8443/');
  // Nobody is there; but it is not refused.
  await expect(guardedFetch([own])(own, { signal: AbortSignal.timeout(50) })).rejects.not.toMatchObject({
    code: 'ADDRESS_REFUSED',
  });
});

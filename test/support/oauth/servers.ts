import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, vi } from 'vitest';

import type { ServerIdentity } from './certificates.js';

const servers = new Set<Server>();

/**
 * Listens on an ephemeral port, before there is anything to serve: issuers and cards want to name the port.
 *
 * @param identity serves https with it, and asks clients for a certificate without insisting on one
 * @param requestCert false: does not ask for one either
 */
export async function listen(identity?: ServerIdentity, requestCert = true) {
  const server: Server =
    identity === undefined
      ? createServer()
      : createSecureServer({ ...identity, requestCert, rejectUnauthorized: false });
  servers.add(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${identity === undefined ? 'http' : 'https'}://127.0.0.1:${String(port)}`,
    serve: (listener: RequestListener) => {
      server.on('request', listener);
    },
  };
}

/** To be called once in a test file; the authorization server's notices stay out of the report. */
export function closeServersAfterTests(): void {
  beforeAll(() => {
    for (const method of ['error', 'warn', 'info'] as const) {
      vi.spyOn(console, method).mockImplementation(() => undefined);
    }
  });
  afterAll(async () => {
    const closing = [...servers].map((server) => once(server.close(), 'close'));
    for (const server of servers) server.closeAllConnections();
    servers.clear();
    await Promise.all(closing);
    vi.restoreAllMocks();
  });
}

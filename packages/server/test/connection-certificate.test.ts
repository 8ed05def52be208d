import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { Socket, type AddressInfo } from 'node:net';
import {
  connect,
  createServer,
  type ConnectionOptions,
  type SecureVersion,
  type Server,
  TLSSocket,
} from 'node:tls';

import { afterEach, describe, expect, it } from 'vitest';

import type { PresentedCertificate } from '../src/auth-request.js';
import { issueCertificate, type Issued } from '../src/certificates/development-certificate.js';
import { connectionCertificate } from '../src/connection-certificate.js';
import { chainOf } from './tls/chain.js';

const server = issueCertificate('server', { kind: 'server', names: ['127.0.0.1'] }, 1);
/** Self-signed, and the servers' authorities at the same time. */
const [ada, bob] = ['ada', 'bob'].map((name) => issueCertificate(name, { kind: 'client' }, 1)) as [
  Issued,
  Issued,
];
const stranger = issueCertificate('stranger', { kind: 'client' }, 1);
const der = (pem: string) => new X509Certificate(pem).raw;

const open = new Set<Server | TLSSocket>();
afterEach(() => {
  for (const one of open) {
    if (one instanceof Socket) one.destroy();
    else one.close();
  }
  open.clear();
});

/** Asks everybody for a certificate, and answers whatever comes with one byte. */
async function listen(
  version: SecureVersion,
  authorities: readonly string[] = [ada.certificate, bob.certificate],
) {
  const seen: (PresentedCertificate | undefined)[] = [];
  const sockets: TLSSocket[] = [];
  const tls = createServer({
    cert: server.certificate,
    key: server.key,
    ca: [...authorities],
    requestCert: true,
    rejectUnauthorized: false,
    allowPartialTrustChain: true,
    minVersion: version,
    maxVersion: version,
  });
  tls.on('secureConnection', (socket) => {
    sockets.push(socket);
    open.add(socket);
    socket.on('data', () => {
      seen.push(connectionCertificate(socket));
      socket.write('.');
    });
    socket.on('error', () => undefined);
  });
  open.add(tls);
  await once(tls.listen(0, '127.0.0.1'), 'listening');
  return { port: (tls.address() as AddressInfo).port, seen, sockets };
}

async function call(port: number, options: ConnectionOptions = {}) {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  open.add(socket);
  let session: Buffer | undefined;
  socket.on('session', (latest: Buffer) => {
    session = latest;
  });
  const ask = async () => {
    socket.write('?');
    await once(socket, 'data');
  };
  await once(socket, 'secureConnect');
  await ask();
  return { socket, ask, session: () => session };
}

const as = ({ certificate, key }: Issued): ConnectionOptions => ({ cert: certificate, key });

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('the certificate of a connection, over %s', (version) => {
  it('is what the client presented, with no error when the TLS layer accepted it', async () => {
    const { port, seen } = await listen(version);
    await call(port, as(ada));
    expect(seen).toMatchObject([{ der: der(ada.certificate), tlsError: undefined }]);
  });

  it('has the error of the TLS layer when that did not accept it', async () => {
    const { port, seen } = await listen(version);
    await call(port, as(stranger));
    expect(seen).toMatchObject([{ der: der(stranger.certificate), tlsError: 'DEPTH_ZERO_SELF_SIGNED_CERT' }]);
  });

  it('is none when the client presented none', async () => {
    const { port, seen } = await listen(version);
    await call(port);
    expect(seen).toEqual([undefined]);
  });

  it('is the same object for every request of a connection', async () => {
    const { port, seen } = await listen(version);
    const { ask } = await call(port, as(ada));
    await ask();
    expect(seen[0]).toBe(seen[1]);
  });

  it('is none in a resumed session without one, though Node then calls it authorized', async () => {
    const { port, seen, sockets } = await listen(version);
    const first = await call(port);
    await call(port, { session: first.session() });
    await call(port, { session: first.session(), ...as(ada) });
    expect(sockets.map((socket) => socket.isSessionReused())).toEqual([false, true, true]);
    expect(seen).toEqual([undefined, undefined, undefined]);
  });

  it('is that of the session in a resumed one, whatever the client has now', async () => {
    const { port, seen, sockets } = await listen(version);
    const first = await call(port, as(ada));
    await call(port, { session: first.session() });
    await call(port, { session: first.session(), ...as(bob) });
    expect(sockets.map((socket) => socket.isSessionReused())).toEqual([false, true, true]);
    expect(seen.map((certificate) => certificate?.der)).toEqual(Array(3).fill(der(ada.certificate)));
  });

  it('has the chain that was sent, which a resumed session does not keep', async () => {
    const [root, first, second, client] = chainOf('root', 'first', 'second', 'client');
    const { port, seen, sockets } = await listen(version, [root?.cert ?? '']);
    const { session } = await call(port, {
      cert: [client, second, first].map((link) => link?.cert).join(''),
      key: client?.key,
    });
    await call(port, { session: session() });
    expect(sockets.map((socket) => socket.isSessionReused())).toEqual([false, true]);
    const certificate = { der: der(client?.cert ?? ''), tlsError: undefined };
    expect(seen).toEqual([
      { ...certificate, chain: [der(second?.cert ?? ''), der(first?.cert ?? '')] },
      { ...certificate, chain: [] },
    ]);
  });
});

describe('the certificate of a connection that is renegotiated', () => {
  it('is read anew', async () => {
    const { port, seen } = await listen('TLSv1.2');
    const { socket, ask } = await call(port, as(ada));
    await new Promise<void>((resolve, reject) => {
      socket.renegotiate({ rejectUnauthorized: false }, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    await ask();
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]).not.toBe(seen[1]);
  });

  it('is another one, and not accepted for the sake of the one before', () => {
    // Node's client cannot change its certificate: this is the server's side of one that does.
    const socket = Object.create(TLSSocket.prototype, {
      authorized: { value: true },
      authorizationError: { value: null, writable: true },
      isSessionReused: { value: () => false },
      getFinished: { value: () => Buffer.from('first handshake'), writable: true },
      getPeerX509Certificate: { value: () => new X509Certificate(ada.certificate), writable: true },
    }) as Record<string, unknown>;
    expect(connectionCertificate(socket)).toMatchObject({ der: der(ada.certificate), tlsError: undefined });
    socket.getFinished = () => Buffer.from('second handshake');
    socket.getPeerX509Certificate = () => new X509Certificate(stranger.certificate);
    socket.authorizationError = 'DEPTH_ZERO_SELF_SIGNED_CERT';
    expect(connectionCertificate(socket)).toMatchObject({
      der: der(stranger.certificate),
      tlsError: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
  });
});

it('is none for a connection without TLS', () => {
  expect(connectionCertificate(new Socket())).toBeUndefined();
  expect(connectionCertificate(undefined)).toBeUndefined();
});

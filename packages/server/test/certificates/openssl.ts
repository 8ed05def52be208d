import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';

import { makeCertificate, SERVER_AUTH, type Made } from './make-certificates.js';

let server: Made | undefined;

/** What OpenSSL finds out about a client's certificates in a TLS handshake: undefined when it accepts them. */
export async function opensslVerdict(
  client: Made,
  chain: readonly Made[],
  authorities: readonly Made[],
): Promise<string | undefined> {
  server ??= makeCertificate({ subject: 'localhost', extendedKeyUsage: [SERVER_AUTH] });
  const listener = createServer({
    cert: server.pem,
    key: server.key.export({ type: 'pkcs8', format: 'pem' }),
    ca: authorities.map(({ pem }) => pem),
    requestCert: true,
    rejectUnauthorized: false,
    allowPartialTrustChain: true,
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  let socket: TLSSocket | undefined;
  try {
    const verdict = new Promise<string | undefined>((resolve, reject) => {
      listener.on('secureConnection', (connection) => {
        const error = connection.authorizationError as unknown;
        resolve(connection.authorized ? undefined : String(error instanceof Error ? error.message : error));
        connection.destroy();
      });
      listener.on('tlsClientError', reject);
    });
    verdict.catch(() => undefined);
    socket = connect({
      host: '127.0.0.1',
      port: (listener.address() as AddressInfo).port,
      cert: [client, ...chain].map(({ pem }) => pem).join(''),
      key: client.key.export({ type: 'pkcs8', format: 'pem' }),
      rejectUnauthorized: false,
    });
    socket.on('error', () => undefined);
    return await verdict;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket?.destroy();
    listener.close();
  }
}

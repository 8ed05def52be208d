import type { RequestListener } from 'node:http';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';

import type { CertificateTrust } from '../certificates/trust.js';
import { connectionCertificate } from '../connection-certificate.js';

/** Connections of clients whose certificates are trusted. */
interface Admission {
  /** Closes the connections of those who are trusted no more. */
  review(): Promise<void>;
}

/**
 * Lets an application see requests of trusted clients alone, and closes the connections of all others. It looks at what the
 * TLS layer does not: pinned fingerprints, revocation, and certificates of resumed sessions, which are as old as the
 * session.
 */
export function admitTrusted(server: Server, app: RequestListener, trust: CertificateTrust): Admission {
  const connections = new Map<TLSSocket, Promise<boolean>>();

  const admit = (socket: TLSSocket): Promise<boolean> => {
    const admitted = isTrusted(socket, trust);
    connections.set(socket, admitted);
    void admitted.then((trusted) => {
      if (!trusted) socket.destroy();
    });
    return admitted;
  };

  server.on('secureConnection', (socket) => {
    // The listener is called before anything of the first request is read.
    void admit(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.on('request', (request, response) => {
    const admitted = connections.get(request.socket as TLSSocket);
    if (admitted === undefined) {
      request.socket.destroy();
      return;
    }
    void admitted.then((trusted) => {
      if (trusted) app(request, response);
    });
  });

  return {
    async review() {
      await Promise.all([...connections.keys()].map((socket) => admit(socket)));
    },
  };
}

/** Whoever cannot be judged is not let in. */
async function isTrusted(socket: TLSSocket, trust: CertificateTrust): Promise<boolean> {
  try {
    const presented = connectionCertificate(socket);
    return presented !== undefined && (await trust.verify(presented)).trusted;
  } catch {
    return false;
  }
}

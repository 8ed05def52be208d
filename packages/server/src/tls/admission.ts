import type { RequestListener } from 'node:http';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';

import type { CertificateTrust } from '../certificates/trust.js';
import { connectionCertificate } from '../connection-certificate.js';
import {
  missingCertificate,
  publishRefusal,
  type Refusal,
  type RefusedConnectionListener,
} from './refused-connection.js';

/** Connections of clients whose certificates are trusted. */
interface Admission {
  /** Closes the connections of those who are trusted no more. */
  review(): Promise<void>;
}

/**
 * Lets an application see requests of trusted clients alone, and closes the connections of all others, which the listener is
 * told. It looks at what the TLS layer does not: pinned fingerprints, revocation, and certificates of resumed sessions,
 * which are as old as the session.
 */
export function admitTrusted(
  server: Server,
  app: RequestListener,
  trust: CertificateTrust,
  listener: RefusedConnectionListener | undefined,
): Admission {
  const connections = new Map<TLSSocket, Promise<Refusal | undefined>>();

  const admit = (socket: TLSSocket): Promise<Refusal | undefined> => {
    const judged = refusalOf(socket, trust);
    connections.set(socket, judged);
    void judged.then((refusal) => {
      if (refusal === undefined || socket.destroyed) return;
      const { remoteAddress } = socket;
      socket.destroy();
      publishRefusal(remoteAddress, refusal, listener);
    });
    return judged;
  };

  server.on('secureConnection', (socket) => {
    // The listener is called before anything of the first request is read.
    void admit(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.on('request', (request, response) => {
    const judged = connections.get(request.socket as TLSSocket);
    if (judged === undefined) {
      request.socket.destroy();
      return;
    }
    void judged.then((refusal) => {
      if (refusal === undefined) app(request, response);
    });
  });

  return {
    async review() {
      await Promise.all([...connections.keys()].map((socket) => admit(socket)));
    },
  };
}

/** Undefined for whoever is trusted. Whoever cannot be judged is not let in. */
async function refusalOf(socket: TLSSocket, trust: CertificateTrust): Promise<Refusal | undefined> {
  let der: Uint8Array | undefined;
  try {
    const presented = connectionCertificate(socket);
    if (presented === undefined) return missingCertificate;
    ({ der } = presented);
    const verdict = await trust.verify(presented);
    return verdict.trusted ? undefined : { reason: verdict.reason, detail: verdict.detail, der };
  } catch (error) {
    const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { reason: 'unavailable', detail, ...(der === undefined ? {} : { der }) };
  }
}

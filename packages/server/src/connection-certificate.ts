import { TLSSocket } from 'node:tls';

import type { PresentedCertificate } from './auth-request.js';

/** More intermediate certificates than any chain that is let in has. */
const MAX_CHAIN = 16;

interface Known {
  readonly finished: Buffer;
  readonly certificate: PresentedCertificate | undefined;
}

/** What is known of each connection, whose requests repeat it. */
const connections = new WeakMap<TLSSocket, Known>();

/**
 * The client certificate of a TLS connection; undefined for every other. Node does not verify again when a session is
 * resumed, but keeps the certificate (without its chain) and the verdict with the session, so both may be older than the
 * trust of today.
 */
export function connectionCertificate(socket: unknown): PresentedCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  // Differs after a renegotiation, by which TLS 1.2 callers can change their certificate.
  const finished = socket.getFinished();
  const known = connections.get(socket);
  if (finished !== undefined && known?.finished.equals(finished) === true) return known.certificate;
  const certificate = read(socket);
  if (finished !== undefined) connections.set(socket, { finished, certificate });
  return certificate;
}

function read(socket: TLSSocket): PresentedCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const chain: Uint8Array[] = [];
  let issuer = certificate.issuerCertificate;
  while (issuer !== undefined && chain.length < MAX_CHAIN) {
    chain.push(issuer.raw);
    issuer = issuer.issuerCertificate;
  }
  // After a renegotiation with a worse certificate, `authorized` is still that of the first handshake.
  const error = socket.authorizationError as Error | string | null;
  const isAccepted = socket.authorized && error === null;
  return { der: certificate.raw, chain, tlsError: isAccepted ? undefined : String(error) };
}

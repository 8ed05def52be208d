import { createHash } from 'node:crypto';
import diagnosticsChannel from 'node:diagnostics_channel';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import { tell } from '../listener.js';

/** The name of the `diagnostics_channel` on which `serveMutualTls` publishes every connection of the process it refuses. */
export const REFUSED_CONNECTION_CHANNEL = 'a2a-auth.refused-connection';

/** Answers "why did this client get no connection", and holds no secret. */
export interface RefusedConnectionEvent {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** The other end of the connection. Undefined when nobody listened yet as it came. */
  readonly remoteAddress: string | undefined;
  /**
   * `missing`: the client has no certificate. `invalid`, `expired`, `revoked`: it is not trusted. `unavailable`: that cannot
   * be told now. `handshake_failed`: it did not come to that.
   */
  readonly reason: 'missing' | 'invalid' | 'expired' | 'revoked' | 'unavailable' | 'handshake_failed';
  /** Which check, which error: for the operator alone. */
  readonly detail: string;
  /** SHA-256 of the certificate in DER, as lower-case hex. Undefined when there is none, or the TLS layer refused it. */
  readonly fingerprint256: string | undefined;
}

export type RefusedConnectionListener = (event: RefusedConnectionEvent) => void;

/** What is wrong with a connection. */
export interface Refusal extends Pick<RefusedConnectionEvent, 'reason' | 'detail'> {
  /** The certificate in DER. */
  readonly der?: Uint8Array;
}

const channel = diagnosticsChannel.channel(REFUSED_CONNECTION_CHANNEL);

/** Events are made only when somebody listens. */
function isHeard(listener: RefusedConnectionListener | undefined): boolean {
  return listener !== undefined || channel.hasSubscribers;
}

/** Tells the hook and the channel. */
export function publishRefusal(
  remoteAddress: string | undefined,
  { reason, detail, der }: Refusal,
  listener: RefusedConnectionListener | undefined,
): void {
  if (!isHeard(listener)) return;
  const event: RefusedConnectionEvent = Object.freeze({
    time: Date.now(),
    remoteAddress,
    reason,
    detail,
    fingerprint256: der === undefined ? undefined : createHash('sha256').update(der).digest('hex'),
  });
  channel.publish(event);
  tell(listener, event, { option: 'onRefusedConnection', code: 'A2A_AUTH_ON_REFUSED_CONNECTION' });
}

/** Tells of the connections that end with their handshake. */
export function publishFailedHandshakes(
  server: Server,
  listener: RefusedConnectionListener | undefined,
): void {
  // When Node has refused a certificate, the socket has lost its address, but not the one it is on.
  const addresses = new WeakMap<Socket, string | undefined>();
  server.on('connection', (socket: Socket) => {
    if (isHeard(listener)) addresses.set(socket, socket.remoteAddress);
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: OnSocket) => {
    const below = socket._parent;
    const remoteAddress = socket.remoteAddress ?? (below === undefined ? undefined : addresses.get(below));
    publishRefusal(remoteAddress, refusalOf(error, socket), listener);
  });
}

/** What Node has, and its types do not. */
interface OnSocket extends TLSSocket {
  readonly _parent?: Socket;
}

function refusalOf({ code = 'unknown' }: NodeJS.ErrnoException, socket: TLSSocket): Refusal {
  // A code, against the type that it has.
  const problem = socket.authorizationError as Error | string | null;
  if (problem !== null) {
    return {
      reason: problem === 'CERT_HAS_EXPIRED' ? 'expired' : 'invalid',
      detail: `The TLS layer did not accept the certificate: ${String(problem)}.`,
    };
  }
  return code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'
    ? missingCertificate
    : { reason: 'handshake_failed', detail: `The TLS handshake failed: ${code}.` };
}

export const missingCertificate: Refusal = { reason: 'missing', detail: 'The client has no certificate.' };

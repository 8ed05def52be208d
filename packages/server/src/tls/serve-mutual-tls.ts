import { constants, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';

import { asTrust, type CertificateTrust, type TrustOptions } from '../certificates/trust.js';
import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import { MAX_TIMEOUT } from '../timeout.js';
import { admitTrusted } from './admission.js';
import { everySecond } from './every-second.js';
import { publishFailedHandshakes, type RefusedConnectionListener } from './refused-connection.js';
import {
  readServerCertificate,
  type ServerCertificate,
  type ServerCertificateFiles,
} from './server-certificate.js';

export interface ServeMutualTlsOptions extends ServerCertificateFiles {
  /** Which clients are trusted. Give the scheme `mutualTls()` the same `certificateTrust()`. */
  readonly trust: TrustOptions | CertificateTrust;
  /** 0 for any that is free. */
  readonly port: number;
  /** The address to listen at. Default: all. */
  readonly host?: string | undefined;
  /**
   * `required`: a client without a certificate, or with one that is not trusted, gets no connection, and the application is
   * never reached. `optional`: every client gets one, and the schemes judge: for agents to whom mutual TLS is one
   * alternative among others. Default `required`.
   */
  readonly clientCertificate?: 'required' | 'optional' | undefined;
  /** Milliseconds that a TLS handshake may take. Default 10 000. */
  readonly handshakeTimeout?: number | undefined;
  /**
   * Told of each connection that is refused, or cut because its client is trusted no more, and of each handshake that fails.
   * The channel `a2a-auth.refused-connection` has the same. Default: nobody is told.
   */
  readonly onRefusedConnection?: RefusedConnectionListener | undefined;
}

/** A server that listens. */
export interface MutualTlsServer {
  readonly server: Server;
  /**
   * Stops listening, and resolves when the requests that run have been answered.
   *
   * @param patience milliseconds after which the connections that are left are cut. Default 10 000
   */
  readonly close: (patience?: number) => Promise<void>;
}

/** As `node:tls` wants them. */
const TICKET_KEYS_LENGTH = 48;

/**
 * Serves an application over HTTPS to clients with certificates:
 *
 * ```ts
 * const { server } = await serveMutualTls(app, { certificate, key, trust, port: 8443 });
 * ```
 *
 * TLS 1.2 and 1.3, without renegotiation. Certificate, key and trust are read again when they change, which cuts only the
 * connections (with `required`) of clients who are trusted no more. Sessions of before are not resumed then. What cannot be
 * read leaves everything as it was, and the process warns (`A2A_AUTH_TLS_RELOAD`).
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when an option is wrong, or a file cannot be used
 * @throws {Error} of `node:net`, such as `EADDRINUSE`
 */
export async function serveMutualTls(
  app: RequestListener,
  options: ServeMutualTlsOptions,
): Promise<MutualTlsServer> {
  checkOptions('serveMutualTls()', options, {
    certificate: 'any',
    key: 'any',
    passphrase: 'any',
    trust: 'any',
    port: 'any',
    host: 'any',
    clientCertificate: 'any',
    handshakeTimeout: 'number',
    onRefusedConnection: 'function',
  });
  const { certificate, key, passphrase, port, host } = options;
  const { clientCertificate = 'required', handshakeTimeout = 10_000, onRefusedConnection } = options;
  if (typeof app !== 'function') {
    throw invalid('the first argument must be an Express application or another request listener');
  }
  if (clientCertificate !== 'required' && clientCertificate !== 'optional') {
    throw invalid("clientCertificate must be 'required' or 'optional'");
  }
  if (!(handshakeTimeout > 0 && handshakeTimeout <= MAX_TIMEOUT)) {
    throw invalid('handshakeTimeout must be a positive number of milliseconds');
  }
  const givenPort: unknown = port;
  // The environment has it as a text.
  if (!/^\d{1,5}$/.test(String(givenPort)) || Number(givenPort) > 65_535) {
    throw invalid('port must be the number of a port; 0 takes one that is free');
  }
  const trust = asTrust(options.trust);

  await trust.refresh();
  const isRequired = clientCertificate === 'required';
  const tlsOptions = (own: ServerCertificate): ServerOptions => ({
    ...own,
    ca: [...trust.tlsAuthorities()],
    requestCert: true,
    // Node's servers have no `allowPartialTrustChain`. Where the handshake cannot tell whose certificate is trusted, it
    // goes on, and the connection is closed right after it.
    rejectUnauthorized: isRequired && !trust.acceptsUnknownIssuers,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    handshakeTimeout,
  });
  const files = { certificate, key, passphrase };
  let own = await readServerCertificate(files);
  let used = tlsOptions(own);
  const server = createServer(used);
  publishFailedHandshakes(server, onRefusedConnection);
  const admission = isRequired ? admitTrusted(server, app, trust, onRefusedConnection) : undefined;
  if (admission === undefined) server.on('request', app);

  const apply = (): void => {
    const next = tlsOptions(own);
    if (isDeepStrictEqual(next, used)) return;
    // Throws before anything has changed.
    createSecureContext(next);
    server.setSecureContext(next);
    // It is no part of the context: the server has it for the next connection.
    Object.assign(server, { rejectUnauthorized: next.rejectUnauthorized });
    // A session stands for a certificate that may be trusted no more.
    server.setTicketKeys(randomBytes(TICKET_KEYS_LENGTH));
    used = next;
  };
  const stop = everySecond({
    // Of one that fails, the others know nothing: a broken certificate keeps nobody trusted.
    'The trust': () => trust.refresh(),
    'The certificate': async () => {
      own = await readServerCertificate(files);
    },
    'The TLS context': apply,
    'The connections': () => admission?.review(),
  });
  server.once('close', stop);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  server.listen({ port, host });
  try {
    await once(server, 'listening');
  } catch (error) {
    stop();
    throw error;
  }
  return { server, close: (patience = 10_000) => close(server, sockets, patience) };
}

/** @returns resolves when every connection is gone */
async function close(server: Server, sockets: ReadonlySet<Socket>, patience: number): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  // Idle connections end at once.
  server.close();
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, patience);
  await closed;
  clearTimeout(timer);
}

function invalid(problem: string): Error {
  return configurationError('INVALID_OPTION', `serveMutualTls(): ${problem}.`);
}

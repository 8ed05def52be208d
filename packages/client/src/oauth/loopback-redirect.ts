import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** Where the browser is sent after a login (RFC 8252 §7.3). */
export interface RedirectOptions {
  /** Default `127.0.0.1`. `localhost` for servers that know no other; it is listened for on 127.0.0.1 as well. */
  readonly host?: '127.0.0.1' | '[::1]' | 'localhost';
  /** Default: one that is free, which servers have to allow for native apps. */
  readonly port?: number;
  /** Default `/callback`. */
  readonly path?: string;
}

export interface LoopbackRedirect {
  readonly redirectUri: string;
  /** The address that the browser was sent to, with the answer of the authorization server. */
  readonly answer: Promise<URL>;
  close(): Promise<void>;
}

/** More than any browser needs. */
const MAX_CONNECTIONS = 20;

/**
 * Waits for one request of the person's browser. Whatever does not have the state of this login is turned away and changes
 * nothing: other programs and pages may call as well.
 */
export async function openLoopbackRedirect(
  state: string,
  { host = '127.0.0.1', port = 0, path = '/callback' }: RedirectOptions,
): Promise<LoopbackRedirect> {
  let resolveAnswer: (url: URL) => void = () => undefined;
  let isAnswered = false;
  const answer = new Promise<URL>((resolve) => {
    resolveAnswer = resolve;
  });
  let origin = '';

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    // A page of another site may reach this port under a name of its own (DNS rebinding).
    if (`http://${request.headers.host ?? ''}` !== origin) {
      send(response, 421, 'This address is not known here.');
      return;
    }
    const target = request.url ?? '';
    const url = URL.canParse(target, origin) ? new URL(target, origin) : undefined;
    if (url?.origin !== origin || url.pathname !== path) {
      send(response, 404, 'There is nothing here.');
      return;
    }
    if (request.method !== 'GET') {
      response.setHeader('allow', 'GET');
      send(response, 405, 'There is nothing here.');
      return;
    }
    if (!hasState(url, state)) {
      send(response, 400, 'This is no answer to the login that is waiting.');
      return;
    }
    if (isAnswered) {
      send(response, 410, 'This login was answered already. You can close this window.');
      return;
    }
    isAnswered = true;
    send(
      response,
      200,
      url.searchParams.has('error')
        ? 'The login was not completed. You can close this window.'
        : 'The login was received. You can close this window.',
    );
    resolveAnswer(url);
  };

  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, connectionsCheckingInterval: 1_000 },
    handle,
  );
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // The oldest goes, and not the newest: whoever only holds connections must not keep the browser out.
    const [oldest] = sockets;
    if (oldest !== undefined && sockets.size > MAX_CONNECTIONS) {
      sockets.delete(oldest);
      oldest.destroy();
    }
  });
  server.listen(port, host === '[::1]' ? '::1' : '127.0.0.1');
  await once(server, 'listening');
  origin = `http://${host}:${String((server.address() as AddressInfo).port)}`;
  return {
    redirectUri: `${origin}${path}`,
    answer,
    async close() {
      const closed = once(server, 'close');
      server.close();
      // The page on its way gets through; whoever only holds a connection is not waited for.
      const timer = setTimeout(() => {
        server.closeAllConnections();
      }, 500);
      await closed;
      clearTimeout(timer);
    },
  };
}

function hasState(url: URL, state: string): boolean {
  const given = url.searchParams.getAll('state');
  const [expected, found] = [Buffer.from(state), Buffer.from(given[0] ?? '')];
  return given.length === 1 && found.length === expected.length && timingSafeEqual(found, expected);
}

/** The page says nothing of what came in. */
function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  });
  response.end(`<!doctype html><html lang="en"><title>Login</title><p>${text}</p></html>`);
}

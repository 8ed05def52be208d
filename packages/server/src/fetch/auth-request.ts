import type { AuthRequest, PresentedCertificate } from '../auth-request.js';
import { cookieValues } from '../http/cookie-values.js';
import { separateCredentials } from './separate-credentials.js';

/** What a `Request` does not tell about who sent it. */
export interface CallerConnection {
  /** The address of whoever holds the other end of the connection: the last proxy, where there is one. */
  readonly peerAddress?: string | undefined;
  /** The caller's own address, which behind a proxy is for you to find out. It is for events and for throttling. */
  readonly remoteAddress?: string | undefined;
  /** The certificate that the peer proved to own in the TLS handshake. */
  readonly clientCertificate?: PresentedCertificate | undefined;
}

/** What the option `connection` gave, or that it failed: it is asked once. */
type Connected = { readonly value: CallerConnection } | { readonly error: unknown };

const none: readonly string[] = Object.freeze([]);

/** The neutral view of a web-standard request. Nothing is parsed, and nobody asked, before a scheme asks for it. */
export class FetchAuthRequest implements AuthRequest {
  readonly method: string;
  readonly url: string;
  readonly #headers: Headers;
  readonly #connect: () => CallerConnection;
  #connection: Connected | undefined;
  #query: URLSearchParams | undefined;

  constructor(request: Request, connect: (request: Request) => CallerConnection) {
    this.method = request.method;
    this.url = request.url;
    this.#headers = request.headers;
    this.#connect = () => connect(request);
  }

  get remoteAddress(): string | undefined {
    return this.#connected.remoteAddress;
  }

  get peerAddress(): string | undefined {
    return this.#connected.peerAddress;
  }

  get clientCertificate(): PresentedCertificate | undefined {
    return this.#connected.clientCertificate;
  }

  get #connected(): CallerConnection {
    this.#connection ??= attempt(this.#connect);
    if ('error' in this.#connection) throw this.#connection.error;
    return this.#connection.value;
  }

  /** `Headers` joins repeated fields into one: those of credentials are taken apart again. */
  header(name: string): readonly string[] {
    const value = this.#headers.get(name);
    if (value === null) return none;
    switch (name.toLowerCase()) {
      case 'authorization':
        return separateCredentials(value);
      case 'dpop':
        // No JWT has a comma.
        return value.split(',').map((proof) => proof.trim());
      default:
        return [value];
    }
  }

  query(name: string): readonly string[] {
    return (this.#query ??= new URL(this.url).searchParams).getAll(name);
  }

  cookie(name: string): readonly string[] {
    return cookieValues(this.header('cookie'), name);
  }
}

function attempt(connect: () => CallerConnection): Connected {
  try {
    const value: unknown = connect();
    if (typeof value === 'object' && value !== null) return { value };
    return { error: new TypeError('The option connection gave no object.') };
  } catch (error) {
    return { error };
  }
}

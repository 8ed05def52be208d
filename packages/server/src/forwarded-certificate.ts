import { BlockList, isIP } from 'node:net';

import type { AuthRequest, PresentedCertificate } from './auth-request.js';
import { configurationError } from './errors.js';
import { checkOptions } from './options.js';

/** How a proxy that terminates TLS writes the client certificate into headers. */
export interface ForwardedCertificateFormat {
  /** All headers that it reads, in any case. They are kept out of the executor's context. */
  readonly headers: readonly string[];
  /**
   * Reads the certificate from the headers of a request that came from the proxy. It must be one that the proxy saw its
   * key used for.
   *
   * @returns undefined when the caller presented none
   * @throws {MalformedCredential} when the headers say anything else
   */
  read(request: Pick<AuthRequest, 'header'>): PresentedCertificate | undefined;
}

/** From whom, and in which format, client certificates in headers are accepted. */
export interface ForwardedCertificateOptions {
  /**
   * The addresses of the proxies: IPv4 or IPv6 addresses, or ranges in CIDR notation such as `10.0.0.0/8`. They are
   * compared with the other end of the TCP connection, never with what a header says. A proxy on a Unix socket has no
   * address, so it cannot be named.
   */
  readonly from: readonly string[];
  /** Such as `nginxClientCertificate()`. */
  readonly format: ForwardedCertificateFormat;
}

/** Certificates in headers, as configured. */
export interface CertificateForwarding {
  /** In lower case. */
  readonly headers: readonly string[];
  /** The request as schemes are to see it. */
  view(request: AuthRequest): AuthRequest;
}

const none: readonly string[] = Object.freeze([]);

/**
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function certificateForwarding(options: ForwardedCertificateOptions): CertificateForwarding {
  checkOptions('forwardedCertificate', options, { from: 'any', format: 'any' });
  const { from, format } = options;
  const { read, headers: names } = (format ?? {}) as Partial<ForwardedCertificateFormat>;
  if (typeof read !== 'function' || !Array.isArray(names) || names.length === 0) {
    throw invalid(
      'format must say how the proxy writes certificates: clientCertHeader(), nginxClientCertificate(), envoyClientCertificate(), albClientCertificate(), or your own { headers, read }.',
    );
  }
  const isProxy = addressMatcher(from);
  const headers = format.headers.map((name) => name.toLowerCase());
  let hasWarned = false;

  return {
    headers,
    view(request) {
      if (request instanceof ForwardedRequest) return request;
      const present = headers.filter((name) => request.header(name).length > 0);
      if (present.length === 0 || isProxy(request.peerAddress))
        return new ForwardedRequest(request, format, isProxy, none);
      const warnings = present.map(
        (name) =>
          `The header "${name}" of ${request.peerAddress ?? 'a peer without an address'} was ignored: it is none of the proxies in forwardedCertificate.from.`,
      );
      if (!hasWarned) {
        hasWarned = true;
        process.emitWarning(`${warnings.join(' ')} This is told once; see onDecision for the rest.`, {
          code: 'A2A_AUTH_FORWARDED_CERTIFICATE',
        });
      }
      return new ForwardedRequest(request, format, isProxy, warnings);
    },
  };
}

/** What is to be told of a request besides its decision. */
export function warningsOf(request: AuthRequest | undefined): readonly string[] {
  return request instanceof ForwardedRequest ? request.warnings : none;
}

/** A request whose client certificate is what the proxy says, where it comes from a proxy. */
class ForwardedRequest implements AuthRequest {
  readonly warnings: readonly string[];
  readonly #request: AuthRequest;
  readonly #format: ForwardedCertificateFormat;
  readonly #isProxy: (address: string | undefined) => boolean;
  #read: { readonly certificate: PresentedCertificate | undefined } | undefined;

  constructor(
    request: AuthRequest,
    format: ForwardedCertificateFormat,
    isProxy: (address: string | undefined) => boolean,
    warnings: readonly string[],
  ) {
    this.warnings = warnings;
    this.#request = request;
    this.#format = format;
    this.#isProxy = isProxy;
  }

  get method(): string {
    return this.#request.method;
  }

  get url(): string {
    return this.#request.url;
  }

  get remoteAddress(): string | undefined {
    return this.#request.remoteAddress;
  }

  get peerAddress(): string | undefined {
    return this.#request.peerAddress;
  }

  get clientCertificate(): PresentedCertificate | undefined {
    this.#read ??= { certificate: this.#certificate() };
    return this.#read.certificate;
  }

  /**
   * A proxy's own certificate is never the caller's. A peer without an address may be a proxy: whoever makes it hang up takes
   * its address away, and leaves its certificate.
   */
  #certificate(): PresentedCertificate | undefined {
    const { peerAddress } = this.#request;
    if (this.#isProxy(peerAddress)) return forwarded(this.#format.read(this.#request));
    return peerAddress === undefined || peerAddress === '' ? undefined : this.#request.clientCertificate;
  }

  header(name: string): readonly string[] {
    return this.#request.header(name);
  }

  query(name: string): readonly string[] {
    return this.#request.query(name);
  }

  cookie(name: string): readonly string[] {
    return this.#request.cookie(name);
  }
}

function forwarded(certificate: PresentedCertificate | undefined): PresentedCertificate | undefined {
  return certificate && { ...certificate, tlsError: 'forwarded' };
}

/**
 * Whether an address is among these. One that is not known is not: a connection that was torn down has none any more,
 * and whoever wants to be taken for a proxy on a Unix socket could tear its own down.
 */
function addressMatcher(from: readonly string[]): (address: string | undefined) => boolean {
  if (!Array.isArray(from) || from.length === 0) {
    throw invalid("from must list the addresses of your proxies, such as ['10.0.0.7', '10.1.0.0/16'].");
  }
  const list = new BlockList();
  for (const entry of from) {
    const [network = '', prefix, ...rest] = typeof entry === 'string' ? entry.split('/') : [];
    const family = familyOf(network);
    const bits = family === 'ipv4' ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (family === undefined || rest.length > 0 || length < 0 || length > bits) {
      throw invalid(
        `from has ${JSON.stringify(entry)}, which is no IP address and no CIDR range. Names of hosts cannot be used.`,
      );
    }
    if (length === 0) {
      throw invalid(
        `from has ${JSON.stringify(entry)}, which is everybody: any caller could write certificates into headers. List your proxies.`,
      );
    }
    list.addSubnet(network, length, family);
  }
  return (address) => {
    if (address === undefined) return false;
    const family = familyOf(address);
    return family !== undefined && list.check(address, family);
  };
}

/** Link-local addresses with a zone are left out: the zone says which machine is meant, and ranges have none. */
function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  if (address.includes('%')) return undefined;
  return ({ 4: 'ipv4', 6: 'ipv6' } as const)[isIP(address)];
}

function invalid(message: string): Error {
  return configurationError('INVALID_OPTION', `forwardedCertificate: ${message}`);
}

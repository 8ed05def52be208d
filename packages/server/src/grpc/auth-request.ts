import { isIP } from 'node:net';

import type { Metadata } from '@grpc/grpc-js';

import type { AuthRequest, PresentedCertificate } from '../auth-request.js';
import type { Call } from './caller.js';

const none: readonly string[] = Object.freeze([]);

/** The neutral view of a gRPC call. */
export function toAuthRequest(call: Call): AuthRequest {
  return new GrpcAuthRequest(call);
}

class GrpcAuthRequest implements AuthRequest {
  readonly method = 'POST';
  readonly #call: Call;
  readonly #metadata: Metadata;
  /** Read at once: a connection that was torn down has none any more. */
  readonly #peer: string;

  constructor(call: Call) {
    this.#peer = call.getPeer();
    this.#call = call;
    this.#metadata = call.metadata;
  }

  get peerAddress(): string | undefined {
    return addressOf(this.#peer);
  }

  get remoteAddress(): string | undefined {
    return this.peerAddress;
  }

  /**
   * gRPC names a service by `https`, and grpc-js does not tell whether the connection is encrypted. The authority is the
   * caller's word alone, so it counts only as what it should be: a host and a port, never a part of the path.
   */
  get url(): string {
    const host = this.#call.getHost();
    const authority = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/.test(host) ? host : 'invalid';
    return `https://${authority}${this.#call.getPath()}`;
  }

  /** grpc-js hands on the certificate alone, without its chain, and only when the TLS layer accepted it. */
  get clientCertificate(): PresentedCertificate | undefined {
    const { sslPeerCertificate } = this.#call.getAuthContext();
    return sslPeerCertificate === undefined ? undefined : { der: sslPeerCertificate.raw };
  }

  /**
   * What Node's HTTP/2 leaves of a repeated name: the values joined by a comma, so that they are no credential any more, or for
   * `authorization` the first of them.
   */
  header(name: string): readonly string[] {
    const values = this.#metadata.get(name);
    // Binary metadata is nobody's credential.
    return values.every((value) => typeof value === 'string') ? values : none;
  }

  query(): readonly string[] {
    return none;
  }

  cookie(): readonly string[] {
    return none;
  }
}

/** An IPv6 address comes without brackets before its port; a Unix socket has none. */
function addressOf(peer: string): string | undefined {
  const address = peer.replace(/:\d+$/, '');
  return isIP(address) === 0 ? undefined : address;
}

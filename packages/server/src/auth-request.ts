/**
 * What a security scheme may see of a request, whatever binding it came by. Every look-up returns all values in the
 * order sent, so that a scheme can tell a repeated credential from a single one.
 */
export interface AuthRequest {
  /** HTTP method; `POST` for gRPC. */
  readonly method: string;
  /** The absolute URL the caller addressed, as far as the server can know it. */
  readonly url: string;
  /** The peer's address, after the framework's own handling of trusted proxies. */
  readonly remoteAddress: string | undefined;
  /** The certificate that the peer proved to own in the TLS handshake, trusted or not. */
  readonly clientCertificate?: PresentedCertificate | undefined;
  /** Header names are matched without regard to case. */
  header(name: string): readonly string[];
  /** Query parameters, decoded. Names are case-sensitive. */
  query(name: string): readonly string[];
  /** Cookies, decoded. Names are case-sensitive. */
  cookie(name: string): readonly string[];
}

/** A client certificate as it came with the connection. */
export interface PresentedCertificate {
  /** The DER form. */
  readonly der: Uint8Array;
}

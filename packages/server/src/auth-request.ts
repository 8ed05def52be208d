/**
 * What a security scheme may see of a request, whatever binding it came by. Every look-up returns all values in the
 * order sent, so that a scheme can tell a repeated credential from a single one.
 */
export interface AuthRequest {
  /** HTTP method; `POST` for gRPC. */
  readonly method: string;
  /** The absolute URL the caller addressed, as far as the server can know it. */
  readonly url: string;
  /** The caller's address, after the framework's own handling of trusted proxies. */
  readonly remoteAddress: string | undefined;
  /** The address of whoever holds the other end of the connection: the last proxy, where there is one. */
  readonly peerAddress?: string | undefined;
  /**
   * The certificate that the peer proved to own in the TLS handshake, trusted or not.
   *
   * @throws {MalformedCredential} when a proxy passed on something that is no certificate
   */
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
  /** The certificates that were sent besides it, in DER, in the order sent. Left out: none are known. */
  readonly chain?: readonly Uint8Array[] | undefined;
  /**
   * What the TLS layer of this process found: `undefined` when it accepted the certificate; its error code (such as
   * `CERT_HAS_EXPIRED`) when it did not; `forwarded` when a proxy had the connection.
   */
  readonly tlsError?: string | undefined;
}

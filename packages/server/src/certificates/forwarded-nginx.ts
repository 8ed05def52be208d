import type { ForwardedCertificateFormat } from '../forwarded-certificate.js';
import { checkOptions } from '../options.js';
import { fromEscapedPem } from './forwarded-pem.js';
import { headerName, malformed, presented, singleValue } from './forwarded-header.js';

export interface NginxClientCertificateOptions {
  /** The header that nginx sets to `$ssl_client_escaped_cert`. Default `ssl-client-cert`. */
  readonly header?: string;
  /**
   * The header that nginx sets to `$ssl_client_verify`. It can only refuse: a certificate that nginx did not find to be
   * good is refused, whatever this agent thinks of it. Leave it out of nginx's configuration where the agent alone is to
   * judge (`ssl_verify_client optional_no_ca`). Default `ssl-client-verify`.
   */
  readonly verifyHeader?: string;
}

/**
 * nginx's `$ssl_client_escaped_cert`: the certificate as percent-encoded PEM, without its chain.
 *
 * ```nginx
 * proxy_set_header ssl-client-cert $ssl_client_escaped_cert;
 * ```
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when a name is no header name
 */
export function nginxClientCertificate(
  options: NginxClientCertificateOptions = {},
): ForwardedCertificateFormat {
  const owner = 'nginxClientCertificate()';
  checkOptions(owner, options, { header: 'any', verifyHeader: 'any' });
  const header = headerName(owner, options.header ?? 'ssl-client-cert');
  const verifyHeader = headerName(owner, options.verifyHeader ?? 'ssl-client-verify');
  return {
    headers: [header, verifyHeader],
    read(request) {
      const value = singleValue(request, header);
      const verdict = singleValue(request, verifyHeader);
      if (value === undefined) {
        if (verdict === 'SUCCESS') throw malformed(verifyHeader, `is SUCCESS, but there is no "${header}"`);
        return undefined;
      }
      if (verdict !== undefined && verdict !== 'SUCCESS')
        throw malformed(verifyHeader, 'says that nginx did not verify the certificate');
      const ders = fromEscapedPem(header, value);
      if (ders.length !== 1) throw malformed(header, 'holds several certificates');
      return presented(header, ders);
    },
  };
}

import type { ForwardedCertificateFormat } from '../forwarded-certificate.js';
import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import { malformed, presented, singleValue } from './forwarded-header.js';
import { fromEscapedPem } from './forwarded-pem.js';

const headerOf = {
  verify: 'x-amzn-mtls-clientcert-leaf',
  passthrough: 'x-amzn-mtls-clientcert',
} as const;

/** What a load balancer tells besides the certificate. */
const details = ['serial-number', 'issuer', 'subject', 'validity'].map(
  (detail) => `x-amzn-mtls-clientcert-${detail}`,
);

export interface AlbClientCertificateOptions {
  /**
   * The mutual TLS mode of the listener: `verify` forwards the certificate that the load balancer verified, `passthrough`
   * the whole chain that the caller sent. There is no default: the header of the other mode is not the load balancer's
   * word.
   */
  readonly mode: 'verify' | 'passthrough';
}

/**
 * The headers of an AWS Application Load Balancer whose listener has mutual TLS: percent-encoded PEM in
 * `X-Amzn-Mtls-Clientcert-Leaf` (verify) or `X-Amzn-Mtls-Clientcert` (passthrough).
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when the mode is none
 */
export function albClientCertificate(options: AlbClientCertificateOptions): ForwardedCertificateFormat {
  checkOptions('albClientCertificate()', options, { mode: 'any' });
  const { mode } = options;
  if (!Object.hasOwn(headerOf, mode)) {
    throw configurationError(
      'INVALID_OPTION',
      `albClientCertificate(): mode must be 'verify' or 'passthrough', as the listener's mutual TLS is set.`,
    );
  }
  const header = headerOf[mode];
  const other = headerOf[mode === 'verify' ? 'passthrough' : 'verify'];
  return {
    headers: [header, other, ...details],
    read(request) {
      if (request.header(other).length > 0)
        throw malformed(other, `is not what a listener in ${mode} mode sends`);
      const value = singleValue(request, header);
      if (value === undefined) return undefined;
      const ders = fromEscapedPem(header, value);
      if (mode === 'verify' && ders.length !== 1) throw malformed(header, 'holds several certificates');
      return presented(header, ders);
    },
  };
}

import type { ForwardedCertificateFormat } from '../forwarded-certificate.js';
import { fromBase64, malformed, MAX_CERTIFICATES, presented, singleValue } from './forwarded-header.js';

const CERTIFICATE = 'client-cert';
const CHAIN = 'client-cert-chain';

/**
 * `Client-Cert` and `Client-Cert-Chain` (RFC 9440), as HAProxy, Cloudflare and Google Cloud can send them. The proxy must
 * remove both from what callers send.
 */
export function clientCertHeader(): ForwardedCertificateFormat {
  return {
    headers: [CERTIFICATE, CHAIN],
    read(request) {
      const value = singleValue(request, CERTIFICATE);
      // A list may be spread over several lines (RFC 8941 §4.2).
      const lines = request.header(CHAIN).filter((line) => line !== '');
      if (value === undefined) {
        // RFC 9440 §2.3
        if (lines.length > 0) throw malformed(CHAIN, `came without "${CERTIFICATE}"`);
        return undefined;
      }
      const members = lines.flatMap((line) => line.split(','));
      if (members.length > MAX_CERTIFICATES)
        throw malformed(CHAIN, `holds more than ${String(MAX_CERTIFICATES)} certificates`);
      const chain = members.map((member) => fromByteSequence(CHAIN, member.replace(/^[ \t]+|[ \t]+$/g, '')));
      return presented(CERTIFICATE, [fromByteSequence(CERTIFICATE, value), ...chain]);
    },
  };
}

/** RFC 8941 §3.3.5. Neither header has parameters (RFC 9440 §2.2, §2.3). */
function fromByteSequence(name: string, item: string): Uint8Array {
  if (item.length < 2 || !item.startsWith(':') || !item.endsWith(':'))
    throw malformed(name, 'is no byte sequence');
  return fromBase64(name, item.slice(1, -1));
}

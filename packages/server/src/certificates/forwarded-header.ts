import { X509Certificate } from 'node:crypto';

import type { AuthRequest, PresentedCertificate } from '../auth-request.js';
import { configurationError, MalformedCredential } from '../errors.js';

/** Longer than any header that Node accepts unless told to, and as long as a load balancer's whole head may be. */
const MAX_VALUE = 64 * 1024;

/** More than any chain that is let in has. To be looked at before anything is decoded. */
export const MAX_CERTIFICATES = 16;

/** What a forwarded certificate is read from. */
export type Headers = Pick<AuthRequest, 'header'>;

/**
 * The one value of a header. Proxies send an empty one, or none, for a caller without a certificate.
 *
 * @throws {MalformedCredential} when it is repeated or huge
 */
export function singleValue(request: Headers, name: string): string | undefined {
  const values = request.header(name);
  if (values.length > 1) throw malformed(name, 'is repeated');
  const [value] = values;
  if (value === undefined || value === '') return undefined;
  if (value.length > MAX_VALUE) throw malformed(name, `is longer than ${String(MAX_VALUE)} characters`);
  return value;
}

/**
 * The certificate that these bytes are, with those that were sent besides it.
 *
 * @param ders the caller's own certificate first
 * @throws {MalformedCredential} when one of them is no certificate, or more than one
 */
export function presented(name: string, ders: readonly Uint8Array[]): PresentedCertificate {
  const [der, ...chain] = ders;
  if (der === undefined) throw malformed(name, 'holds no certificate');
  for (const each of ders) assertCertificate(name, each);
  return { der, chain };
}

function assertCertificate(name: string, der: Uint8Array): void {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(der);
  } catch {
    throw malformed(name, 'holds something that is no certificate');
  }
  // Node reads PEM here too, and does not mind what follows a certificate.
  if (!certificate.raw.equals(der)) throw malformed(name, 'holds a certificate that is not plain DER');
}

/**
 * Bytes in the canonical spelling of base64 (RFC 4648 §3.5): padded, without white space, and without loose bits.
 *
 * @throws {MalformedCredential}
 */
export function fromBase64(name: string, text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== text)
    throw malformed(name, 'holds something that is no base64');
  return bytes;
}

/** Never quotes the value: whoever sent it decides what is in it. */
export function malformed(name: string, problem: string): MalformedCredential {
  return new MalformedCredential(`The header "${name}" ${problem}.`);
}

/**
 * A header name, in lower case.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when it is none (RFC 9110 §5.1)
 */
export function headerName(owner: string, name: string): string {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw configurationError(
      'INVALID_OPTION',
      `${owner}: ${JSON.stringify(name)} is no name of a header. Write it as the proxy does, such as "ssl-client-cert".`,
    );
  }
  return name.toLowerCase();
}

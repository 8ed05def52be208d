import type { AuthRequest, PresentedCertificate } from '../auth-request.js';
import { configurationError, MalformedCredential } from '../errors.js';
import { readElement, sequenceOf, tags, type Element } from './der.js';

/** Longer than any header that Node accepts unless told to, and as long as a load balancer's whole head may be. */
const MAX_VALUE = 64 * 1024;

/** More than any chain that is let in has. To be looked at before anything is decoded. */
export const MAX_CERTIFICATES = 16;

/** What is signed, by which algorithm, and the signature. */
const outline = [tags.sequence, tags.sequence, tags.bitString].join();

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
 * @throws {MalformedCredential} when there is none, or one of them is no certificate
 */
export function presented(name: string, ders: readonly Uint8Array[]): PresentedCertificate {
  const [der, ...chain] = ders;
  if (der === undefined) throw malformed(name, 'holds no certificate');
  for (const each of ders) assertCertificate(name, each);
  return { der, chain };
}

/**
 * The outline of RFC 5280 §4.1, and nothing behind it. What is in it is for the trust to read, which remembers it: the header
 * comes with every request.
 */
function assertCertificate(name: string, der: Uint8Array): void {
  let parts: readonly Element[];
  try {
    parts = sequenceOf(readElement(der));
  } catch {
    throw malformed(name, 'holds something that is no certificate');
  }
  if (parts.map(({ tag }) => tag).join() !== outline)
    throw malformed(name, 'holds DER that is no certificate');
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

import { fromBase64, malformed, MAX_CERTIFICATES } from './forwarded-header.js';

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

/**
 * Certificates in PEM (RFC 7468), percent-encoded so that they fit in a header. Which characters are encoded differs from
 * proxy to proxy; a "+" that is not encoded stands for itself.
 *
 * @param name of the header
 * @throws {MalformedCredential} when there is anything besides certificates, or a certificate is not written as proxies do
 */
export function fromEscapedPem(name: string, value: string): Uint8Array[] {
  // RFC 3986 §2.3, and what base64 needs besides it.
  if (!/^(?:[A-Za-z0-9\-._~+/=]|%[0-9A-Fa-f]{2})+$/.test(value))
    throw malformed(name, 'is not percent-encoded as a certificate is');
  let text: string;
  try {
    text = decodeURIComponent(value);
  } catch {
    throw malformed(name, 'is percent-encoded, but is no text');
  }
  const blocks = text.replaceAll('\r\n', '\n').split(`${END}\n`);
  // The last line may end without a line break.
  const last = blocks.pop() ?? '';
  if (last.endsWith(END)) blocks.push(last.slice(0, -END.length));
  else if (last !== '') throw malformed(name, 'holds something besides certificates in PEM');
  if (blocks.length > MAX_CERTIFICATES)
    throw malformed(name, `holds more than ${String(MAX_CERTIFICATES)} certificates`);
  return blocks.map((block) => fromBlock(name, block));
}

/** Any header, comment or nested boundary is left in the body, and is no base64. */
function fromBlock(name: string, block: string): Uint8Array {
  if (!block.startsWith(`${BEGIN}\n`) || !block.endsWith('\n'))
    throw malformed(name, 'holds something besides certificates in PEM');
  return fromBase64(name, block.slice(BEGIN.length + 1).replaceAll('\n', ''));
}

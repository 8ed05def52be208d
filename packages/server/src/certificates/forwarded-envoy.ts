import { hash } from 'node:crypto';

import type { PresentedCertificate } from '../auth-request.js';
import { configurationError } from '../errors.js';
import type { ForwardedCertificateFormat } from '../forwarded-certificate.js';
import { checkOptions } from '../options.js';
import { malformed, presented, singleValue } from './forwarded-header.js';
import { fromEscapedPem } from './forwarded-pem.js';

const HEADER = 'x-forwarded-client-cert';

/** Envoy repeats the others for each name that a certificate has. */
const atMostOnce = new Set(['hash', 'cert', 'chain', 'subject']);
const repeatable = new Set(['by', 'uri', 'dns']);

export interface EnvoyClientCertificateOptions {
  /**
   * Envoy's `forward_client_cert_details`. With `SANITIZE_SET` the header has one element, Envoy's own, and anything more
   * is refused. With `APPEND_FORWARD` the last one is Envoy's, and those before it are whatever the caller sent. Default
   * `SANITIZE_SET`.
   */
  readonly forwardClientCertDetails?: 'SANITIZE_SET' | 'APPEND_FORWARD';
}

/**
 * Envoy's `X-Forwarded-Client-Cert`. `set_current_client_cert_details` must have `cert` or `chain`: by its hash alone a
 * certificate cannot be verified, and such an element is refused.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when the mode is none that is supported
 */
export function envoyClientCertificate(
  options: EnvoyClientCertificateOptions = {},
): ForwardedCertificateFormat {
  checkOptions('envoyClientCertificate()', options, { forwardClientCertDetails: 'any' });
  const { forwardClientCertDetails: mode = 'SANITIZE_SET' } = options;
  if (!['SANITIZE_SET', 'APPEND_FORWARD'].includes(mode)) {
    throw configurationError(
      'INVALID_OPTION',
      `envoyClientCertificate(): forwardClientCertDetails must be 'SANITIZE_SET' or 'APPEND_FORWARD'. In other modes Envoy sends what the caller wrote, or nothing.`,
    );
  }
  return {
    headers: [HEADER],
    read(request) {
      const value = singleValue(request, HEADER);
      if (value === undefined) return undefined;
      const elements = parseElements(value);
      if (mode === 'SANITIZE_SET' && elements.length > 1)
        throw malformed(
          HEADER,
          'has several elements, but Envoy is said to send only its own (SANITIZE_SET)',
        );
      return certificateOf(elements.at(-1) ?? []);
    },
  };
}

type Pair = readonly [key: string, value: string];

function certificateOf(element: readonly Pair[]): PresentedCertificate {
  const values = new Map(element);
  for (const key of atMostOnce) {
    if (element.filter(([each]) => each === key).length > 1) throw malformed(HEADER, `has "${key}" twice`);
  }
  const certificate = values.get('cert');
  const chain = values.get('chain');
  if (certificate === undefined && chain === undefined)
    throw malformed(HEADER, 'has neither Cert nor Chain, without which nothing can be verified');
  const leaf = certificate === undefined ? [] : fromEscapedPem(HEADER, certificate);
  if (leaf.length > 1) throw malformed(HEADER, 'holds several certificates in Cert');
  // The chain begins with the certificate itself.
  const ders = chain === undefined ? leaf : fromEscapedPem(HEADER, chain);
  const [der] = ders;
  if (der === undefined || (leaf[0] !== undefined && !Buffer.from(der).equals(leaf[0])))
    throw malformed(HEADER, 'has a Chain that does not begin with Cert');
  // Envoy always sends the digest. It quotes no URI, so that a certificate with an odd one could add pairs of its own.
  if (values.get('hash')?.toLowerCase() !== hash('sha256', Buffer.from(der), 'hex'))
    throw malformed(HEADER, 'has a Hash that is not that of its certificate');
  return presented(HEADER, ders);
}

/**
 * Elements are parted by commas, their pairs by semicolons. A value is plain, or quoted with backslashes before quotes and
 * (as Envoy writes subjects) other characters. All of the header has to be well-formed: a quote that is left open in one
 * element would swallow the next.
 */
function parseElements(value: string): Pair[][] {
  const elements: Pair[][] = [[]];
  // Sticky, so that nothing is passed over.
  const pattern = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;\\]*))([;,]|$)/y;
  for (;;) {
    const match = pattern.exec(value);
    if (match === null) throw malformed(HEADER, 'is not well-formed');
    const [, name = '', quoted, plain = '', separator] = match;
    const key = name.toLowerCase();
    if (!atMostOnce.has(key) && !repeatable.has(key)) throw malformed(HEADER, 'has a key that is not known');
    elements.at(-1)?.push([key, quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1')]);
    if (separator === '') return elements;
    if (separator === ',') {
      elements.push([]);
      // Where the header came in several lines, HTTP joins them with a space.
      while (value[pattern.lastIndex] === ' ') pattern.lastIndex++;
    }
  }
}

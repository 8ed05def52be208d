import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto';
import { isIPv4 } from 'node:net';

import {
  bitString,
  boolean,
  element,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from './der-writer.js';

/** A key and the certificate for it, in PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** An authority that signs: its name as in its certificate, and its key. */
export interface Signer {
  readonly commonName: string;
  readonly key: KeyObject;
}

type Purpose =
  | { readonly kind: 'authority' }
  | { readonly kind: 'server'; readonly names: readonly string[] }
  | { readonly kind: 'client'; readonly uri?: string | undefined };

const extendedKeyUsages = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' };
const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Makes a P-256 key and a certificate for it (RFC 5280), signed by `signer`, or by itself without one. */
export function issueCertificate(
  commonName: string,
  purpose: Purpose,
  days: number,
  signer?: Signer,
): Issued {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = signer ?? { commonName, key: privateKey };
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const issuerSpki =
    signer === undefined ? spki : createPublicKey(signer.key).export({ type: 'spki', format: 'der' });
  const now = Date.now();
  const tbs = sequence(
    element(0xa0, integer(2)),
    integer(serialNumber()),
    ecdsaWithSha256,
    name(issuer.commonName),
    // A clock that is a little behind accepts it as well.
    sequence(time(new Date(now - 5 * MINUTE_MS)), time(new Date(now + days * DAY_MS))),
    name(commonName),
    spki,
    element(
      0xa3,
      sequence(
        ...extensionsFor(purpose),
        extension('2.5.29.14', octetString(keyIdentifier(spki))),
        extension('2.5.29.35', sequence(element(0x80, keyIdentifier(issuerSpki)))),
      ),
    ),
  );
  const der = sequence(tbs, ecdsaWithSha256, bitString(sign('sha256', tbs, issuer.key)));
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function extensionsFor(purpose: Purpose): Buffer[] {
  if (purpose.kind === 'authority') {
    return [
      // It signs no other authority (pathLenConstraint 0).
      extension('2.5.29.19', sequence(boolean(true), integer(0)), true),
      // keyCertSign, cRLSign
      extension('2.5.29.15', bitString(Uint8Array.of(0b0000_0110), 1), true),
    ];
  }
  const alternativeNames =
    purpose.kind === 'server'
      ? purpose.names.map(hostName)
      : [purpose.uri].flatMap((uri) => (uri === undefined ? [] : [element(0x86, Buffer.from(uri))]));
  return [
    extension('2.5.29.19', sequence(), true),
    // digitalSignature
    extension('2.5.29.15', bitString(Uint8Array.of(0b1000_0000), 7), true),
    extension('2.5.29.37', sequence(objectIdentifier(extendedKeyUsages[purpose.kind]))),
    ...(alternativeNames.length === 0 ? [] : [extension('2.5.29.17', sequence(...alternativeNames))]),
  ];
}

function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

function name(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8String(commonName))));
}

/** A GeneralName: iPAddress or dNSName. */
function hostName(host: string): Buffer {
  if (isIPv4(host)) return element(0x87, Uint8Array.from(host.split('.').map(Number)));
  if (host === '::1') return element(0x87, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
  return element(0x82, Buffer.from(host));
}

function serialNumber(): Buffer {
  const octets = randomBytes(16);
  // Positive, and not shorter for a leading zero (RFC 5280 §4.1.2.2).
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40;
  return octets;
}

function keyIdentifier(spki: Uint8Array): Buffer {
  return createHash('sha256').update(spki).digest().subarray(0, 20);
}

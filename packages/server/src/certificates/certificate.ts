import { hash, X509Certificate } from 'node:crypto';

import {
  childrenOf,
  expectTag,
  MalformedDer,
  readBitString,
  readBoolean,
  readElement,
  readInteger,
  readObjectIdentifier,
  readSmallInteger,
  readTime,
  sequenceOf,
  tags,
  type Element,
} from './der.js';
import {
  canonicalName,
  readDistinguishedName,
  readGeneralName,
  type DistinguishedName,
  type GeneralName,
} from './names.js';
import { keyProblem, readSignatureAlgorithm, type SignatureAlgorithm } from './signature.js';

/** A certificate (RFC 5280 §4), read as far as verifying it needs. */
export interface Certificate {
  /** OpenSSL's view of it, which proves signatures. */
  readonly x509: X509Certificate;
  /** SHA-256 of the DER form, as lower-case hex. */
  readonly fingerprint: string;
  /** SHA-256 of the public key (SPKI), as lower-case hex. */
  readonly keyDigest: string;
  readonly serialNumber: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  /** For comparing; see `canonicalName`. */
  readonly subjectKey: string;
  readonly issuerKey: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  /** Milliseconds since the epoch; still good in this very second. */
  readonly notAfter: number;
  /** Undefined when the signature's algorithm is unknown or weak. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined;
  readonly isAuthority: boolean;
  readonly pathLength: number | undefined;
  /** The bits of the first two octets; undefined without the extension. */
  readonly keyUsage: number | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly alternativeNames: readonly GeneralName[];
  readonly nameConstraints: NameConstraints | undefined;
}

export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

export const keyUsages = { digitalSignature: 0x8000, keyCertSign: 0x0400, cRLSign: 0x0200 } as const;
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** Why a certificate can be used nowhere. The message may be logged. */
export class UnusableCertificate extends Error {
  override readonly name = 'UnusableCertificate';
}

const MAX_BYTES = 65_536;
const MAX_NAMES = 1_000;

/**
 * Reads a certificate. What is not understood entirely, and matters, is refused: critical extensions that are unknown,
 * extensions that come twice, weak keys.
 *
 * @throws {UnusableCertificate}
 */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.byteLength > MAX_BYTES) throw new UnusableCertificate('It is too large.');
  try {
    return read(der);
  } catch (error) {
    if (error instanceof UnusableCertificate) throw error;
    // OpenSSL's messages say nothing that helps.
    throw new UnusableCertificate(error instanceof MalformedDer ? error.message : 'It is not a certificate.');
  }
}

function read(der: Uint8Array): Certificate {
  const [tbs, outerAlgorithm, signature, ...rest] = sequenceOf(readElement(der));
  readBitString(signature);
  if (rest.length > 0) throw new MalformedDer('Something follows the signature.');

  const fields = sequenceOf(tbs);
  let version = 1;
  if (fields[0]?.tag === 0xa0) {
    version = readSmallInteger(readElement((fields.shift() as Element).content)) + 1;
  }
  const [serial, algorithm, issuerElement, validity, subjectElement, spki, ...optional] = fields;
  // RFC 5280 §4.1.1.2
  if (!algorithm?.encoded.equals(outerAlgorithm?.encoded ?? Buffer.of())) {
    throw new UnusableCertificate('It names two signature algorithms.');
  }
  const [notBefore, notAfter, ...more] = sequenceOf(validity);
  if (more.length > 0) throw new MalformedDer('The validity has more than two times.');
  const subject = readDistinguishedName(subjectElement);
  const issuer = readDistinguishedName(issuerElement);
  const extensions = readExtensions(version, optional);

  const x509 = new X509Certificate(der);
  // OpenSSL looks for PEM first, wherever in the bytes: a certificate may have another one within.
  if (!x509.raw.equals(der)) throw new UnusableCertificate('OpenSSL reads another certificate in it.');
  const problem = keyProblem(x509.publicKey);
  if (problem !== undefined) throw new UnusableCertificate(problem);
  return {
    x509,
    fingerprint: hash('sha256', der, 'hex'),
    keyDigest: hash('sha256', expectTag(spki, tags.sequence).encoded, 'hex'),
    serialNumber: readInteger(serial),
    subject,
    issuer,
    subjectKey: canonicalName(subject),
    issuerKey: canonicalName(issuer),
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    ...understand(extensions),
  };
}

/** The value of each extension, by its id (RFC 5280 §4.2). */
function readExtensions(version: number, optional: readonly Element[]): ReadonlyMap<string, Element> {
  const values = new Map<string, Element>();
  let order = 0;
  for (const { tag, content } of optional) {
    // [1] and [2] are unique identifiers, which nobody uses.
    if (![0x81, 0x82, 0xa3].includes(tag) || tag <= order) throw new MalformedDer('It has an unknown field.');
    order = tag;
    if (tag !== 0xa3) continue;
    if (version !== 3) throw new UnusableCertificate('It has extensions, and is not of version 3.');
    for (const extension of sequenceOf(readElement(content))) {
      const { id, isCritical, value } = readExtension(extension);
      if (values.has(id)) throw new UnusableCertificate(`It has the extension ${id} twice.`);
      if (isCritical && !understood.has(id)) {
        throw new UnusableCertificate(`It has the critical extension ${id}, which is not supported.`);
      }
      values.set(id, value);
    }
  }
  return values;
}

/** One extension of a certificate or a CRL. Its value is read only where it is understood. */
export function readExtension(extension: Element): {
  readonly id: string;
  readonly isCritical: boolean;
  readonly value: Element;
} {
  const parts = sequenceOf(extension);
  const isCritical = parts.length === 3 && readBoolean(parts[1] as Element);
  if (parts.length < 2 || parts.length > 3)
    throw new MalformedDer('An extension has a wrong number of parts.');
  return {
    id: readObjectIdentifier(parts[0]),
    isCritical,
    value: expectTag(parts.at(-1), tags.octetString),
  };
}

const ids = {
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  extendedKeyUsage: '2.5.29.37',
} as const;

const understood = new Set<string>([
  ...Object.values(ids),
  // Key identifiers only help to find the issuer; OpenSSL compares them.
  '2.5.29.14',
  '2.5.29.35',
  // No policy is asked for, so every set of policies will do (RFC 5280 §6.1.1 (c)). Constraints on them are not supported.
  '2.5.29.32',
]);

function understand(
  extensions: ReadonlyMap<string, Element>,
): Pick<
  Certificate,
  'isAuthority' | 'pathLength' | 'keyUsage' | 'extendedKeyUsage' | 'alternativeNames' | 'nameConstraints'
> {
  const valueOf = (id: string): Element | undefined => {
    const value = extensions.get(id);
    return value && readElement(value.content);
  };
  const keyUsage = valueOf(ids.keyUsage);
  const extendedKeyUsage = valueOf(ids.extendedKeyUsage);
  const alternativeNames = valueOf(ids.subjectAlternativeName);
  const nameConstraints = valueOf(ids.nameConstraints);
  return {
    ...readBasicConstraints(valueOf(ids.basicConstraints)),
    keyUsage: keyUsage && readKeyUsage(keyUsage),
    extendedKeyUsage: extendedKeyUsage && sequenceOf(extendedKeyUsage).map(readObjectIdentifier),
    alternativeNames: alternativeNames === undefined ? [] : readNames(sequenceOf(alternativeNames)),
    nameConstraints: nameConstraints && readNameConstraints(nameConstraints),
  };
}

/** RFC 5280 §4.2.1.9 */
function readBasicConstraints(element: Element | undefined): Pick<Certificate, 'isAuthority' | 'pathLength'> {
  const parts = element === undefined ? [] : sequenceOf(element);
  const isAuthority = parts[0]?.tag === tags.boolean && readBoolean(parts.shift() as Element);
  const pathLength = parts.length === 0 ? undefined : readSmallInteger(parts.shift());
  if (parts.length > 0 || (pathLength !== undefined && !isAuthority)) {
    throw new MalformedDer('The basic constraints are not well-formed.');
  }
  return { isAuthority, pathLength };
}

function readKeyUsage(element: Element): number {
  const { octets } = readBitString(element);
  return ((octets[0] ?? 0) << 8) | (octets[1] ?? 0);
}

function readNames(elements: readonly Element[]): GeneralName[] {
  if (elements.length > MAX_NAMES) throw new UnusableCertificate('It has too many names.');
  return elements.map(readGeneralName);
}

/** RFC 5280 §4.2.1.10 */
function readNameConstraints(element: Element): NameConstraints {
  const subtrees: Record<number, GeneralName[]> = {};
  for (const { tag, content } of sequenceOf(element)) {
    if ((tag !== 0xa0 && tag !== 0xa1) || subtrees[tag] !== undefined) {
      throw new MalformedDer('The name constraints are not well-formed.');
    }
    const bases = childrenOf({ tag, content, encoded: content }).map((subtree) => {
      const [base, ...bounds] = sequenceOf(subtree);
      // minimum is 0 and not written, and maximum is absent.
      if (base === undefined || bounds.length > 0)
        throw new UnusableCertificate('A name constraint has bounds.');
      return base;
    });
    subtrees[tag] = readNames(bases);
  }
  return { permitted: subtrees[0xa0] ?? [], excluded: subtrees[0xa1] ?? [] };
}

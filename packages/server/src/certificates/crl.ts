import type { Certificate } from './certificate.js';
import { keyUsages, readExtension } from './certificate.js';
import {
  MalformedDer,
  readBitString,
  readElement,
  readInteger,
  readSmallInteger,
  readTime,
  sequenceOf,
  tags,
  type Element,
} from './der.js';
import { canonicalName, nameToString, readDistinguishedName } from './names.js';
import { readPem } from './pem.js';
import { isSignedBy, readSignatureAlgorithm, type SignatureAlgorithm } from './signature.js';

/** A certificate revocation list (RFC 5280 §5). */
export interface RevocationList {
  readonly issuer: string;
  /** For comparing; see `canonicalName`. */
  readonly issuerKey: string;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly serialNumbers: ReadonlySet<string>;
  readonly signed: Buffer;
  readonly signature: Buffer;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** Whether the authority with this fingerprint signed it, once that was asked. */
  readonly isSignedBy: Map<string, boolean>;
}

const REASON_CODE = '2.5.29.21';
const MAX_ISSUERS = 100;

/**
 * Reads the CRLs of a file: PEM, or one in DER.
 *
 * @throws {TypeError} when it holds none
 * @throws {MalformedDer} when one is not well-formed, or not complete: a delta, or one for a part of the certificates
 */
export function readRevocationLists(content: Buffer): RevocationList[] {
  // What begins with a SEQUENCE is no text.
  if (content[0] === tags.sequence) return [readRevocationList(content)];
  const blocks = readPem(content.toString('latin1'));
  if (blocks.length === 0 || blocks.some(({ label }) => label !== 'X509 CRL')) {
    throw new TypeError('It must hold CRLs and nothing else.');
  }
  return blocks.map(({ der }) => readRevocationList(der));
}

function readRevocationList(der: Buffer): RevocationList {
  const [list, outerAlgorithm, signatureBits, ...rest] = sequenceOf(readElement(der));
  const fields = sequenceOf(list);
  if (list === undefined || rest.length > 0) throw new MalformedDer('It is not a CRL.');
  if (fields[0]?.tag === tags.integer && readSmallInteger(fields.shift()) !== 1) {
    throw new MalformedDer('It is of an unknown version.');
  }
  const [algorithm, issuerElement, thisUpdate, nextUpdate, ...optional] = fields;
  if (!algorithm?.encoded.equals(outerAlgorithm?.encoded ?? Buffer.of())) {
    throw new MalformedDer('It names two signature algorithms.');
  }
  const signatureAlgorithm = readSignatureAlgorithm(algorithm);
  if (signatureAlgorithm === undefined) throw new MalformedDer('Its signature algorithm is weak or unknown.');
  const revoked = optional[0]?.tag === tags.sequence ? sequenceOf(optional.shift()) : [];
  if (optional[0]?.tag === 0xa0) {
    const { content } = optional.shift() as Element;
    assertNoCritical(sequenceOf(readElement(content)), []);
  }
  if (optional.length > 0) throw new MalformedDer('It has an unknown field.');
  const issuer = readDistinguishedName(issuerElement);
  return {
    issuer: nameToString(issuer),
    issuerKey: canonicalName(issuer),
    thisUpdate: readTime(thisUpdate),
    // RFC 5280 §5.1.2.5: conforming authorities always say when the next one comes.
    nextUpdate: readTime(nextUpdate),
    serialNumbers: new Set(revoked.map(readEntry)),
    signed: list.encoded,
    signature: readBitString(signatureBits).octets,
    signatureAlgorithm,
    isSignedBy: new Map(),
  };
}

function readEntry(entry: Element): string {
  const [serial, , extensions] = sequenceOf(entry);
  if (extensions !== undefined) assertNoCritical(sequenceOf(extensions), [REASON_CODE]);
  return readInteger(serial);
}

/** The critical ones change what a list means: which certificates it is for, and whose they are. */
function assertNoCritical(extensions: readonly Element[], understood: readonly string[]): void {
  for (const extension of extensions) {
    const { id, isCritical } = readExtension(extension);
    if (isCritical && !understood.includes(id)) {
      throw new MalformedDer(`It has the critical extension ${id}, which is not supported.`);
    }
  }
}

export type RevocationStatus =
  | { readonly status: 'good'; readonly until: number }
  | { readonly status: 'revoked' }
  /** No list of this authority is good now. */
  | { readonly status: 'unknown'; readonly isMissing: boolean };

/** What the newest list of an authority says of a certificate that it issued. */
export function revocationStatus(
  lists: readonly RevocationList[],
  certificate: Certificate,
  issuer: Certificate,
  now: number,
): RevocationStatus {
  const newest = lists
    .filter((list) => list.issuerKey === certificate.issuerKey && isOf(list, issuer))
    .reduce<RevocationList | undefined>(
      (latest, list) => (latest === undefined || list.thisUpdate > latest.thisUpdate ? list : latest),
      undefined,
    );
  if (newest?.serialNumbers.has(certificate.serialNumber) === true) return { status: 'revoked' };
  if (newest === undefined || newest.thisUpdate > now || newest.nextUpdate <= now) {
    return { status: 'unknown', isMissing: newest === undefined };
  }
  return { status: 'good', until: newest.nextUpdate };
}

function isOf(list: RevocationList, issuer: Certificate): boolean {
  const known = list.isSignedBy.get(issuer.fingerprint);
  if (known !== undefined) return known;
  const { keyUsage, subjectKey } = issuer;
  const isSigned =
    subjectKey === list.issuerKey &&
    (keyUsage === undefined || (keyUsage & keyUsages.cRLSign) !== 0) &&
    isSignedBy(issuer.x509.publicKey, list.signatureAlgorithm, list.signed, list.signature);
  if (list.isSignedBy.size < MAX_ISSUERS) list.isSignedBy.set(issuer.fingerprint, isSigned);
  return isSigned;
}

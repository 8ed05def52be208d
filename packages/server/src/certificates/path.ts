import { CLIENT_AUTH, keyUsages, type Certificate } from './certificate.js';
import type { RevocationStatus } from './crl.js';
import { nameConstraintProblem } from './name-constraints.js';
import { nameToString } from './names.js';

/** Certificates by the name of their subject. */
type CertificateIndex = ReadonlyMap<string, readonly Certificate[]>;

/** Authorities that are trusted. */
export interface Anchors {
  /** Those that signed themselves. */
  readonly roots: CertificateIndex;
  /** Those that another one signed. They are trusted all the same. */
  readonly subordinates: CertificateIndex;
}

interface PathOptions {
  readonly anchors: Anchors;
  /** Certificates that may be between the leaf and an anchor. Nothing is believed of them. */
  readonly intermediates: readonly Certificate[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Whether a certificate is revoked; left out: it is not asked. */
  readonly revocation?: ((certificate: Certificate, issuer: Certificate) => RevocationStatus) | undefined;
}

export type PathResult =
  | {
      readonly found: true;
      /** The leaf first, the anchor last. */
      readonly path: readonly Certificate[];
      /** Milliseconds since the epoch: for how long that holds. */
      readonly until: number;
    }
  | PathFailure;

export interface PathFailure {
  readonly found: false;
  readonly reason: 'invalid' | 'expired' | 'revoked' | 'unavailable';
  readonly detail: string;
}

/** The longest chain, with the leaf and the anchor. */
export const MAX_PATH_LENGTH = 10;
/** How many ways from the leaf upwards are tried. Cross-signed authorities could have more than anybody has time for. */
const MAX_STEPS = 100;

/** Which of several failures is told: the one that says most. */
const rank = { invalid: 0, expired: 1, unavailable: 2, revoked: 3 } as const;

/**
 * Finds a chain from a certificate to a trusted authority and proves it (RFC 5280 §6.1, without policies).
 *
 * Chains are put together by names alone, which is cheap, and then proven from the anchor downwards. So nobody who has no
 * certificate of a trusted authority can make us use a key of their choice. Roots are preferred, since they outlive their
 * subordinates, and the anchor is a part of who the caller is.
 */
export function findPath(leaf: Certificate, options: PathOptions): PathResult {
  const { anchors, intermediates } = options;
  const signatures = new Map<string, boolean>();
  const budget = { steps: MAX_STEPS };
  let failure: PathFailure = fail('invalid', 'No trusted authority issued it.');

  const presented = indexBySubject(intermediates);
  const tries = [
    { anchors: anchors.roots, between: [presented, anchors.subordinates] },
    { anchors: anchors.subordinates, between: [presented] },
  ];
  for (const { anchors: ends, between } of tries) {
    for (const path of pathsFrom([leaf], ends, between, budget)) {
      const result = prove(path, options, signatures);
      if (result.found) return result;
      if (rank[result.reason] >= rank[failure.reason]) failure = result;
    }
  }
  return budget.steps > 0 || failure.reason !== 'invalid'
    ? failure
    : fail('invalid', 'There are too many possible chains.');
}

export function indexBySubject(certificates: Iterable<Certificate>): CertificateIndex {
  const index = new Map<string, Certificate[]>();
  for (const certificate of certificates) {
    const { subjectKey } = certificate;
    const others = index.get(subjectKey);
    if (others === undefined) index.set(subjectKey, [certificate]);
    else others.push(certificate);
  }
  return index;
}

function* pathsFrom(
  path: readonly Certificate[],
  anchors: CertificateIndex,
  between: readonly CertificateIndex[],
  budget: { steps: number },
): Generator<readonly Certificate[]> {
  for (const anchor of issuersIn(anchors, path)) {
    if (budget.steps-- <= 0) return;
    yield [...path, anchor];
  }
  if (path.length + 2 > MAX_PATH_LENGTH) return;
  for (const index of between) {
    for (const intermediate of issuersIn(index, path)) {
      if (budget.steps-- <= 0) return;
      yield* pathsFrom([...path, intermediate], anchors, between, budget);
    }
  }
}

/** What may have issued the end of a path. An authority is in a path once, however many certificates it has. */
function issuersIn(index: CertificateIndex, path: readonly Certificate[]): readonly Certificate[] {
  const last = path.at(-1) as Certificate;
  return (index.get(last.issuerKey) ?? []).filter(
    (issuer) =>
      last.x509.checkIssued(issuer.x509) &&
      !path.some(
        ({ keyDigest, subjectKey }) => keyDigest === issuer.keyDigest && subjectKey === issuer.subjectKey,
      ),
  );
}

function prove(
  path: readonly Certificate[],
  { now, revocation }: PathOptions,
  signatures: Map<string, boolean>,
): PathResult {
  let until = Math.min(...path.map(({ notAfter }) => notAfter));
  for (let position = path.length - 1; position > 0; position--) {
    const issuer = path[position] as Certificate;
    const certificate = path[position - 1] as Certificate;
    const failure =
      authorityFailure(issuer, path.slice(1, position), now) ??
      signatureFailure(certificate, issuer, signatures) ??
      nameFailure(issuer, path.slice(0, position));
    if (failure !== undefined) return failure;

    const revoked = revocation?.(certificate, issuer);
    if (revoked?.status === 'revoked') return fail('revoked', `${nameOf(certificate)} is revoked.`);
    if (revoked?.status === 'unknown') {
      return fail(
        'unavailable',
        `There is no current revocation list of ${nameOf(issuer)}: ${revoked.isMissing ? 'none is there' : 'it has ended'}.`,
      );
    }
    if (revoked !== undefined) until = Math.min(until, revoked.until);
  }
  return { found: true, path, until };
}

/** @param below the authorities between it and the leaf */
function authorityFailure(
  issuer: Certificate,
  below: readonly Certificate[],
  now: number,
): PathFailure | undefined {
  const { isAuthority, keyUsage, pathLength } = issuer;
  if (!isAuthority || (keyUsage !== undefined && (keyUsage & keyUsages.keyCertSign) === 0)) {
    return fail('invalid', `${nameOf(issuer)} is no authority and may not issue certificates.`);
  }
  // As OpenSSL and others do: an authority for servers does not vouch for clients.
  if (!allowsClients(issuer)) return fail('invalid', `${nameOf(issuer)} does not vouch for clients.`);
  if (pathLength !== undefined && below.filter((between) => !isSelfIssued(between)).length > pathLength) {
    return fail('invalid', `${nameOf(issuer)} may not have so many authorities under it.`);
  }
  return validityFailure(issuer, now);
}

function signatureFailure(
  certificate: Certificate,
  issuer: Certificate,
  signatures: Map<string, boolean>,
): PathFailure | undefined {
  if (certificate.signatureAlgorithm === undefined) {
    return fail('invalid', `The signature algorithm of ${nameOf(certificate)} is weak or unknown.`);
  }
  const pair = `${certificate.fingerprint} ${issuer.fingerprint}`;
  const isSigned = signatures.get(pair) ?? certificate.x509.verify(issuer.x509.publicKey);
  signatures.set(pair, isSigned);
  return isSigned ? undefined : fail('invalid', `${nameOf(issuer)} did not sign ${nameOf(certificate)}.`);
}

function nameFailure(issuer: Certificate, below: readonly Certificate[]): PathFailure | undefined {
  const { nameConstraints } = issuer;
  if (nameConstraints === undefined) return undefined;
  for (const [position, certificate] of below.entries()) {
    // RFC 5280 §6.1.3 (b)
    if (position > 0 && isSelfIssued(certificate)) continue;
    const problem = nameConstraintProblem(nameConstraints, certificate);
    if (problem !== undefined) return fail('invalid', `${nameOf(issuer)} ${problem}.`);
  }
  return undefined;
}

/** Says why a certificate is not good at a time, or undefined. */
export function validityFailure(certificate: Certificate, now: number): PathFailure | undefined {
  if (now >= certificate.notAfter) return fail('expired', `${nameOf(certificate)} has ended.`);
  if (now < certificate.notBefore) return fail('invalid', `${nameOf(certificate)} is not valid yet.`);
  return undefined;
}

/** No extended key usage is every usage (RFC 5280 §4.2.1.12); `anyExtendedKeyUsage` is not taken for this one. */
export function allowsClients({ extendedKeyUsage }: Certificate): boolean {
  return extendedKeyUsage === undefined || extendedKeyUsage.includes(CLIENT_AUTH);
}

export function isSelfIssued({ subjectKey, issuerKey }: Certificate): boolean {
  return subjectKey === issuerKey;
}

/** For the audit event; not longer than a line. */
function nameOf({ subject }: Certificate): string {
  const name = nameToString(subject);
  return name.length > 200 ? `${name.slice(0, 200)}…` : name === '' ? 'A certificate without a name' : name;
}

function fail(reason: PathFailure['reason'], detail: string): PathFailure {
  return { found: false, reason, detail };
}

import { hash } from 'node:crypto';
import { performance } from 'node:perf_hooks';

import { LRUCache } from 'lru-cache';

import type { PresentedCertificate } from '../auth-request.js';
import { configurationError, VerifierUnavailable } from '../errors.js';
import { checkOptions } from '../options.js';
import type { ClientCertificate } from '../principal.js';
import { keyUsages, readCertificate, UnusableCertificate, type Certificate } from './certificate.js';
import { revocationStatus, type RevocationStatus } from './crl.js';
import { subjectOf, type CertificateSubject } from './identity.js';
import { generalNameToString, nameToString } from './names.js';
import {
  allowsClients,
  findPath,
  isSelfIssued,
  MAX_PATH_LENGTH,
  validityFailure,
  type PathFailure,
  type PathResult,
} from './path.js';
import { spiffeIdProblem, trustDomainOf } from './spiffe.js';
import { trustSources, type TrustedCertificates } from './trust-sources.js';

/** Which client certificates are trusted. A certificate is accepted when any of these accepts it. */
export interface TrustOptions {
  /** Certificates of authorities, in PEM; a text may hold several. */
  readonly ca?: string | readonly string[] | undefined;
  /** Paths of PEM files with certificates of authorities. They are followed as they change. */
  readonly caFile?: string | readonly string[] | undefined;
  /**
   * The path of a folder of PEM files, such as `known_clients`. A certificate of an authority (basicConstraints CA) vouches
   * for those it issues; any other is accepted just as it is. A file that is added or removed takes effect within a second.
   */
  readonly folder?: string | undefined;
  /**
   * SHA-256 digests of certificates (in DER), as 64 hex digits with or without colons. They are accepted whoever issued
   * them, while they are valid.
   */
  readonly fingerprints?: readonly string[] | undefined;
  /**
   * SPIFFE trust domains by name, each with its bundle in PEM, or the path of a PEM file that is followed as it changes. An
   * authority speaks for its own domain alone, and nobody else does.
   */
  readonly spiffe?: Readonly<Record<string, string | { readonly file: string }>> | undefined;
  /**
   * Paths of CRLs in PEM or DER, or of folders of them. They are followed as they change. Given, every certificate that an
   * authority of `ca`, `caFile` or `folder` vouches for is looked up, and so is each authority between: one without a
   * current CRL of its issuer is not accepted. For SPIFFE, a CRL counts where there is one.
   */
  readonly crl?: string | readonly string[] | undefined;
}

/** Decides which client certificates are trusted, and follows its files as they change. */
export interface CertificateTrust {
  /**
   * Verifies a presented certificate as a client's. A verdict is remembered until the trust or the CRLs change, or a
   * certificate of its chain or a CRL ends.
   *
   * @param now default: the present
   * @throws {VerifierUnavailable} when it cannot tell: a CRL has ended, or a file of the trust cannot be read
   */
  verify(presented: PresentedCertificate, now?: Date): Promise<TrustVerdict>;
  /** For the TLS layer's `ca`, with `allowPartialTrustChain`: authorities, and certificates accepted as they are. PEM. */
  tlsAuthorities(): readonly string[];
  /**
   * Whether the TLS layer has to let certificates of unknown issuers through, to be judged by `verify` alone: those that are
   * accepted as they are, and those of subordinate authorities (servers of Node.js 20 know no `allowPartialTrustChain`). It
   * may become so when a file is added.
   */
  readonly acceptsUnknownIssuers: boolean;
  /** Looks at the files now; otherwise that is done with a verification, at most once a second. Whether any changed. */
  refresh(): Promise<boolean>;
}

export type TrustVerdict =
  | {
      readonly trusted: true;
      /** What accepted it: an authority, the folder that has it, its fingerprint, or a SPIFFE bundle. */
      readonly anchor: 'ca' | 'certificate' | 'fingerprint' | 'spiffe';
      /**
       * Who vouches for its names: `x509:` and the SHA-256 digest of the public key of the trusted authority, or of the
       * certificate's own where that is accepted as it is; `spiffe://<trust domain>` of a SPIFFE bundle.
       */
      readonly authority: string;
      /**
       * Whether the chain ends at an authority that signed itself. Of any other certificate that is trusted, a TLS layer may
       * say that it does not know the issuer.
       */
      readonly endsAtRoot: boolean;
      readonly subject: CertificateSubject;
      readonly certificate: ClientCertificate;
    }
  | {
      readonly trusted: false;
      readonly reason: 'invalid' | 'expired' | 'revoked';
      /** For the audit event, never for the caller. */
      readonly detail: string;
    };

type Accepted = TrustVerdict & { readonly trusted: true };

interface Known<Verdict> {
  readonly verdict: Verdict;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
}

const MAX_ACCEPTED = 10_000;
const MAX_REFUSED = 1_000;
const MAX_INTERMEDIATES = 200;
const REFUSED_MS = 10_000;
const REFRESH_MS = 1_000;

/**
 * A trust for client certificates. Make one and give it to `mutualTls` and to the server, so that both go by the same.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when nothing is trusted, or something given cannot be used
 */
export function certificateTrust(options: TrustOptions): CertificateTrust {
  checkOptions('The trust in client certificates', options, {
    ca: 'any',
    caFile: 'any',
    folder: 'any',
    fingerprints: 'any',
    spiffe: 'any',
    crl: 'any',
  });
  const sources = trustSources(options);
  // Accepted ones apart from refused ones, so that bad certificates cannot displace good ones.
  const accepted = new LRUCache<string, Known<Accepted>>({ max: MAX_ACCEPTED });
  const refused = new LRUCache<string, Known<TrustVerdict>>({ max: MAX_REFUSED });
  // A resumed TLS session comes without the certificates that were sent with the first one.
  const intermediates = new LRUCache<string, Certificate>({ max: MAX_INTERMEDIATES });
  let lookedAt = performance.now();

  function refresh(): boolean {
    lookedAt = performance.now();
    if (!sources.refresh()) return false;
    accepted.clear();
    refused.clear();
    return true;
  }

  function judge(leaf: Certificate, chain: readonly Certificate[], now: number): Known<TrustVerdict> {
    const { verdict, path, until } = verdictOn(leaf, chain, sources.current(), now);
    for (const certificate of path.slice(1, -1)) intermediates.set(certificate.fingerprint, certificate);
    if (!verdict.trusted) return { verdict, from: now, until: now + REFUSED_MS };
    return { verdict, from: Math.max(...path.map(({ notBefore }) => notBefore)), until };
  }

  return {
    async verify(presented, now = new Date()) {
      if (performance.now() - lookedAt >= REFRESH_MS) refresh();
      const at = now.getTime();
      const fingerprint = hash('sha256', presented.der, 'hex');
      const known = accepted.get(fingerprint);
      if (isCurrent(known, at)) return known.verdict;

      // Whether one is refused depends on what was sent with it.
      const { der, chain = [] } = presented;
      if (chain.length > MAX_PATH_LENGTH)
        return refusal('invalid', 'Too many certificates were sent with it.');
      const all = [fingerprint, ...chain.map((sent) => hash('sha256', sent, 'hex'))].join();
      const knownRefusal = refused.get(all);
      if (isCurrent(knownRefusal, at)) return knownRefusal.verdict;

      const leaf = attempt(der);
      if (!('x509' in leaf)) return leaf;
      const sent = [...chain.map(attempt).filter((read) => 'x509' in read), ...intermediates.values()];
      const { verdict, from, until } = judge(leaf, sent, at);
      if (verdict.trusted) accepted.set(fingerprint, { verdict, from, until });
      else refused.set(all, { verdict, from, until });
      return verdict;
    },
    tlsAuthorities: () => sources.current().pem,
    get acceptsUnknownIssuers() {
      return sources.current().needsUnknownIssuers;
    },
    refresh: async () => refresh(),
  };
}

function isCurrent<Verdict>(known: Known<Verdict> | undefined, at: number): known is Known<Verdict> {
  return known !== undefined && known.from <= at && at < known.until;
}

function attempt(der: Uint8Array): Certificate | (TrustVerdict & { readonly trusted: false }) {
  try {
    return readCertificate(der);
  } catch (error) {
    if (!(error instanceof UnusableCertificate)) throw error;
    return refusal('invalid', error.message);
  }
}

function refusal(
  reason: 'invalid' | 'expired' | 'revoked',
  detail: string,
): TrustVerdict & { readonly trusted: false } {
  return { trusted: false, reason, detail };
}

interface Judgement {
  readonly verdict: TrustVerdict;
  readonly path: readonly Certificate[];
  readonly until: number;
}

function verdictOn(
  leaf: Certificate,
  chain: readonly Certificate[],
  trusted: TrustedCertificates,
  now: number,
): Judgement {
  const unfit = validityFailure(leaf, now) ?? usageFailure(leaf);
  if (unfit !== undefined) return refuse(unfit, trusted);

  const spiffe = spiffePath(leaf, chain, trusted, now);
  if (spiffe !== undefined) {
    const { result, trustDomain } = spiffe;
    return result.found
      ? accept(leaf, 'spiffe', `spiffe://${trustDomain}`, result.path, result.until)
      : refuse(result, trusted);
  }

  const result = authorityPath(leaf, chain, trusted, now);
  if (result.found) {
    const anchor = result.path.at(-1) as Certificate;
    return accept(leaf, 'ca', `x509:${anchor.keyDigest}`, result.path, result.until);
  }
  // Whoever accepts it as it is does not know that its authority has revoked it.
  if (result.reason === 'revoked' || result.reason === 'unavailable') return refuse(result, trusted);
  for (const [anchor, fingerprints] of [
    ['certificate', trusted.exact],
    ['fingerprint', trusted.pinned],
  ] as const) {
    if (fingerprints.has(leaf.fingerprint)) {
      return accept(leaf, anchor, `x509:${leaf.keyDigest}`, [leaf], leaf.notAfter);
    }
  }
  return refuse(result, trusted);
}

/** RFC 5280 §4.2.1.3 and §4.2.1.12, as OpenSSL reads them for clients. */
function usageFailure(leaf: Certificate): PathFailure | undefined {
  if (leaf.keyUsage !== undefined && (leaf.keyUsage & keyUsages.digitalSignature) === 0) {
    return failure('Its key is not for digital signatures.');
  }
  return allowsClients(leaf) ? undefined : failure('It is not for clients (extended key usage).');
}

function authorityPath(
  leaf: Certificate,
  chain: readonly Certificate[],
  { anchors, lists }: TrustedCertificates,
  now: number,
): PathResult {
  if (leaf.isAuthority) return failure('It is the certificate of an authority.');
  return findPath(leaf, {
    anchors,
    intermediates: chain,
    now,
    revocation: lists && ((certificate, issuer) => revocationStatus(lists, certificate, issuer, now)),
  });
}

/**
 * Verifies an X.509-SVID of one of the trust domains; undefined when the certificate claims to be of none. One that does
 * claim it is judged by that domain's bundle and by nothing else.
 *
 * https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md
 */
function spiffePath(
  leaf: Certificate,
  chain: readonly Certificate[],
  { trustDomains, lists, hasUnreadableLists }: TrustedCertificates,
  now: number,
): { readonly result: PathResult; readonly trustDomain: string } | undefined {
  const uris = leaf.alternativeNames.flatMap((name) => (name.kind === 'uri' ? [name.value] : []));
  const trustDomain = uris
    .map((uri) => (/^spiffe:/i.test(uri) ? trustDomainOf(uri.toLowerCase()) : ''))
    .find((name) => trustDomains.has(name));
  const anchors = trustDomain === undefined ? undefined : trustDomains.get(trustDomain);
  if (trustDomain === undefined || anchors === undefined) return undefined;

  const invalid = (detail: string) => ({ result: failure(detail), trustDomain });
  const [id = ''] = uris;
  // §2, §5.2
  if (uris.length !== 1) return invalid('An X.509-SVID has exactly one URI.');
  const problem = spiffeIdProblem(id);
  if (problem !== undefined) return invalid(problem);
  const keyUsage = leaf.keyUsage ?? 0;
  const isSigner = (keyUsage & (keyUsages.keyCertSign | keyUsages.cRLSign)) !== 0;
  if (leaf.isAuthority || isSigner)
    return invalid('It is the certificate of an authority, and not an X.509-SVID.');
  // §4.3
  if ((keyUsage & keyUsages.digitalSignature) === 0) {
    return invalid('An X.509-SVID says that its key is for digital signatures.');
  }
  const revocation = (certificate: Certificate, issuer: Certificate): RevocationStatus => {
    const status = revocationStatus(lists ?? [], certificate, issuer, now);
    const isUnlisted = status.status === 'unknown' && status.isMissing && !hasUnreadableLists;
    return isUnlisted ? { status: 'good', until: Infinity } : status;
  };
  // §3: an authority that has a SPIFFE id signs for its own trust domain.
  const intermediates = chain.filter(({ alternativeNames }) =>
    alternativeNames.every(
      (name) => name.kind !== 'uri' || trustDomainOf(name.value.toLowerCase()) === trustDomain,
    ),
  );
  return { result: findPath(leaf, { anchors, intermediates, now, revocation }), trustDomain };
}

function failure(detail: string): PathFailure {
  return { found: false, reason: 'invalid', detail };
}

/** @throws {VerifierUnavailable} when a good certificate could have been refused for want of a file */
function refuse({ reason, detail }: PathFailure, { problem }: TrustedCertificates): Judgement {
  if (reason === 'unavailable') throw new VerifierUnavailable(detail);
  if (reason === 'invalid' && problem !== undefined) throw new VerifierUnavailable(problem);
  return { verdict: refusal(reason, detail), path: [], until: 0 };
}

function accept(
  leaf: Certificate,
  anchor: Accepted['anchor'],
  authority: string,
  path: readonly Certificate[],
  until: number,
): Judgement {
  const verdict: Accepted = {
    trusted: true,
    anchor,
    authority,
    endsAtRoot: path.length > 1 && isSelfIssued(path.at(-1) as Certificate),
    subject: subjectOf(leaf),
    certificate: clientCertificate(leaf),
  };
  return { verdict, path, until };
}

function clientCertificate(leaf: Certificate): ClientCertificate {
  return Object.freeze({
    subject: nameToString(leaf.subject),
    issuer: nameToString(leaf.issuer),
    fingerprint256: leaf.fingerprint,
    subjectAlternativeNames: Object.freeze(leaf.alternativeNames.map(generalNameToString)),
    validFrom: leaf.notBefore,
    validTo: leaf.notAfter,
    pem: leaf.x509.toString(),
  });
}

/** Takes a trust that was made before, or makes one. */
export function asTrust(trust: TrustOptions | CertificateTrust): CertificateTrust {
  if (typeof trust !== 'object' || trust === null) {
    throw configurationError(
      'INVALID_OPTION',
      'trust must say which client certificates are trusted: { ca }, { caFile }, { folder }, { fingerprints }, { spiffe } or a certificateTrust().',
    );
  }
  return 'verify' in trust ? trust : certificateTrust(trust);
}

import { configurationError } from '../errors.js';
import { readCertificate, UnusableCertificate, type Certificate } from './certificate.js';
import { readRevocationLists, type RevocationList } from './crl.js';
import { indexBySubject, isSelfIssued, type Anchors } from './path.js';
import { readPem } from './pem.js';
import { isTrustDomain } from './spiffe.js';
import type { TrustOptions } from './trust.js';
import { watchFiles, type WatchedFiles } from './watched-files.js';

/** What is trusted at the moment. */
export interface TrustedCertificates {
  readonly anchors: Anchors;
  /** Fingerprints of the certificates that are accepted as they are, since they are in the folder. */
  readonly exact: ReadonlySet<string>;
  /** Fingerprints of the configuration. */
  readonly pinned: ReadonlySet<string>;
  readonly trustDomains: ReadonlyMap<string, Anchors>;
  /** Undefined when revocation is not asked about. */
  readonly lists: readonly RevocationList[] | undefined;
  readonly hasUnreadableLists: boolean;
  /** All certificates of them, for the TLS layer. */
  readonly pem: readonly string[];
  /** Whether some of them are trusted although they, or their authorities, need an issuer that may be unknown. */
  readonly needsUnknownIssuers: boolean;
  /** Why some of what should be trusted may be missing. */
  readonly problem: string | undefined;
}

interface TrustSources {
  current(): TrustedCertificates;
  /** Looks at all files again; says whether anything changed. */
  refresh(): boolean;
}

const MAX_CERTIFICATE_FILE = 1_048_576;
const MAX_CRL_FILE = 8 * 1_048_576;

export function trustSources(options: TrustOptions): TrustSources {
  const { ca, caFile, folder, fingerprints, spiffe, crl } = options;
  if ([ca, caFile, folder, fingerprints, spiffe].every((option) => option === undefined)) {
    throw configurationError(
      'INVALID_OPTION',
      'trust must name at least one of ca, caFile, folder, fingerprints and spiffe: otherwise nobody is trusted.',
    );
  }
  const given = listOf('ca', ca).flatMap((pem) => authoritiesOf('ca', pem));
  const pinned = new Set(pins(fingerprints));
  const domains = trustDomainsOf(spiffe);

  const caFiles = watchFiles(listOf('caFile', caFile), {
    option: 'trust.caFile',
    kind: 'file',
    maxBytes: MAX_CERTIFICATE_FILE,
    parse: readAuthorities,
  });
  const folders = watchFiles(listOf('folder', folder), {
    option: 'trust.folder',
    kind: 'folder',
    maxBytes: MAX_CERTIFICATE_FILE,
    parse: readCertificates,
  });
  const crlFiles = watchFiles(listOf('crl', crl), {
    option: 'trust.crl',
    kind: 'either',
    maxBytes: MAX_CRL_FILE,
    parse: readRevocationLists,
  });
  const trustFiles: readonly WatchedFiles<unknown>[] = [
    caFiles,
    folders,
    ...domains.flatMap(({ files }) => (files === undefined ? [] : [files])),
  ];

  const strangers = new Set<string>();

  function assemble(): TrustedCertificates {
    const inFolder = folders.contents().flat();
    const authorities = [
      ...given,
      ...caFiles.contents().flat(),
      ...inFolder.filter((one) => one.isAuthority),
    ];
    const bundles = domains.map(({ name, given: bundle, files }): [string, Certificate[]] => [
      name,
      [...bundle, ...(files?.contents().flat() ?? [])],
    ]);
    const all = [...authorities, ...inFolder, ...bundles.flatMap(([, bundle]) => bundle)];
    const lists = crl === undefined ? undefined : crlFiles.contents().flat();
    const subjects = new Set(all.map(({ subjectKey }) => subjectKey));
    reportStrangers(lists ?? [], subjects, strangers);
    return {
      anchors: anchorsOf(authorities),
      exact: new Set(inFolder.map(({ fingerprint }) => fingerprint)),
      pinned,
      trustDomains: new Map(bundles.map(([name, bundle]) => [name, anchorsOf(bundle)])),
      lists,
      hasUnreadableLists: crlFiles.problem !== undefined || crlFiles.isPartial,
      pem: [...new Map(all.map((one) => [one.fingerprint, one.x509.toString()])).values()],
      needsUnknownIssuers: pinned.size > 0 || all.some(({ issuerKey }) => !subjects.has(issuerKey)),
      problem: trustFiles.find(({ problem }) => problem !== undefined)?.problem,
    };
  }

  let current = assemble();
  return {
    current: () => current,
    refresh() {
      // All of them, and not up to the first that changed.
      const changes = [...trustFiles, crlFiles].map((files) => files.refresh());
      if (!changes.includes(true)) return false;
      current = assemble();
      return true;
    },
  };
}

/** Reports, once each, the CRLs that say nothing of what is trusted: a file of the wrong authority protects from nothing. */
function reportStrangers(
  lists: readonly RevocationList[],
  subjects: ReadonlySet<string>,
  reported: Set<string>,
): void {
  for (const { issuer, issuerKey } of lists) {
    if (reported.has(issuerKey) || subjects.has(issuerKey)) continue;
    reported.add(issuerKey);
    process.emitWarning(
      `trust.crl: there is a CRL of ${issuer.slice(0, 200)}, which is none of the trusted authorities. It counts only for what an authority of that name under them has issued.`,
      { code: 'A2A_AUTH_TRUST_FILE' },
    );
  }
}

function anchorsOf(authorities: readonly Certificate[]): Anchors {
  const distinct = [...new Map(authorities.map((one) => [one.fingerprint, one])).values()];
  return {
    roots: indexBySubject(distinct.filter(isSelfIssued)),
    subordinates: indexBySubject(distinct.filter((one) => !isSelfIssued(one))),
  };
}

/** The certificates of a PEM text. Whatever else it has, such as a private key, has no place among them. */
function readCertificates(content: Buffer | string): Certificate[] {
  const blocks = readPem(content.toString('latin1'));
  const stranger = blocks.find(({ label }) => label !== 'CERTIFICATE');
  if (stranger !== undefined)
    throw new TypeError(`It has a ${stranger.label}, and must hold certificates alone.`);
  if (blocks.length === 0) throw new TypeError('It holds no certificate in PEM.');
  return blocks.map(({ der }, position) => {
    try {
      return readCertificate(der);
    } catch (error) {
      if (!(error instanceof UnusableCertificate)) throw error;
      throw new TypeError(`Its certificate ${position + 1} cannot be used: ${error.message}`, {
        cause: error,
      });
    }
  });
}

function readAuthorities(content: Buffer | string): Certificate[] {
  const certificates = readCertificates(content);
  const stranger = certificates.findIndex(({ isAuthority }) => !isAuthority);
  if (stranger === -1) return certificates;
  throw new TypeError(
    `Its certificate ${stranger + 1} is not that of an authority (basicConstraints CA). Accept a certificate as it is by folder or fingerprints.`,
  );
}

function authoritiesOf(option: string, pem: string): Certificate[] {
  try {
    return readAuthorities(pem);
  } catch (error) {
    throw configurationError(
      'INVALID_OPTION',
      `trust.${option} must hold certificates of authorities in PEM; the path of a file is given as ${option === 'ca' ? 'caFile' : '{ file }'}. ${error instanceof Error ? error.message : ''}`,
    );
  }
}

function listOf(option: string, value: unknown): string[] {
  const list: unknown[] = value === undefined ? [] : [value].flat();
  const isUsable = list.every((item) => typeof item === 'string' && item !== '');
  if (isUsable && (value === undefined || list.length > 0)) return list as string[];
  throw configurationError(
    'INVALID_OPTION',
    `trust.${option} must be a text or a list of texts, and not empty.`,
  );
}

function pins(fingerprints: readonly string[] | undefined): string[] {
  return listOf('fingerprints', fingerprints).map((fingerprint) => {
    const hex = fingerprint.replaceAll(':', '').toLowerCase();
    const isHex = /^[0-9a-f]{64}$/.test(hex);
    if (isHex && (fingerprint.length === 64 || /^(?:..:){31}..$/.test(fingerprint))) return hex;
    throw configurationError(
      'INVALID_OPTION',
      `trust.fingerprints has ${JSON.stringify(fingerprint)}. A fingerprint is the SHA-256 digest of a certificate as 64 hex digits, with or without colons.`,
    );
  });
}

interface TrustDomain {
  readonly name: string;
  readonly given: readonly Certificate[];
  readonly files: WatchedFiles<Certificate[]> | undefined;
}

function trustDomainsOf(spiffe: TrustOptions['spiffe']): TrustDomain[] {
  if (spiffe === undefined) return [];
  const domains = Object.entries(spiffe);
  if (domains.length === 0) throw configurationError('INVALID_OPTION', 'trust.spiffe names no trust domain.');
  return domains.map(([name, bundle]) => {
    if (!isTrustDomain(name)) {
      throw configurationError(
        'INVALID_OPTION',
        `trust.spiffe has ${JSON.stringify(name)}, which is not the name of a trust domain, such as "prod.example".`,
      );
    }
    const option = `spiffe[${JSON.stringify(name)}]`;
    if (typeof bundle === 'string') return { name, given: authoritiesOf(option, bundle), files: undefined };
    // Not left out as other options may be.
    const file = listOf(`${option}.file`, (bundle as { file?: unknown } | null)?.file ?? '');
    const files = watchFiles(file, {
      option: `trust.${option}`,
      kind: 'file',
      maxBytes: MAX_CERTIFICATE_FILE,
      parse: readAuthorities,
    });
    return { name, given: [], files };
  });
}

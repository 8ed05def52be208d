import type { PresentedCertificate } from '../auth-request.js';
import {
  asTrust,
  type CertificateTrust,
  type TrustOptions,
  type TrustVerdict,
} from '../certificates/trust.js';
import { checkOptions } from '../options.js';
import { toEpochMilliseconds, type ClientCertificate, type PrincipalClaims } from '../principal.js';
import type { SecurityScheme, Verification, VerifyContext } from '../scheme.js';
import { verifyWith, type Validator } from '../validator.js';

export interface MutualTlsOptions {
  /** Which client certificates are trusted. Give the server the same `certificateTrust()`. */
  readonly trust: TrustOptions | CertificateTrust;
  /**
   * Says whose a certificate is: the subject, or the subject with whatever else is known; undefined refuses it. Default: its
   * URI, else its DNS name, else its common name; a certificate with several of them is refused.
   */
  readonly identify?: (certificate: ClientCertificate) => string | PrincipalClaims | undefined;
  /**
   * Asked about each trusted certificate, such as whether its holder still has an account; it may give scopes. Where it
   * returns a principal without `issuer`, it is that of the certificate.
   */
  readonly validator?: Validator<IdentifiedCertificate>;
  /** Published. */
  readonly description?: string;
}

/** A trusted certificate, and whose it is. */
export interface IdentifiedCertificate {
  readonly certificate: ClientCertificate;
  readonly subject: string;
  /** Who vouches for the subject. */
  readonly issuer: string;
}

/** OpenSSL's codes, as Node.js names them, which say no more than that the issuer is unknown. */
const unknownIssuer = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/**
 * Client certificates (`mutualTLS`). What the TLS layer found counts, and so does our own verification of the chain.
 *
 * The principal's `issuer` is the trusted authority: two of them that issue certificates for the same name do not make one
 * caller. It is `x509:<SHA-256 of its public key>/<uri, dns, cn or mapped>` after the kind of name, or
 * `spiffe://<trust domain>`.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when nothing is trusted, or something given cannot be used
 */
export function mutualTls(options: MutualTlsOptions): SecurityScheme<PresentedCertificate> {
  checkOptions('mutualTls()', options, {
    trust: 'any',
    identify: 'function',
    validator: 'function',
    description: 'string',
  });
  const { trust, identify, validator, description } = options;
  const trusted = asTrust(trust);

  async function verify(presented: PresentedCertificate, context: VerifyContext): Promise<Verification> {
    const verdict = await trusted.verify(presented);
    if (!verdict.trusted) return { verified: false, reason: verdict.reason, detail: verdict.detail };
    const { tlsError } = presented;
    if (!isAcceptedByTls(tlsError, verdict)) {
      return refusal(`The TLS layer did not accept the certificate: ${String(tlsError)}.`);
    }
    const claims = claimsOf(verdict, identify);
    if ('problem' in claims) return refusal(claims.problem);
    return validator === undefined
      ? { verified: true, principal: claims }
      : validated(claims, verdict, validator, context);
  }

  return {
    declaration: { type: 'mutualTLS', description },
    provenByConnection: true,
    extract: (request) => request.clientCertificate,
    verify,
  };
}

type Trusted = TrustVerdict & { readonly trusted: true };
/** Claims whose issuer is known. */
type Identified = PrincipalClaims & { readonly issuer: string };

/**
 * The authority, and the kind of name that it vouches for. Without the kind, a common name could be the same caller as a DNS
 * name, or as what somebody made of another name. A SPIFFE trust domain has names of one kind.
 */
function issuerOf({ anchor, authority }: Trusted, kind: 'uri' | 'dns' | 'cn' | 'mapped'): string {
  return anchor === 'spiffe' ? authority : `${authority}/${kind}`;
}

/**
 * The TLS layer need not know the issuer of a certificate that is accepted as it is, or of a subordinate authority that is
 * trusted by itself. Everything else it found is final; when a proxy had the connection, there is nothing that it could
 * have found.
 */
function isAcceptedByTls(tlsError: string | undefined, { endsAtRoot }: Trusted): boolean {
  if (tlsError === undefined || tlsError === 'forwarded') return true;
  return !endsAtRoot && unknownIssuer.has(tlsError);
}

function claimsOf(
  verdict: Trusted,
  identify: MutualTlsOptions['identify'],
): Identified | { readonly problem: string } {
  const { subject, certificate } = verdict;
  if (identify === undefined) {
    if (subject.kind === 'none') return { problem: subject.problem };
    return complete({ subject: subject.value }, verdict, issuerOf(verdict, subject.kind));
  }
  const identified: unknown = identify(certificate);
  const claims = typeof identified === 'string' ? { subject: identified } : identified;
  return isClaims(claims)
    ? complete(claims, verdict, issuerOf(verdict, 'mapped'))
    : { problem: '"identify" named nobody.' };
}

function isClaims(value: unknown): value is PrincipalClaims {
  return (
    typeof value === 'object' &&
    value !== null &&
    'subject' in value &&
    typeof value.subject === 'string' &&
    value.subject !== ''
  );
}

async function validated(
  claims: Identified,
  verdict: Trusted,
  validator: Validator<IdentifiedCertificate>,
  context: VerifyContext,
): Promise<Verification> {
  const { subject, issuer } = claims;
  const credential = { certificate: verdict.certificate, subject, issuer };
  const verification = await verifyWith(validator)(credential, context);
  if (!verification.verified) return { ...verification, principal: claims };
  const { principal } = verification;
  const ownIssuer = principal.subject === subject ? issuer : issuerOf(verdict, 'mapped');
  return { ...verification, principal: complete(principal, verdict, ownIssuer) };
}

/** Nobody outlives the certificate. */
function complete(claims: PrincipalClaims, { certificate }: Trusted, issuer: string): Identified {
  const { validTo } = certificate;
  const end = claims.expiresAt === undefined ? validTo : toEpochMilliseconds(claims.expiresAt);
  return {
    ...claims,
    issuer: claims.issuer ?? issuer,
    certificate,
    expiresAt: new Date(Math.min(end, validTo)),
  };
}

function refusal(detail: string): Verification {
  return { verified: false, reason: 'invalid', detail };
}

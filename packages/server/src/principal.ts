/** What a scheme says about the caller whose credential it verified. */
export interface PrincipalClaims {
  /** Who it is, unique within its issuer, or within the scheme when there is no issuer. Never a secret. */
  readonly subject: string;
  /** The authority that vouches for the subject, such as a token's `iss`. Left out: the scheme itself. */
  readonly issuer?: string | undefined;
  /** The OAuth client, where it differs from the subject or is known besides it. */
  readonly clientId?: string | undefined;
  /** Further claims, for the agent's own decisions. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  /** The client certificate, when one was verified. */
  readonly certificate?: ClientCertificate | undefined;
  /** Who acts for the subject: the `act` chain of RFC 8693 §4.1, the nearest actor first. */
  readonly actor?: Actor | undefined;
  /** When the credential ends: seconds since the epoch (as a JWT's `exp`), or a Date. */
  readonly expiresAt?: number | Date | undefined;
}

/** An authenticated caller. Frozen, and without any secret: the credential itself is not on it. */
export interface Principal {
  /**
   * Unique over all issuers and schemes: the authority and the subject, joined by `|`. It is the `userName` that the
   * SDK scopes tasks by. A subject without issuer has the authority `scheme:<scheme id>`.
   */
  readonly id: string;
  readonly subject: string;
  readonly issuer: string | undefined;
  /** The security scheme that vouched; undefined for the anonymous caller. */
  readonly schemeId: string | undefined;
  readonly clientId: string | undefined;
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  readonly certificate: ClientCertificate | undefined;
  readonly actor: Actor | undefined;
  /** Milliseconds since the epoch. */
  readonly authenticatedAt: number;
  /** Milliseconds since the epoch; undefined when the credential does not end by itself. */
  readonly expiresAt: number | undefined;
}

/** Who acts on behalf of the subject (RFC 8693 §4.1). */
export interface Actor {
  readonly subject: string;
  readonly issuer?: string | undefined;
  readonly actor?: Actor | undefined;
}

/** A client certificate that was verified. */
export interface ClientCertificate {
  readonly subject: string;
  readonly issuer: string;
  /** SHA-256 of the DER form, as lower-case hex. */
  readonly fingerprint256: string;
  readonly subjectAlternativeNames: readonly string[];
  /** Milliseconds since the epoch. */
  readonly validFrom: number;
  /** Milliseconds since the epoch. */
  readonly validTo: number;
  readonly pem: string;
}

const noClaims = Object.freeze({});
const noScopes: readonly string[] = Object.freeze([]);

/** The caller of an agent that lets callers in without a credential. */
export const anonymousPrincipal: Principal = Object.freeze({
  id: 'anonymous',
  subject: 'anonymous',
  issuer: undefined,
  schemeId: undefined,
  clientId: undefined,
  scopes: noScopes,
  claims: noClaims,
  certificate: undefined,
  actor: undefined,
  authenticatedAt: 0,
  expiresAt: undefined,
});

/**
 * Completes and freezes a principal.
 *
 * @throws {TypeError} when the claims are not a principal's, which the engine turns into a denial
 */
export function createPrincipal(
  schemeId: string,
  claims: PrincipalClaims,
  scopes: readonly string[] = noScopes,
  now = Date.now(),
): Principal {
  const { subject, issuer } = claims;
  if (typeof subject !== 'string' || subject === '') {
    throw new TypeError('The principal has no subject, which must be a non-empty string.');
  }
  if (issuer !== undefined && (typeof issuer !== 'string' || issuer === '')) {
    throw new TypeError('The issuer of the principal is not a string.');
  }
  if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string')) {
    throw new TypeError('The scopes of the principal are not a list of strings.');
  }
  return Object.freeze({
    id: principalId(issuer === undefined ? { schemeId } : { issuer }, subject),
    subject,
    issuer,
    schemeId,
    clientId: claims.clientId,
    scopes: scopes.length === 0 ? noScopes : Object.freeze([...scopes]),
    claims: frozenClaims(claims.claims ?? noClaims),
    certificate: claims.certificate,
    actor: claims.actor,
    authenticatedAt: now,
    expiresAt: claims.expiresAt === undefined ? undefined : toEpochMilliseconds(claims.expiresAt),
  });
}

/**
 * Joins authority and subject so that no two callers ever share an id: the first `|` always ends the authority, and
 * only a scheme's authority begins with `scheme:`.
 */
export function principalId(authority: { issuer: string } | { schemeId: string }, subject: string): string {
  const encoded = 'issuer' in authority ? encodeIssuer(authority.issuer) : `scheme:${authority.schemeId}`;
  return `${encoded}|${subject}`;
}

function encodeIssuer(issuer: string): string {
  // Hardly any has such a character, and to look once is faster than to replace thrice.
  if (!/[%|]|^scheme:/.test(issuer)) return issuer;
  return issuer
    .replaceAll('%', '%25')
    .replaceAll('|', '%7C')
    .replace(/^scheme:/, 'scheme%3A');
}

/**
 * Reads a moment given as a Date or as seconds since the epoch.
 *
 * @throws {TypeError} when it is neither, or a number so large that milliseconds must have been meant: an expiry that
 *   is never reached would be a credential that never ends
 */
export function toEpochMilliseconds(moment: number | Date): number {
  const milliseconds =
    moment instanceof Date ? moment.getTime() : typeof moment === 'number' ? moment * 1000 : NaN;
  if (!Number.isFinite(milliseconds) || milliseconds >= 1e14) {
    throw new TypeError('expiresAt must be a valid Date or a number of seconds since the epoch.');
  }
  return milliseconds;
}

function frozenClaims(claims: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (typeof claims !== 'object' || Array.isArray(claims)) {
    throw new TypeError('The claims of the principal are not an object.');
  }
  return Object.isFrozen(claims) ? claims : Object.freeze({ ...claims });
}

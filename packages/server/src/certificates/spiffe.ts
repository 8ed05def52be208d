/** https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md */

const MAX_LENGTH = 2048;
const trustDomainPattern = /^[a-z0-9._-]{1,255}$/;

export function isTrustDomain(name: string): boolean {
  return trustDomainPattern.test(name);
}

/** Says what is wrong with a SPIFFE id of a workload (§2), or undefined. */
export function spiffeIdProblem(id: string): string | undefined {
  const [, trustDomain = '', path = ''] = /^spiffe:\/\/([^/]*)(.*)$/s.exec(id) ?? [];
  const segments = path.split('/').slice(1);
  const isId =
    id.length <= MAX_LENGTH &&
    isTrustDomain(trustDomain) &&
    segments.length > 0 &&
    // §2.2: no empty and no relative segment, no percent-encoding.
    segments.every((segment) => /^[A-Za-z0-9._-]+$/.test(segment) && segment !== '.' && segment !== '..');
  return isId ? undefined : `${JSON.stringify(id)} is not a SPIFFE id (spiffe://<trust domain>/<path>).`;
}

/** The trust domain of a well-formed SPIFFE id. */
export function trustDomainOf(id: string): string {
  return id.split('/', 3)[2] ?? '';
}

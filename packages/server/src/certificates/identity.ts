import type { Certificate } from './certificate.js';
import { COMMON_NAME } from './names.js';
import { spiffeIdProblem } from './spiffe.js';

/** The name of a certificate that says whose it is, or why none does. */
export type CertificateSubject =
  | { readonly kind: 'uri' | 'dns' | 'cn'; readonly value: string }
  | { readonly kind: 'none'; readonly problem: string };

const MAX_LENGTH = 2_048;

/**
 * The URI among the subject alternative names, else the DNS name, else the common name of the subject. A name that is
 * there and does not say clearly who it is, is not passed over for the next: several URIs or DNS names, a wildcard, a
 * control character.
 */
export function subjectOf({ alternativeNames, subject }: Certificate): CertificateSubject {
  const valuesOf = (wanted: 'uri' | 'dns') =>
    distinct(alternativeNames.flatMap((name) => (name.kind === wanted ? [name.value] : [])));

  const uris = valuesOf('uri');
  if (uris.length > 0) return only(uris, 'uri', 'URI', uriProblem);

  const hosts = distinct(valuesOf('dns').map((host) => host.toLowerCase()));
  if (hosts.length > 0) return only(hosts, 'dns', 'DNS name', hostProblem);

  const commonNames = subject.flat().filter(({ type }) => type === COMMON_NAME);
  if (commonNames.length === 0) return none('It has no URI, no DNS name and no common name.');
  // Each as it is: two that are equal are two all the same.
  return only(
    commonNames.map(({ text }) => text ?? ''),
    'cn',
    'common name',
    textProblem,
  );
}

function only(
  values: readonly string[],
  kind: 'uri' | 'dns' | 'cn',
  what: string,
  problemOf: (value: string) => string | undefined,
): CertificateSubject {
  const [value = '', ...others] = values;
  if (others.length > 0) return none(`It has more than one ${what}; "identify" could choose.`);
  const problem = value.length > MAX_LENGTH ? 'is too long' : problemOf(value);
  return problem === undefined ? { kind, value } : none(`Its ${what} ${problem}.`);
}

const none = (problem: string): CertificateSubject => ({ kind: 'none', problem });

function uriProblem(uri: string): string | undefined {
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:./.test(uri)) return 'is no URI';
  return /^spiffe:/i.test(uri) && spiffeIdProblem(uri) !== undefined ? 'is no SPIFFE id' : undefined;
}

function hostProblem(host: string): string | undefined {
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(host) ? undefined : 'is not the name of one host';
}

/** No characters that cannot be seen, so that what a person reads is what a program compares. */
function textProblem(text: string): string | undefined {
  if (text.trim() === '') return 'is empty, or no text';
  return /[\p{C}\p{Zl}\p{Zp}]|^\s|\s$/u.test(text) ? 'has characters that cannot be seen' : undefined;
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}

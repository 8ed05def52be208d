import type { Credential, TlsIdentity } from './credential-source.js';
import { headerProblem } from './destination.js';
import { ClientError } from './errors.js';
import { isHeaderValue } from './header-value.js';
import { quote } from './quote.js';

/** What several credentials add to one request together. */
export interface RequestCredentials {
  /** By lower-case name, cookies among them. */
  readonly headers: ReadonlyMap<string, string>;
  readonly query: ReadonlyMap<string, string>;
  readonly tls: TlsIdentity | undefined;
}

/**
 * Joins the credentials of all schemes of an alternative.
 *
 * @throws {ClientError} `CREDENTIAL_UNUSABLE` when two want one place, or one cannot be sent
 */
export function joinCredentials(credentials: readonly Credential[]): RequestCredentials {
  const headers = new Map<string, string>();
  const query = new Map<string, string>();
  const cookies = new Map<string, string>();
  let tls: TlsIdentity | undefined;
  for (const credential of credentials) {
    for (const [name, value] of Object.entries(credential.headers ?? {})) {
      const problem = headerProblem(name);
      if (problem !== undefined) throw unusable(`A credential cannot be sent: ${problem}.`);
      if (!isHeaderValue(value))
        throw unusable(`The credential for the header ${name} has characters that no header can hold.`);
      put(headers, 'header', name.toLowerCase(), value);
    }
    for (const [name, value] of Object.entries(credential.query ?? {}))
      put(query, 'query parameter', name, value);
    for (const [name, value] of Object.entries(credential.cookies ?? {})) put(cookies, 'cookie', name, value);
    if (credential.tls !== undefined && tls !== undefined)
      throw unusable('There are two client certificates.');
    tls ??= credential.tls;
  }
  // Percent-encoded, so that no value can end its cookie (RFC 6265 §4.1.1); readers decode it.
  const cookie = [...cookies].map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('; ');
  if (cookie !== '') headers.set('cookie', cookie);
  return { headers, query, tls };
}

function put(into: Map<string, string>, kind: string, name: string, value: unknown): void {
  if (typeof value !== 'string') throw unusable(`The credential for the ${kind} ${quote(name)} is no text.`);
  if (into.has(name)) throw unusable(`Two credentials want the ${kind} ${quote(name)}.`);
  into.set(name, value);
}

function unusable(message: string): ClientError {
  return new ClientError('CREDENTIAL_UNUSABLE', message);
}

/** Whether a handshake would be the same. */
export function sameIdentity(a: TlsIdentity | undefined, b: TlsIdentity | undefined): boolean {
  return a?.certificate === b?.certificate && a?.key === b?.key && a?.ca === b?.ca;
}

/** Whether nothing would be different. */
export function sameCredentials(a: RequestCredentials, b: RequestCredentials): boolean {
  const flat = ({ headers, query }: RequestCredentials) => JSON.stringify([[...headers], [...query]]);
  return sameIdentity(a.tls, b.tls) && flat(a) === flat(b);
}

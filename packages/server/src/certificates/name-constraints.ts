import { isIP } from 'node:net';

import type { Certificate, NameConstraints } from './certificate.js';
import {
  canonicalRdn,
  COMMON_NAME,
  EMAIL_ADDRESS,
  generalNameToString,
  type DistinguishedName,
  type GeneralName,
} from './names.js';

/**
 * Says which name of a certificate an authority above it may not vouch for (RFC 5280 §4.2.1.10), or undefined.
 *
 * Stricter than the RFC in two ways. A constraint of a kind that is not supported, or not well-formed, admits nothing. And
 * the common name of a certificate without DNS names is held to the constraints on DNS names, since it stands in for them.
 */
export function nameConstraintProblem(
  { permitted, excluded }: NameConstraints,
  certificate: Certificate,
): string | undefined {
  const constraints = [...permitted, ...excluded];
  if (!constraints.every(isSupported)) return 'has a name constraint that is not supported';
  for (const name of constrainedNames(certificate)) {
    const isOfKind = (base: GeneralName) => base.kind === name.kind;
    const problem =
      constraints.some(isOfKind) && !isWellFormed(name)
        ? 'is not in a form that constraints can be applied to'
        : excluded.some((base) => isWithin(name, base))
          ? 'is excluded'
          : permitted.some(isOfKind) && !permitted.some((base) => isWithin(name, base))
            ? 'is not permitted'
            : undefined;
    if (problem !== undefined) {
      return `constrains names, and ${JSON.stringify(generalNameToString(name))} ${problem}`;
    }
  }
  return undefined;
}

function constrainedNames({ subject, alternativeNames }: Certificate): GeneralName[] {
  const attributes = subject.flat();
  const textsOf = (type: string) =>
    attributes.flatMap((attribute) => (attribute.type === type ? [attribute.text ?? ''] : []));
  const hasDnsName = alternativeNames.some(({ kind }) => kind === 'dns');
  return [
    ...alternativeNames,
    ...(subject.length === 0 ? [] : [{ kind: 'directory', value: subject } as const]),
    ...textsOf(EMAIL_ADDRESS).map((value) => ({ kind: 'email', value }) as const),
    ...(hasDnsName ? [] : textsOf(COMMON_NAME)).map((value) => ({ kind: 'dns', value }) as const),
  ];
}

function isSupported(base: GeneralName): boolean {
  switch (base.kind) {
    case 'dns':
    case 'uri':
      return base.value === '' || isHost(base.value.replace(/^\./, ''));
    case 'email':
      return isHost(base.value.replace(/^\.|^[^@]+@/, ''));
    case 'ip':
      return (base.value.length === 8 || base.value.length === 32) && isMask(halves(base.value)[1]);
    case 'directory':
      return true;
    case 'other':
      return false;
  }
}

function isWellFormed(name: GeneralName): boolean {
  switch (name.kind) {
    case 'dns':
      return isHost(name.value);
    case 'uri':
      return hostOf(name.value) !== undefined;
    case 'email':
      return mailboxOf(name.value) !== undefined;
    case 'ip':
      return name.value.length === 4 || name.value.length === 16;
    case 'directory':
    case 'other':
      return true;
  }
}

/** Both are well-formed, where they are of one kind. */
function isWithin(name: GeneralName, base: GeneralName): boolean {
  if (name.kind === 'dns' && base.kind === 'dns') return isInDomain(name.value, base.value);
  if (name.kind === 'uri' && base.kind === 'uri') return isOnHost(hostOf(name.value) ?? '', base.value);
  if (name.kind === 'email' && base.kind === 'email') return isInMailDomain(name.value, base.value);
  if (name.kind === 'ip' && base.kind === 'ip') return isInNetwork(name.value, base.value);
  return name.kind === 'directory' && base.kind === 'directory' && startsWith(name.value, base.value);
}

/** A constraint covers the name and whatever is under it; one with a leading dot, only what is under it. */
function isInDomain(name: string, base: string): boolean {
  const [host, domain] = [name.toLowerCase(), base.toLowerCase()];
  return domain === '' || host === domain || host.endsWith(domain.startsWith('.') ? domain : `.${domain}`);
}

/** For URIs and mail, a constraint without a leading dot is one host. */
function isOnHost(host: string, base: string): boolean {
  const [name, domain] = [host.toLowerCase(), base.toLowerCase()];
  return domain === '' || (domain.startsWith('.') ? name.endsWith(domain) : name === domain);
}

function isInMailDomain(address: string, base: string): boolean {
  const mailbox = mailboxOf(address);
  const constrained = mailboxOf(base);
  if (mailbox === undefined) return false;
  return constrained === undefined
    ? isOnHost(mailbox.host, base)
    : mailbox.local === constrained.local && isOnHost(mailbox.host, constrained.host);
}

function isInNetwork(address: Buffer, base: Buffer): boolean {
  const [network, mask] = halves(base);
  return (
    address.length === network.length &&
    address.every((octet, index) => ((octet ^ (network[index] as number)) & (mask[index] as number)) === 0)
  );
}

function startsWith(name: DistinguishedName, base: DistinguishedName): boolean {
  return (
    base.length <= name.length &&
    base.every((rdn, index) => canonicalRdn(rdn) === canonicalRdn(name[index] as DistinguishedName[number]))
  );
}

function halves(octets: Buffer): [Buffer, Buffer] {
  const middle = octets.length / 2;
  return [octets.subarray(0, middle), octets.subarray(middle)];
}

function isMask(octets: Buffer): boolean {
  return /^1*0*$/.test([...octets].map((octet) => octet.toString(2).padStart(8, '0')).join(''));
}

/** No wildcard, no dot at the end, no address. */
function isHost(name: string): boolean {
  return name.length <= 253 && isIP(name) === 0 && /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(name);
}

/** The host of a URI that has an authority with a host name. */
function hostOf(uri: string): string | undefined {
  const [, host = ''] =
    /^[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#@:]*)(?::\d*)?(?:[/?#]|$)/.exec(uri) ?? [];
  return isHost(host) ? host : undefined;
}

function mailboxOf(address: string): { readonly local: string; readonly host: string } | undefined {
  const at = address.lastIndexOf('@');
  const [local, host] = [address.slice(0, at), address.slice(at + 1)];
  return at > 0 && !local.includes('@') && isHost(host) ? { local, host } : undefined;
}

import { isIPv4, isIPv6 } from 'node:net';

import {
  childrenOf,
  expectTag,
  MalformedDer,
  readElement,
  readObjectIdentifier,
  sequenceOf,
  tags,
  type Element,
} from './der.js';

/** One attribute of a distinguished name, such as a common name. */
interface NameAttribute {
  readonly type: string;
  /** The text; undefined when it is not text, or not in one of the string types of RFC 5280 that are in use. */
  readonly text: string | undefined;
  /** For comparing: RFC 5280 §7.1, as far as OpenSSL goes (ASCII case and white space). */
  readonly canonical: string;
}

/** A distinguished name: RDNs, each a set of attributes. */
export type DistinguishedName = readonly (readonly NameAttribute[])[];

/** A name in a subject alternative name, or a subtree in a name constraint. */
export type GeneralName =
  | { readonly kind: 'email' | 'dns' | 'uri'; readonly value: string }
  /** As octets; in a constraint, followed by the mask. */
  | { readonly kind: 'ip'; readonly value: Buffer }
  | { readonly kind: 'directory'; readonly value: DistinguishedName }
  | { readonly kind: 'other' };

export const COMMON_NAME = '2.5.4.3';
export const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';

const shortNames: Readonly<Record<string, string>> = {
  [COMMON_NAME]: 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  [EMAIL_ADDRESS]: 'emailAddress',
};

export function readDistinguishedName(element: Element | undefined): DistinguishedName {
  return sequenceOf(element).map((rdn) => {
    const attributes = childrenOf(expectTag(rdn, tags.set)).map(readAttribute);
    if (attributes.length === 0) throw new MalformedDer('A name has an empty part.');
    return attributes;
  });
}

function readAttribute(element: Element): NameAttribute {
  const [typeElement, value, ...rest] = sequenceOf(element);
  if (value === undefined || rest.length > 0)
    throw new MalformedDer('An attribute has not exactly one value.');
  const type = readObjectIdentifier(typeElement);
  const text = readText(value);
  const folded = text
    ?.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .trim()
    .replace(/\s+/g, ' ');
  return { type, text, canonical: `${type}=${folded ?? `#${value.encoded.toString('hex')}`}` };
}

function readText({ tag, content }: Element): string | undefined {
  switch (tag) {
    case tags.utf8String:
      return utf8(content);
    case tags.printableString:
    case tags.ia5String:
      return content.every((octet) => octet < 0x80) ? content.toString('latin1') : undefined;
    default:
      return undefined;
  }
}

function utf8(content: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}

/** Equal for equal names. */
export function canonicalName(name: DistinguishedName): string {
  return JSON.stringify(name.map(canonicalRdn));
}

/** The attributes of an RDN are a set. */
export function canonicalRdn(rdn: readonly NameAttribute[]): string {
  return JSON.stringify(rdn.map(({ canonical }) => canonical).sort());
}

/** RFC 4514: the last part first, `CN=alice,O=Example`. */
export function nameToString(name: DistinguishedName): string {
  return name
    .map((rdn) => rdn.map(attributeToString).join('+'))
    .reverse()
    .join(',');
}

function attributeToString({ type, text, canonical }: NameAttribute): string {
  const value = text === undefined ? canonical.slice(type.length + 1) : escape(text);
  return `${shortNames[type] ?? type}=${value}`;
}

/** RFC 4514 §2.4, and whatever does not belong into a line of a log. */
function escape(text: string): string {
  return text
    .replace(/["+,;<=>\\]|^[ #]| $/g, '\\$&')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
      [...Buffer.from(character)].map((octet) => `\\${octet.toString(16).padStart(2, '0')}`).join(''),
    );
}

/** A GeneralName (RFC 5280 §4.2.1.6). Texts with anything but visible ASCII are refused. */
export function readGeneralName({ tag, content }: Element): GeneralName {
  switch (tag) {
    case 0x81:
      return { kind: 'email', value: visibleAscii(content) };
    case 0x82:
      return { kind: 'dns', value: visibleAscii(content) };
    case 0x86:
      return { kind: 'uri', value: visibleAscii(content) };
    case 0x87:
      return { kind: 'ip', value: content };
    case 0xa4:
      return { kind: 'directory', value: readDistinguishedName(readElement(content)) };
    case 0xa0:
    case 0xa3:
    case 0xa5:
    case 0x88:
      return { kind: 'other' };
    default:
      throw new MalformedDer('A name is of no kind that RFC 5280 knows.');
  }
}

function visibleAscii(content: Buffer): string {
  if (!content.every((octet) => octet > 0x20 && octet < 0x7f)) {
    throw new MalformedDer('A name has characters other than visible ASCII.');
  }
  return content.toString('latin1');
}

/** For people: `DNS:agent.example`, `URI:…`, `IP:…`, `email:…`, `DirName:…`. */
export function generalNameToString(name: GeneralName): string {
  switch (name.kind) {
    case 'dns':
      return `DNS:${name.value}`;
    case 'uri':
      return `URI:${name.value}`;
    case 'email':
      return `email:${name.value}`;
    case 'ip':
      return `IP:${addressToString(name.value)}`;
    case 'directory':
      return `DirName:${nameToString(name.value)}`;
    case 'other':
      return 'other';
  }
}

function addressToString(octets: Buffer): string {
  const v4 = [...octets].join('.');
  if (isIPv4(v4)) return v4;
  const v6 = (octets.toString('hex').match(/.{4}/g) ?? [])
    .map((group) => parseInt(group, 16).toString(16))
    .join(':');
  return isIPv6(v6) ? v6 : octets.toString('hex');
}

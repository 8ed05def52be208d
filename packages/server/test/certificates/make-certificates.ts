import {
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';

import {
  bitString,
  boolean,
  element,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from '../../src/certificates/der-writer.js';

/** A certificate that was made, with its private key. */
export interface Made {
  readonly der: Buffer;
  readonly pem: string;
  readonly key: KeyObject;
  readonly name: Buffer;
  readonly serial: Buffer;
  readonly fingerprint: string;
}

export interface CertificateParts {
  /** A common name, or a whole name in DER. */
  readonly subject?: string | Buffer;
  /** Default: itself. */
  readonly issuer?: Pick<Made, 'key' | 'name'>;
  readonly key?: KeyObject;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Basic constraints. Default: not an authority. */
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: readonly (keyof typeof keyUsageBits)[] | undefined;
  readonly extendedKeyUsage?: readonly string[] | undefined;
  readonly alternativeNames?: readonly Buffer[];
  readonly nameConstraints?: {
    readonly permitted?: readonly Buffer[];
    readonly excluded?: readonly Buffer[];
  };
  /** Further ones. */
  readonly extensions?: readonly Buffer[];
  readonly algorithm?: keyof typeof algorithms;
  readonly version?: number;
}

const keyUsageBits = { digitalSignature: 0x80, keyAgreement: 0x08, keyCertSign: 0x04, cRLSign: 0x02 };

const nothing = element(0x05);
const sha256 = sequence(objectIdentifier('2.16.840.1.101.3.4.2.1'));
const algorithms = {
  ecdsa: { hash: 'sha256', id: sequence(objectIdentifier('1.2.840.10045.4.3.2')) },
  'ecdsa-sha1': { hash: 'sha1', id: sequence(objectIdentifier('1.2.840.10045.4.1')) },
  rsa: { hash: 'sha256', id: sequence(objectIdentifier('1.2.840.113549.1.1.11'), nothing) },
  'rsa-sha1': { hash: 'sha1', id: sequence(objectIdentifier('1.2.840.113549.1.1.5'), nothing) },
  'rsa-md5': { hash: 'md5', id: sequence(objectIdentifier('1.2.840.113549.1.1.4'), nothing) },
  'rsa-pss': {
    hash: 'sha256',
    id: sequence(
      objectIdentifier('1.2.840.113549.1.1.10'),
      sequence(
        element(0xa0, sha256),
        element(0xa1, sequence(objectIdentifier('1.2.840.113549.1.1.8'), sha256)),
        element(0xa2, integer(32)),
      ),
    ),
  },
  'rsa-pss-sha1': { hash: 'sha1', id: sequence(objectIdentifier('1.2.840.113549.1.1.10'), sequence()) },
  ed25519: { hash: null, id: sequence(objectIdentifier('1.3.101.112')) },
} as const;

export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
export const ANY_USAGE = '2.5.29.37.0';

const HOUR = 3_600_000;
export const hours = (count: number): Date => new Date(Date.now() + count * HOUR);

export const ecKey = (namedCurve = 'P-256'): KeyObject =>
  generateKeyPairSync('ec', { namedCurve }).privateKey;
export const rsaKey = (modulusLength: number): KeyObject =>
  generateKeyPairSync('rsa', { modulusLength }).privateKey;
export const edKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

export const dns = (name: string): Buffer => element(0x82, Buffer.from(name, 'latin1'));
export const uri = (name: string): Buffer => element(0x86, Buffer.from(name, 'latin1'));
export const email = (name: string): Buffer => element(0x81, Buffer.from(name, 'latin1'));
export const ip = (...octets: number[]): Buffer => element(0x87, Uint8Array.from(octets));
export const directory = (name: Buffer): Buffer => element(0xa4, name);
export const otherName = (): Buffer =>
  element(0xa0, objectIdentifier('1.2.3.4'), element(0xa0, utf8String('other')));

export const attribute = (type: string, value: string | Buffer): Buffer =>
  sequence(objectIdentifier(type), typeof value === 'string' ? utf8String(value) : value);

/** A name with an RDN for each attribute. */
export const nameOf = (...attributes: Buffer[]): Buffer => sequence(...attributes.map((one) => set(one)));
export const commonName = (value: string | Buffer): Buffer => attribute('2.5.4.3', value);
export const organisation = (value: string): Buffer => attribute('2.5.4.10', value);

export function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

/** Makes whatever certificate is asked for, however wrong. By default, that of a client, valid for an hour. */
export function makeCertificate(parts: CertificateParts = {}): Made {
  const {
    subject = 'client',
    key = ecKey(),
    notBefore = hours(-1),
    notAfter = hours(1),
    ca = false,
    keyUsage = ca ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'],
    extendedKeyUsage = ca ? undefined : [CLIENT_AUTH],
    version = 3,
  } = parts;
  const name = typeof subject === 'string' ? nameOf(commonName(subject)) : subject;
  const issuer = parts.issuer ?? { name, key };
  const algorithm = algorithms[parts.algorithm ?? algorithmFor(issuer.key)];
  const serial = Buffer.concat([Uint8Array.of(0x40), randomBytes(8)]);
  const extensions = [
    ...basicConstraints(ca, parts.pathLength),
    ...('keyUsage' in parts && parts.keyUsage === undefined
      ? []
      : [
          extension(
            '2.5.29.15',
            bitString(Uint8Array.of(keyUsage.reduce((bits, usage) => bits | keyUsageBits[usage], 0))),
            true,
          ),
        ]),
    ...(extendedKeyUsage === undefined ||
    ('extendedKeyUsage' in parts && parts.extendedKeyUsage === undefined)
      ? []
      : [extension('2.5.29.37', sequence(...extendedKeyUsage.map(objectIdentifier)))]),
    ...(parts.alternativeNames === undefined
      ? []
      : [extension('2.5.29.17', sequence(...parts.alternativeNames))]),
    ...(parts.nameConstraints === undefined ? [] : [nameConstraints(parts.nameConstraints)]),
    ...(parts.extensions ?? []),
  ];
  const tbs = sequence(
    ...(version === 1 ? [] : [element(0xa0, integer(version - 1))]),
    integer(serial),
    algorithm.id,
    issuer.name,
    sequence(time(notBefore), time(notAfter)),
    name,
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    ...(version === 1 ? [] : [element(0xa3, sequence(...extensions))]),
  );
  const der = sequence(tbs, algorithm.id, bitString(signature(tbs, issuer.key, parts.algorithm)));
  return made(der, key, name, serial);
}

function basicConstraints(ca: boolean, pathLength: number | undefined): Buffer[] {
  const parts = [...(ca ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])];
  return [extension('2.5.29.19', sequence(...parts), true)];
}

function nameConstraints({
  permitted = [],
  excluded = [],
}: NonNullable<CertificateParts['nameConstraints']>): Buffer {
  const subtrees = (tag: number, names: readonly Buffer[]) =>
    names.length === 0 ? [] : [element(tag, ...names.map((name) => sequence(name)))];
  return extension('2.5.29.30', sequence(...subtrees(0xa0, permitted), ...subtrees(0xa1, excluded)), true);
}

function algorithmFor(key: KeyObject): keyof typeof algorithms {
  if (key.asymmetricKeyType === 'rsa') return 'rsa';
  return key.asymmetricKeyType === 'ed25519' ? 'ed25519' : 'ecdsa';
}

function signature(data: Buffer, key: KeyObject, name: keyof typeof algorithms | undefined): Buffer {
  const { hash } = algorithms[name ?? algorithmFor(key)];
  return name === 'rsa-pss' || name === 'rsa-pss-sha1'
    ? sign(hash, data, { key, padding: 6, saltLength: name === 'rsa-pss' ? 32 : 20 })
    : sign(hash, data, key);
}

function made(der: Buffer, key: KeyObject, name: Buffer, serial = Buffer.alloc(0)): Made {
  return { der, pem: toPem('CERTIFICATE', der), key, name, serial, fingerprint: fingerprintOf(der) };
}

function fingerprintOf(der: Buffer): string {
  try {
    return new X509Certificate(der).fingerprint256.replaceAll(':', '').toLowerCase();
  } catch {
    return '';
  }
}

export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

export interface CrlParts {
  readonly issuer: Pick<Made, 'name' | 'key'>;
  readonly revoked?: readonly Made[];
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date | undefined;
  readonly extensions?: readonly Buffer[];
  readonly entryExtensions?: readonly Buffer[];
  readonly algorithm?: keyof typeof algorithms;
}

/** A CRL in DER. */
export function makeCrl(parts: CrlParts): Buffer {
  const { issuer, revoked = [], thisUpdate = hours(-1), extensions, entryExtensions } = parts;
  const nextUpdate = 'nextUpdate' in parts ? parts.nextUpdate : hours(1);
  const algorithm = algorithms[parts.algorithm ?? algorithmFor(issuer.key)];
  const tbs = sequence(
    integer(1),
    algorithm.id,
    issuer.name,
    time(thisUpdate),
    ...(nextUpdate === undefined ? [] : [time(nextUpdate)]),
    ...(revoked.length === 0
      ? []
      : [
          sequence(
            ...revoked.map(({ serial }) =>
              sequence(
                integer(serial),
                time(thisUpdate),
                ...(entryExtensions === undefined ? [] : [sequence(...entryExtensions)]),
              ),
            ),
          ),
        ]),
    ...(extensions === undefined ? [] : [element(0xa0, sequence(...extensions))]),
  );
  return sequence(tbs, algorithm.id, bitString(signature(tbs, issuer.key, parts.algorithm)));
}

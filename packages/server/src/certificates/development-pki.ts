import { createPrivateKey, randomBytes, X509Certificate, type KeyObject } from 'node:crypto';
import { link, lstat, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import { issueCertificate, type Issued, type Signer } from './development-certificate.js';
import { spiffeIdProblem } from './spiffe.js';

export interface DevelopmentPkiOptions {
  /**
   * Where the files are, or are to be. It is made with mode 0700 if it is not there; one that others may write to is
   * refused. What is there and still good is used again. Default: a new folder among the temporary files.
   */
  readonly folder?: string;
  /** Host names that the server certificate is for, besides `localhost`, `127.0.0.1` and `::1`. */
  readonly hostNames?: readonly string[];
  /** The clients to issue certificates for; see {@link DevelopmentPki.issueClient}. */
  readonly clients?: readonly string[];
  /** What clients call the server: the name of its file in `known_servers`. Default `agent`. */
  readonly alias?: string;
  /** Days for which new certificates are valid, at most 397. Default 30. */
  readonly days?: number;
}

/** Paths of a certificate and of its private key, both in PEM. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Where everything is. All paths are absolute. */
export interface DevelopmentPki {
  readonly folder: string;
  /** The certificate of the authority. */
  readonly ca: string;
  readonly server: CertificateFiles;
  /** The folder that the server trusts: it holds the certificate of the authority. */
  readonly knownClients: string;
  /** The folder that clients trust: it holds, as `<alias>.pem`, the certificate of the authority. */
  readonly knownServers: string;
  /** By name, those of the option `clients`. */
  readonly clients: Readonly<Record<string, CertificateFiles>>;
  /**
   * Issues a client certificate, or finds the one issued before.
   *
   * @param name its common name: letters, digits, `.`, `_` and `-`, at most 64
   * @param identity with a SPIFFE id, it is the certificate's only subject alternative name
   */
  issueClient(name: string, identity?: { readonly spiffeId?: string }): Promise<CertificateFiles>;
}

const loopbackNames = ['localhost', '127.0.0.1', '::1'];
const MAX_DAYS = 397;
const AUTHORITY = 'A2A development authority';

/**
 * A certificate authority for development and tests, with a server certificate and client certificates, in a folder:
 *
 * ```text
 * ca/ server/ clients/<name>/   certificate.pem and key.pem of each (0600)
 * known_clients/                what a server trusts
 * known_servers/<alias>.pem     what a client trusts
 * ```
 *
 * Called again with the same folder, it uses again what is there. It never writes over a file.
 *
 * @throws {ConfigurationError} `FORBIDDEN_IN_PRODUCTION` when `NODE_ENV` is `production`; `INVALID_OPTION` when an option is
 *   wrong, or the folder has a certificate that has ended or is for other names: the message says what to remove
 */
export async function createDevelopmentPki(options: DevelopmentPkiOptions = {}): Promise<DevelopmentPki> {
  checkOptions('createDevelopmentPki()', options, {
    folder: 'string',
    hostNames: 'strings',
    clients: 'strings',
    alias: 'any',
    days: 'number',
  });
  const { hostNames = [], clients = [], alias = 'agent', days = 30 } = options;
  if (process.env.NODE_ENV === 'production') {
    throw configurationError(
      'FORBIDDEN_IN_PRODUCTION',
      'createDevelopmentPki() keeps the key of its authority in a file and is meant for development, but NODE_ENV is "production".',
    );
  }
  if (!(days > 0 && days <= MAX_DAYS)) {
    throw configurationError('INVALID_OPTION', `days must be a positive number, at most ${MAX_DAYS}.`);
  }
  assertFileName('alias', alias);
  for (const hostName of hostNames) assertHostName(hostName);

  const folder = await privateFolder(options.folder);
  const knownClients = join(folder, 'known_clients');
  const knownServers = join(folder, 'known_servers');
  for (const part of [knownClients, knownServers, join(folder, 'clients')]) {
    await mkdir(part, { recursive: true, mode: 0o700 });
  }
  // Keys do not belong into a repository.
  await writeOnce(join(folder, '.gitignore'), '*\n');

  const ca = await pairIn(join(folder, 'ca'), () =>
    issueCertificate(
      `${AUTHORITY} ${randomBytes(4).toString('hex')}`,
      { kind: 'authority' },
      // So that what it signs ends before it does.
      days + 1,
    ),
  );
  const { certificate: authority, key } = await readPair(ca);
  const commonName = /^CN=(.*)$/m.exec(authority.subject)?.[1] ?? '';
  if (!authority.ca || !commonName.startsWith(AUTHORITY)) {
    throw unusable(ca.certificate, 'is not the certificate of a development authority');
  }
  await writeOnce(join(knownClients, 'development-authority.pem'), authority.toString());
  await writeOnce(join(knownServers, `${alias}.pem`), authority.toString());
  const signer = { commonName, key };

  const names = [...new Set([...loopbackNames, ...hostNames])];
  const server = await pairIn(join(folder, 'server'), () =>
    issueCertificate('localhost', { kind: 'server', names }, days, signer),
  );
  const serverCertificate = await readIssued(server, authority);
  for (const name of names) {
    const match = isIP(name) === 0 ? serverCertificate.checkHost(name) : serverCertificate.checkIP(name);
    if (match === undefined) {
      throw unusable(server.certificate, `is not for ${name}`);
    }
  }

  const issueClient = (name: string, identity: { readonly spiffeId?: string } = {}) =>
    clientPair(join(folder, 'clients'), name, identity.spiffeId, days, signer, authority);
  const issued: Record<string, CertificateFiles> = Object.create(null) as Record<string, CertificateFiles>;
  for (const name of clients) issued[name] = await issueClient(name);

  return { folder, ca: ca.certificate, server, knownClients, knownServers, clients: issued, issueClient };
}

async function clientPair(
  folder: string,
  name: string,
  spiffeId: string | undefined,
  days: number,
  signer: Signer,
  authority: X509Certificate,
): Promise<CertificateFiles> {
  assertFileName('The name of a client', name);
  const problem = spiffeId === undefined ? undefined : spiffeIdProblem(spiffeId);
  if (problem !== undefined) throw configurationError('INVALID_OPTION', problem);
  const files = await pairIn(join(folder, name), () =>
    issueCertificate(name, { kind: 'client', uri: spiffeId }, days, signer),
  );
  const certificate = await readIssued(files, authority);
  const expected = spiffeId === undefined ? undefined : `URI:${spiffeId}`;
  if (certificate.subjectAltName !== expected) {
    throw unusable(files.certificate, `is not for ${spiffeId ?? 'a client without a SPIFFE id'}`);
  }
  return files;
}

/** The folder of a key and its certificate. It appears with both in it or not at all, whoever else makes it. */
async function pairIn(folder: string, issue: () => Issued): Promise<CertificateFiles> {
  const files = { certificate: join(folder, 'certificate.pem'), key: join(folder, 'key.pem') };
  if (await isThere(folder)) return files;
  const issued = issue();
  const staging = `${folder}.${randomBytes(8).toString('hex')}.tmp`;
  await mkdir(staging, { mode: 0o700 });
  try {
    await writeFile(join(staging, 'key.pem'), issued.key, { mode: 0o600, flag: 'wx' });
    await writeFile(join(staging, 'certificate.pem'), issued.certificate, { mode: 0o600, flag: 'wx' });
    await rename(staging, folder);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    // Somebody else made it in the meantime.
    if (!(await isThere(folder))) throw error;
  }
  return files;
}

/** Writes a file that was not there; leaves one that holds the same. */
async function writeOnce(path: string, content: string): Promise<void> {
  const staging = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  await writeFile(staging, content, { mode: 0o600, flag: 'wx' });
  try {
    // Unlike a rename, it fails when there is a file.
    await link(staging, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if ((await readFile(path, 'utf8')) !== content) throw unusable(path, 'holds something else');
  } finally {
    await rm(staging, { force: true });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function privateFolder(given: string | undefined): Promise<string> {
  if (given === undefined) return mkdtemp(join(tmpdir(), 'a2a-development-pki-'));
  const folder = resolve(given);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { mode, uid } = await lstat(folder);
  const isOurs = process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
  if (!isOurs) {
    throw configurationError(
      'INVALID_OPTION',
      `The folder ${folder} belongs to, or can be changed by, somebody else: keys are not written there. Give one of your own with mode 0700.`,
    );
  }
  return folder;
}

interface Pair {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

/** Reads a certificate and its key, and checks that they are still good. */
async function readPair(files: CertificateFiles): Promise<Pair> {
  const pair = await readFiles(files);
  if (new Date(pair.certificate.validTo).getTime() <= Date.now()) {
    throw unusable(files.certificate, 'has ended');
  }
  if (!pair.certificate.checkPrivateKey(pair.key)) {
    throw unusable(files.certificate, 'does not belong to the key beside it');
  }
  return pair;
}

async function readFiles(files: CertificateFiles): Promise<Pair> {
  try {
    return {
      certificate: new X509Certificate(await readFile(files.certificate)),
      key: createPrivateKey(await readFile(files.key)),
    };
  } catch {
    throw unusable(files.certificate, 'or its key cannot be read');
  }
}

async function readIssued(files: CertificateFiles, authority: X509Certificate): Promise<X509Certificate> {
  const { certificate } = await readPair(files);
  if (!certificate.verify(authority.publicKey)) {
    throw unusable(files.certificate, 'was signed by another authority');
  }
  return certificate;
}

function unusable(path: string, problem: string): Error {
  return configurationError(
    'INVALID_OPTION',
    `The development certificate ${path} ${problem}. Nothing is written over: remove it, or give another folder.`,
  );
}

function assertFileName(what: string, name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return;
  throw configurationError(
    'INVALID_OPTION',
    `${what} must begin with a letter or digit and have only letters, digits, ".", "_" and "-", at most 64: ${JSON.stringify(name)}.`,
  );
}

function assertHostName(name: string): void {
  if (name.length <= 253 && /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name)) return;
  throw configurationError(
    'INVALID_OPTION',
    `hostNames must be host names or IPv4 addresses: ${JSON.stringify(name)} is not.`,
  );
}

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';

import type { TlsIdentity } from '../credential-source.js';
import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';

/** Paths of PEM files. They are read anew when they change. */
export interface TlsFiles {
  /** The client certificate, followed by those in between where there are any. */
  readonly certificate: string;
  /** Its private key, without a passphrase. */
  readonly key: string;
  /**
   * The authorities that server certificates are checked against, such as `known_servers/partner.pem`. Default: those of
   * Node.
   */
  readonly ca?: string;
}

/** Milliseconds for which files are not looked at again. */
const LOOK_EVERY = 1_000;

/**
 * Reads an identity when it is first asked for, and again when a file has changed. While the files do not fit together, as in
 * the middle of being replaced, the identity from before goes on. The same object is given as long as nothing changes.
 *
 * @param source the name of the function that the paths were given to
 * @throws {ClientError} `INVALID_OPTION` when a path is missing; the returned function, when the files cannot be used
 */
export function tlsIdentity(source: string, files: TlsFiles): () => Promise<TlsIdentity> {
  checkOptions(`${source}() with TLS files`, files, { certificate: true, key: true, ca: true });
  const { certificate, key, ca } = files;
  for (const [name, path] of Object.entries({ certificate, key, ...(ca === undefined ? {} : { ca }) })) {
    if (typeof path !== 'string' || path === '') {
      throw new ClientError('INVALID_OPTION', `${source}(): ${name} must be the path of a PEM file.`);
    }
  }
  const paths = [certificate, key, ...(ca === undefined ? [] : [ca])];
  let identity: TlsIdentity | undefined;
  let version = '';
  let lookedAt = -Infinity;
  let pending: Promise<TlsIdentity> | undefined;

  const load = async (): Promise<TlsIdentity> => {
    try {
      const found = await versionOf(paths);
      if (identity === undefined || found !== version) {
        const read = await readIdentity(source, files);
        // Changed while it was read: what was read may be of two times.
        version = (await versionOf(paths)) === found ? found : '';
        identity = same(identity, read) ? identity : read;
      }
      lookedAt = performance.now();
      return identity;
    } catch (error) {
      if (identity === undefined) throw error;
      return identity;
    } finally {
      pending = undefined;
    }
  };
  return () => {
    if (identity !== undefined && performance.now() - lookedAt < LOOK_EVERY) return Promise.resolve(identity);
    return (pending ??= load());
  };
}

async function versionOf(paths: readonly string[]): Promise<string> {
  const stats = await Promise.all(
    paths.map(async (path) => {
      try {
        return await stat(path, { bigint: true });
      } catch (error) {
        throw unreadable(path, error);
      }
    }),
  );
  return stats.map(({ ino, size, mtimeNs }) => [ino, size, mtimeNs].join(':')).join(' ');
}

async function readIdentity(source: string, files: TlsFiles): Promise<TlsIdentity> {
  const read = async (path: string) => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      throw unreadable(path, error);
    }
  };
  const [certificate, key, ca] = await Promise.all([
    read(files.certificate),
    read(files.key),
    files.ca === undefined ? undefined : read(files.ca),
  ]);
  // The errors of the parsers are left out: they may quote what they could not parse.
  const parsed = parse(() => new X509Certificate(certificate));
  if (parsed === undefined) throw invalid(source, `${files.certificate} holds no certificate in PEM`);
  const parsedKey = parse(() => createPrivateKey(key));
  if (parsedKey === undefined) throw invalid(source, `${files.key} holds no private key in PEM`);
  if (!parsed.checkPrivateKey(parsedKey)) {
    throw invalid(source, `${files.key} is not the key of ${files.certificate}`);
  }
  if (ca !== undefined && parse(() => new X509Certificate(ca)) === undefined) {
    throw invalid(source, `${files.ca ?? ''} holds no certificate in PEM`);
  }
  return Object.freeze({ certificate, key, ca });
}

function parse<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function same(a: TlsIdentity | undefined, b: TlsIdentity): a is TlsIdentity {
  return a?.certificate === b.certificate && a.key === b.key && a.ca === b.ca;
}

function unreadable(path: string, error: unknown): ClientError {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return new ClientError('INVALID_OPTION', `${path} cannot be read (${code}).`);
}

function invalid(source: string, what: string): ClientError {
  return new ClientError('INVALID_OPTION', `${source}(): ${what}.`);
}

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { configurationError } from '../errors.js';

/** Where the server's own certificate is. */
export interface ServerCertificateFiles {
  /** Path of a PEM file: the server's certificate, and after it those that lead to its authority. */
  readonly certificate: string;
  /** Path of a PEM file: the private key of the certificate. */
  readonly key: string;
  /** Of the private key, when it is encrypted. */
  readonly passphrase?: string | undefined;
}

/** A certificate and its key, as `node:tls` takes them. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
  readonly passphrase: string | undefined;
}

/**
 * Reads the server's certificate and key.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when one of them cannot be read, or they do not belong together
 */
export async function readServerCertificate(files: ServerCertificateFiles): Promise<ServerCertificate> {
  const { certificate, passphrase } = files;
  const [cert, key] = await Promise.all([readText('certificate', certificate), readText('key', files.key)]);
  const read = <T>(option: 'certificate' | 'key', parse: () => T): T => {
    try {
      return parse();
    } catch {
      // What OpenSSL says may quote the file.
      throw invalid(`the ${option} ${files[option]} is not in PEM, or is not whole`);
    }
  };
  const parsed = read('certificate', () => new X509Certificate(cert));
  const privateKey = read('key', () => createPrivateKey({ key, passphrase }));
  // OpenSSL minds neither an empty certificate nor one without an authority.
  if (!parsed.checkPrivateKey(privateKey)) {
    throw invalid(`the key ${files.key} is not that of the certificate ${certificate}`);
  }
  return { cert, key, passphrase };
}

async function readText(option: string, path: string): Promise<string> {
  if (path === undefined || path === '') throw invalid(`the ${option} is missing: the path of a PEM file`);
  // It would be a part of the message that no such file is there.
  if (typeof path !== 'string' || /[\r\n]/.test(path)) {
    throw invalid(`the ${option} must be the path of a PEM file, not its content`);
  }
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw invalid(
      `the ${option} ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}). Give the path of a PEM file`,
    );
  }
}

function invalid(problem: string): Error {
  return configurationError('INVALID_OPTION', `serveMutualTls(): ${problem}.`);
}

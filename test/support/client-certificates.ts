import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { CredentialSource, TlsFiles } from '@a2a-auth/client';
import { vi } from 'vitest';

import { countingSource } from '../../packages/client/test/support/source.js';
import type { Identity } from './oauth/certificates.js';

/** Writes a certificate with its key, and the authority that the agent is proved by, into a folder. */
export async function writeTlsFiles(
  folder: string,
  ca: string,
  identity: Identity,
): Promise<Required<TlsFiles>> {
  const files = {
    certificate: join(folder, 'c.pem'),
    key: join(folder, 'k.pem'),
    ca: join(folder, 'ca.pem'),
  };
  await writeIdentity(files, identity);
  await writeFile(files.ca, ca);
  return files;
}

/** Writes another certificate with its key over those that are there. */
export async function writeIdentity(files: TlsFiles, { cert, key }: Identity): Promise<void> {
  await writeFile(files.certificate, cert);
  await writeFile(files.key, key, { mode: 0o600 });
}

/** Lets the time pass for which files are not looked at; until mocks are restored. */
export function lookAgain(): void {
  const now = performance.now() + 2_000;
  vi.spyOn(performance, 'now').mockReturnValue(now);
}

/** A source of a certificate that has another one after a refusal. */
export function renewedCertificate(ca: string, refused: Identity, renewed: Identity): CredentialSource {
  let current = refused;
  return countingSource({
    unfitFor: ({ type }) => (type === 'mutualTLS' ? undefined : 'Only certificates.'),
    credential: async () => ({ tls: { certificate: current.cert, key: current.key, ca } }),
    renew: async () => {
      current = renewed;
      return true;
    },
  }).source;
}

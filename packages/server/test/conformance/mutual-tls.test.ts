import { X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';

import { createDevelopmentPki, mutualTls, VerifierUnavailable } from '@a2a-auth/server';
import { conformanceRequest, schemeConformance } from '@a2a-auth/server/conformance';
import { afterAll, describe, it } from 'vitest';

const pki = await createDevelopmentPki({ clients: ['alice', 'bob'] });
const stranger = await createDevelopmentPki({ clients: ['alice'] });

afterAll(async () => {
  await Promise.all([pki, stranger].map(({ folder }) => rm(folder, { recursive: true })));
});

async function presented({ clients }: typeof pki, name: string) {
  const pem = await readFile(clients[name]?.certificate ?? '', 'utf8');
  return conformanceRequest({ clientCertificate: { der: new X509Certificate(pem).raw } });
}

describe('mutualTls()', () => {
  const cases = schemeConformance({
    create: () => mutualTls({ trust: { folder: pki.knownClients } }),
    good: () => presented(pki, 'alice'),
    other: () => presented(pki, 'bob'),
    bad: () => presented(stranger, 'alice'),
    unavailable: {
      create: () =>
        mutualTls({
          trust: { folder: pki.knownClients },
          validator: () => {
            throw new VerifierUnavailable('The directory is down.');
          },
        }),
      request: () => presented(pki, 'alice'),
    },
    // A certificate is public: what proves its holder is the handshake.
    secrets: () => [],
    scopes: [],
  });
  for (const { title, run } of cases) it(title, run);
});

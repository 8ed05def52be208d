import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createDevelopmentPki, type CertificateFiles } from '@a2a-auth/server';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

let root: string;
let count = 0;
const newFolder = () => join(root, `pki-${String(count++)}`);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'a2a-pki-test-'));
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

afterEach(() => {
  vi.unstubAllEnvs();
});

const read = async (files: CertificateFiles) => new X509Certificate(await readFile(files.certificate));

async function everythingIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map(({ parentPath, name }) => join(parentPath, name));
}

describe('a development PKI', () => {
  it('serves a mutual TLS connection that both sides trust', async () => {
    const pki = await createDevelopmentPki({ folder: newFolder(), clients: ['alice'] });
    const alice = pki.clients.alice as CertificateFiles;
    const [knownClient = ''] = await readdir(pki.knownClients);
    const server = createServer(
      {
        cert: await readFile(pki.server.certificate),
        key: await readFile(pki.server.key),
        ca: await readFile(join(pki.knownClients, knownClient)),
        requestCert: true,
      },
      (request, response) => {
        response.end((request.socket as { authorized?: boolean }).authorized === true ? 'trusted' : 'no');
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const body = await new Promise<string>((resolve, reject) => {
        void Promise.all(
          [alice.certificate, alice.key, join(pki.knownServers, 'agent.pem')].map((path) => readFile(path)),
        ).then(([cert, key, ca]) => {
          get(
            { port: (server.address() as AddressInfo).port, host: '127.0.0.1', cert, key, ca, agent: false },
            (response) => {
              response.setEncoding('utf8').on('data', resolve).on('error', reject);
            },
          ).on('error', reject);
        }, reject);
      });
      expect(body).toBe('trusted');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('says in the name of its authority what it is for', async () => {
    const pki = await createDevelopmentPki({ folder: newFolder() });
    expect(new X509Certificate(await readFile(pki.ca)).subject).toContain('development');
  });

  it('lets nobody else read its files', async () => {
    const pki = await createDevelopmentPki({ folder: newFolder(), clients: ['alice'] });
    for (const path of [pki.folder, ...(await everythingIn(pki.folder))]) {
      expect([path, (await stat(path)).mode & 0o077]).toEqual([path, 0]);
    }
  });

  it('trusts no private key and leaves no temporary file', async () => {
    const pki = await createDevelopmentPki({ folder: newFolder(), clients: ['alice'] });
    expect(await readdir(pki.knownClients)).toEqual(['development-authority.pem']);
    expect(await readdir(pki.knownServers)).toEqual(['agent.pem']);
    expect(await readFile(join(pki.knownClients, 'development-authority.pem'), 'utf8')).not.toContain('KEY');
    expect((await everythingIn(pki.folder)).filter((path) => path.endsWith('.tmp'))).toEqual([]);
  });

  it('is for localhost and the names asked for', async () => {
    const pki = await createDevelopmentPki({ folder: newFolder(), hostNames: ['agent.test'] });
    const certificate = await read(pki.server);
    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(certificate.checkHost('agent.test')).toBe('agent.test');
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('::1')).toBe('::1');
  });

  it('issues a client with a SPIFFE id as its only alternative name', async () => {
    const pki = await createDevelopmentPki({ folder: newFolder() });
    const files = await pki.issueClient('web', { spiffeId: 'spiffe://dev.example/web' });
    expect((await read(files)).subjectAltName).toBe('URI:spiffe://dev.example/web');
  });

  it('uses again what is there', async () => {
    const folder = newFolder();
    const first = await createDevelopmentPki({ folder, clients: ['alice'] });
    const before = await Promise.all(
      (await everythingIn(first.ca.replace('ca/certificate.pem', ''))).map(contentOf),
    );
    const second = await createDevelopmentPki({ folder, clients: ['alice'] });
    expect(second).toMatchObject({ ca: first.ca, server: first.server, clients: first.clients });
    expect(await Promise.all((await everythingIn(folder)).map(contentOf))).toEqual(before);
  });

  it('made ten times at once is one', async () => {
    const folder = newFolder();
    const all = await Promise.all(
      Array.from({ length: 10 }, () => createDevelopmentPki({ folder, clients: ['alice'] })),
    );
    const [pki] = all;
    const ca = new X509Certificate(await readFile(pki?.ca ?? ''));
    for (const files of [pki?.server, pki?.clients.alice]) {
      expect((await read(files as CertificateFiles)).verify(ca.publicKey)).toBe(true);
    }
    expect((await everythingIn(folder)).filter((path) => path.endsWith('.tmp'))).toEqual([]);
  });

  it.each([
    ['a host name it is not for', { hostNames: ['other.test'] }],
    ['a known server of another authority', { alias: 'taken' }],
  ])('never writes over what is there: %s', async (_what, options) => {
    const folder = newFolder();
    const pki = await createDevelopmentPki({ folder });
    await writeFile(join(pki.knownServers, 'taken.pem'), 'mine');
    await expect(createDevelopmentPki({ folder, ...options })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
    expect(await readFile(join(pki.knownServers, 'taken.pem'), 'utf8')).toBe('mine');
  });

  it('refuses what has ended', async () => {
    const folder = newFolder();
    await createDevelopmentPki({ folder, days: 1 });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3 * 86_400_000 });
    try {
      await expect(createDevelopmentPki({ folder })).rejects.toThrow(/has ended/);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each(['ca/certificate.pem', 'ca/key.pem', 'server/certificate.pem'])(
    'refuses a broken %s',
    async (path) => {
      const folder = newFolder();
      await createDevelopmentPki({ folder });
      await writeFile(join(folder, path), 'broken');
      await expect(createDevelopmentPki({ folder })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    },
  );

  it('refuses a folder that others can write to', async () => {
    const folder = newFolder();
    await mkdir(folder);
    await chmod(folder, 0o777);
    await expect(createDevelopmentPki({ folder })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    { clients: ['../alice'] },
    { clients: ['.'] },
    { clients: [''] },
    { clients: ['a\nb'] },
    { clients: ['__proto__/x'] },
    { alias: '../agent' },
    { hostNames: ['a b'] },
    { hostNames: ['*.example'] },
    { days: 0 },
    { days: 10_000 },
    { days: NaN },
  ])('refuses %j', async (options) => {
    await expect(createDevelopmentPki({ folder: newFolder(), ...options })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });

  it('does not exist in production', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    await expect(createDevelopmentPki({ folder: newFolder() })).rejects.toMatchObject({
      code: 'FORBIDDEN_IN_PRODUCTION',
    });
  });
});

async function contentOf(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? path : `${path}: ${await readFile(path, 'utf8')}`;
}

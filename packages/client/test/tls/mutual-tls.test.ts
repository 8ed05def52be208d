import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { inspect } from 'node:util';

import { mutualTls, mutualTlsFetch, type CredentialRequest, type TlsFiles } from '@a2a-auth/client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { lookAgain, writeIdentity, writeTlsFiles } from '../../../../test/support/client-certificates.js';
import { certificateAuthority } from '../../../../test/support/oauth/certificates.js';

const authority = certificateAuthority();
const [one, two] = [authority.client('one'), authority.client('two')] as const;
const serverIdentity = authority.server();
const servers: Server[] = [];
let folder: string;
let files: Required<TlsFiles>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  files = await writeTlsFiles(folder, authority.ca, one);
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  await rm(folder, { recursive: true });
});

const request: CredentialRequest = {
  schemeId: 'mtls',
  scheme: { type: 'mutualTLS' },
  scopes: [],
  resource: undefined,
  http: { method: 'POST', url: 'https://agent.example/' },
};

describe('mutualTls', () => {
  it('gives what is in the files, and the same object as long as they stay', async () => {
    const source = mutualTls(files);
    const { tls } = await source.credential(request);
    expect(tls).toEqual({ certificate: one.cert, key: one.key, ca: authority.ca });
    expect((await source.credential(request)).tls).toBe(tls);
    lookAgain();
    expect((await source.credential(request)).tls).toBe(tls);
  });

  it('takes up files that were replaced', async () => {
    const source = mutualTls(files);
    await source.credential(request);
    await writeIdentity(files, two);
    lookAgain();
    expect((await source.credential(request)).tls?.certificate).toBe(two.cert);
  });

  it('takes up a link that was turned to another file', async () => {
    const [certificate, key] = [join(folder, 'link.crt'), join(folder, 'link.key')];
    await symlink(files.certificate, certificate);
    await symlink(files.key, key);
    const source = mutualTls({ certificate, key });
    await source.credential(request);
    await Promise.all([rm(certificate), rm(key)]);
    await writeFile(join(folder, 'c2.pem'), two.cert);
    await writeFile(join(folder, 'k2.pem'), two.key);
    await symlink(join(folder, 'c2.pem'), certificate);
    await symlink(join(folder, 'k2.pem'), key);
    lookAgain();
    expect((await source.credential(request)).tls?.certificate).toBe(two.cert);
  });

  it.each<[string, () => Promise<void>]>([
    ['while only one of the files is new', () => writeFile(files.certificate, two.cert)],
    ['while a file is half written', () => writeFile(files.key, two.key.slice(0, 100))],
    ['while a file is empty', () => writeFile(files.certificate, '')],
    ['while a file is not there', () => rm(files.key)],
    ['while the authorities are half written', () => writeFile(files.ca, authority.ca.slice(0, 100))],
  ])('goes on with what it had %s, and then takes up the new', async (_, disturb) => {
    const source = mutualTls(files);
    const { tls } = await source.credential(request);
    await disturb();
    lookAgain();
    expect((await source.credential(request)).tls).toBe(tls);
    await writeIdentity(files, two);
    await writeFile(files.ca, authority.ca);
    expect((await source.credential(request)).tls?.certificate).toBe(two.cert);
  });

  it.each<[string, () => Promise<void>, string]>([
    ['a missing key', () => rm(files.key), 'k.pem'],
    ['a key of another certificate', () => writeFile(files.key, two.key), 'k.pem'],
    ['a certificate that is none', () => writeFile(files.certificate, one.key), 'c.pem'],
    ['an authority that is none', () => writeFile(files.ca, 'text'), 'ca.pem'],
  ])('names %s, and shows nothing of it', async (_, spoil, name) => {
    await spoil();
    const error: unknown = await mutualTls(files)
      .credential(request)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(name) as string });
    expect(inspect(error, { showHidden: true, depth: 10 })).not.toContain(one.key.split('\n')[1]);
  });

  it('says after a refusal whether there is another certificate by now', async () => {
    const source = mutualTls(files);
    const refused = await source.credential(request);
    const refusal = { ...request, refused, challenge: undefined };
    expect(await source.renew?.(refusal)).toBe(false);
    await writeIdentity(files, two);
    lookAgain();
    expect(await source.renew?.(refusal)).toBe(true);
  });

  it('is for mutual TLS alone', () => {
    const source = mutualTls(files);
    expect(source.unfitFor({ type: 'mutualTLS' })).toBeUndefined();
    expect(source.unfitFor({ type: 'http', scheme: 'Bearer' })).toMatch(/certificate/);
    expect(() => mutualTls({ certificate: '', key: 'k' })).toThrow(/certificate/);
  });
});

describe('mutualTlsFetch', () => {
  /** A server that says whose certificate it saw. */
  async function listen(options: object = {}, redirect?: string) {
    const seen: (string | undefined)[] = [];
    const server = createServer(
      { ...serverIdentity, requestCert: true, rejectUnauthorized: true, ...options },
      (incoming, response) => {
        seen.push((incoming.socket as TLSSocket).getPeerX509Certificate()?.subject);
        if (redirect !== undefined && incoming.url === '/') response.writeHead(307, { location: redirect });
        incoming.pipe(response);
      },
    );
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    return { url: `https://127.0.0.1:${String(port)}/`, port, seen };
  }

  it('presents the certificate', async () => {
    const { url, seen } = await listen();
    const call = mutualTlsFetch(files);
    expect(await (await call(url, { method: 'POST', body: 'hello' })).text()).toBe('hello');
    expect(await (await call(new Request(url, { method: 'POST', body: 'again' }))).text()).toBe('again');
    expect(seen).toEqual(['CN=one', 'CN=one']);
  });

  it('presents a new certificate once the files have changed', async () => {
    const { url, seen } = await listen();
    const call = mutualTlsFetch(files);
    await (await call(url)).text();
    await writeIdentity(files, two);
    lookAgain();
    await (await call(url)).text();
    expect(seen).toEqual(['CN=one', 'CN=two']);
  });

  it('does not speak to a server of another authority', async () => {
    const other = certificateAuthority();
    const { url, seen } = await listen({ ...other.server(), ca: authority.ca });
    await expect(mutualTlsFetch(files)(url)).rejects.toThrow();
    expect(seen).toEqual([]);
  });

  it('does not speak to a server of another name', async () => {
    const { port, seen } = await listen();
    await expect(mutualTlsFetch(files)(`https://localhost:${String(port)}/`)).rejects.toThrow();
    expect(seen).toEqual([]);
  });

  it('does not speak TLS 1.1', async () => {
    const { url } = await listen({
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    await expect(mutualTlsFetch(files)(url)).rejects.toThrow();
  });

  it('follows a redirect to the same origin, and to no other', async () => {
    const elsewhere = await listen();
    const away = await listen({}, elsewhere.url);
    await expect(mutualTlsFetch(files)(away.url)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(elsewhere.seen).toEqual([]);
    const home = await listen({}, '/other');
    expect((await mutualTlsFetch(files)(home.url)).status).toBe(200);
  });

  it('does not fall back to plain http', async () => {
    const call = mutualTlsFetch(files);
    await expect(call('http://127.0.0.1:1/')).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    const { url } = await listen({}, 'http://127.0.0.1:8080/');
    await expect(call(url)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
  });

  it('gives up when it is told to', async () => {
    const { url } = await listen();
    await expect(mutualTlsFetch(files)(url, { signal: AbortSignal.abort() })).rejects.toThrow('abort');
  });
});

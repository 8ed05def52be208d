import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  certificateTrust,
  VerifierUnavailable,
  type CertificateTrust,
  type TrustOptions,
  type TrustVerdict,
} from '@a2a-auth/server';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { sequence } from '../../src/certificates/der-writer.js';
import {
  ecKey,
  extension,
  hours,
  makeCertificate,
  makeCrl,
  rsaKey,
  toPem,
  uri,
  type CertificateParts,
  type Made,
} from './make-certificates.js';

let root: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'a2a-trust-test-'));
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function folderOf(files: Readonly<Record<string, string | Buffer>> = {}): Promise<string> {
  const folder = join(root, String(count++));
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

const authority = (subject = 'root', parts: CertificateParts = {}): Made =>
  makeCertificate({ subject, ca: true, ...parts });
const verify = (trust: CertificateTrust, { der }: Made, chain: readonly Made[] = []): Promise<TrustVerdict> =>
  trust.verify({ der, chain: chain.map((sent) => sent.der) });

function warnings(): string[] {
  const told: string[] = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => {
    told.push(String(warning));
  });
  return told;
}

const ca = authority();
const client = makeCertificate({ subject: 'alice', issuer: ca });
const selfSigned = makeCertificate({ subject: 'self' });

describe('a folder of known clients', () => {
  it('vouches by its authorities, and accepts its other certificates as they are', async () => {
    const trust = certificateTrust({
      folder: await folderOf({ 'ca.pem': ca.pem, 'self.pem': selfSigned.pem }),
    });
    expect(await verify(trust, client)).toMatchObject({ trusted: true, anchor: 'ca' });
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: true, anchor: 'certificate' });
    expect(await verify(trust, makeCertificate({ subject: 'self' }))).toMatchObject({ trusted: false });
  });

  it('takes no client for an authority', async () => {
    const trust = certificateTrust({ folder: await folderOf({ 'self.pem': selfSigned.pem }) });
    expect(await verify(trust, makeCertificate({ issuer: selfSigned }))).toMatchObject({ trusted: false });
  });

  it('accepts what is added, and refuses what is removed, remembered or not', async () => {
    const folder = await folderOf();
    const trust = certificateTrust({ folder });
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: false });

    await writeFile(join(folder, 'self.pem'), selfSigned.pem);
    expect(await trust.refresh()).toBe(true);
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: true });
    expect(await trust.refresh()).toBe(false);

    await unlink(join(folder, 'self.pem'));
    expect(await trust.refresh()).toBe(true);
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: false });
  });

  it('is looked at with a verification, without being told', async () => {
    const folder = await folderOf({ 'self.pem': selfSigned.pem });
    const trust = certificateTrust({ folder });
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: true });
    await unlink(join(folder, 'self.pem'));
    await vi.waitFor(
      async () => {
        expect(await verify(trust, selfSigned)).toMatchObject({ trusted: false });
      },
      { timeout: 10_000 },
    );
  });

  it('is followed through a symbolic link that is swapped, as in a Kubernetes volume', async () => {
    const folder = await folderOf();
    for (const [name, { pem }] of Object.entries({ '..1': selfSigned, '..2': ca })) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'client.pem'), pem);
    }
    await symlink('..1', join(folder, '..data'));
    await symlink(join('..data', 'client.pem'), join(folder, 'client.pem'));
    const trust = certificateTrust({ folder });
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: true });

    await symlink('..2', join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    await trust.refresh();
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: false });
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
  });

  const key = client.key.export({ type: 'pkcs8', format: 'pem' }) as string;
  it.each<[string, string | Buffer]>([
    ['empty', ''],
    ['no certificate', 'hello'],
    ['a certificate that is half written', ca.pem.slice(0, -40)],
    ['a good certificate and one that is half written', client.pem + ca.pem.slice(0, -40)],
    ['no base64', '-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n'],
    ['a character that is no base64', ca.pem.replace('MII', 'M!II').replace(/\nMI/, '\nM!I')],
    ['a certificate with garbage after it', toPem('CERTIFICATE', Buffer.concat([ca.der, Buffer.of(0)]))],
    ['a private key', client.pem + key],
    ['a weak certificate', makeCertificate({ key: rsaKey(1024) }).pem],
    ['10 MB', ca.pem + '#'.repeat(10_000_000)],
    ['a thousand certificates', ca.pem.repeat(1000)],
    ['a label without end', `-----BEGIN ${'A'.repeat(500_000)}`],
    ['many labels without end', '-----BEGIN CERTIFICATE-----\n'.repeat(30_000)],
    ['bytes', Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 256))],
  ])('reports a file with %s once, and the others hold', async (_what, content) => {
    const told = warnings();
    const folder = await folderOf({ 'broken.pem': content, 'self.pem': selfSigned.pem });
    const trust = certificateTrust({ folder });
    await trust.refresh();
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(join(folder, 'broken.pem'));
    expect(told[0]).not.toContain('PRIVATE KEY-----\n');
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: true });
    expect(await verify(trust, client)).toMatchObject({ trusted: false });
  });

  it('says that a private key is none of its business', async () => {
    const told = warnings();
    certificateTrust({ folder: await folderOf({ 'both.pem': client.pem + key }) });
    expect(told.join()).toContain('It has a PRIVATE KEY, and must hold certificates alone.');
  });

  it('uses a broken file when it is mended', async () => {
    warnings();
    const folder = await folderOf({ 'ca.pem': ca.pem.slice(0, 100) });
    const trust = certificateTrust({ folder });
    expect(await verify(trust, client)).toMatchObject({ trusted: false });
    await writeFile(join(folder, 'ca.pem'), ca.pem);
    await trust.refresh();
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
  });

  it('reports what is no file, and does not wait for it', async () => {
    const told = warnings();
    const folder = await folderOf({ 'self.pem': selfSigned.pem });
    await mkdir(join(folder, 'folder'));
    await symlink('nowhere', join(folder, 'link'));
    await symlink('loop', join(folder, 'loop'));
    execFileSync('sh', ['-c', 'mkfifo pipe'], { cwd: folder });
    const trust = certificateTrust({ folder });
    expect(told).toHaveLength(4);
    expect(told.filter((warning) => warning.includes('It is not a file.'))).toHaveLength(2);
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: true });
  });

  it('that has too many files cannot tell who is not trusted', async () => {
    const told = warnings();
    const folder = await folderOf({ '0.pem': selfSigned.pem });
    await Promise.all(
      Array.from({ length: 1000 }, (_, index) => writeFile(join(folder, `a${String(index)}.pem`), ca.pem)),
    );
    expect(() => certificateTrust({ folder })).toThrow(/more than 1000 files/);
    expect(told).toHaveLength(1);
  });

  it('that has too many bytes is read no further', async () => {
    const told = warnings();
    const padding = '#'.repeat(1_000_000);
    const files = Array.from({ length: 9 }, (_, index): [string, string] => [
      `${String(index)}.pem`,
      ca.pem + padding,
    ]);
    const folder = await folderOf({ ...Object.fromEntries(files), 'self.pem': selfSigned.pem });
    const trust = certificateTrust({ folder });
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: false });
    expect(told).toHaveLength(2);

    await unlink(join(folder, '0.pem'));
    await trust.refresh();
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: true });
  });

  it('that is gone trusts nobody, and says that it cannot tell', async () => {
    const told = warnings();
    const folder = await folderOf({ 'self.pem': selfSigned.pem });
    const trust = certificateTrust({ folder, fingerprints: [client.fingerprint] });
    await rm(folder, { recursive: true });
    expect(await trust.refresh()).toBe(true);
    await expect(verify(trust, selfSigned)).rejects.toThrow(VerifierUnavailable);
    expect(await verify(trust, client)).toMatchObject({ trusted: true, anchor: 'fingerprint' });
    await trust.refresh();
    expect(told).toHaveLength(1);
  });
});

describe('pinned certificates', () => {
  it.each([
    ['in lower case', client.fingerprint],
    ['in upper case with colons', (client.fingerprint.match(/../g) ?? []).join(':').toUpperCase()],
  ])('are accepted by their fingerprint %s, whoever issued them', async (_what, fingerprint) => {
    const trust = certificateTrust({ fingerprints: [fingerprint] });
    expect(trust.acceptsUnknownIssuers).toBe(true);
    expect(await verify(trust, client)).toMatchObject({
      trusted: true,
      anchor: 'fingerprint',
      endsAtRoot: false,
    });
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: false });
  });

  it('are refused when they have ended', async () => {
    const ended = makeCertificate({ notBefore: hours(-2), notAfter: hours(-1) });
    const trust = certificateTrust({ fingerprints: [ended.fingerprint] });
    expect(await verify(trust, ended)).toMatchObject({ trusted: false, reason: 'expired' });
  });

  it('are refused when they are not for clients', async () => {
    const server = makeCertificate({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] });
    const trust = certificateTrust({ fingerprints: [server.fingerprint] });
    expect(await verify(trust, server)).toMatchObject({ trusted: false, reason: 'invalid' });
  });

  it('vouch for nobody else, also if they are of an authority', async () => {
    const trust = certificateTrust({ fingerprints: [ca.fingerprint] });
    expect(await verify(trust, client, [ca])).toMatchObject({ trusted: false });
  });

  it('are refused when an authority that is trusted as well has revoked them', async () => {
    const crl = join(await folderOf({ 'crl.der': makeCrl({ issuer: ca, revoked: [client] }) }), 'crl.der');
    const trust = certificateTrust({ ca: ca.pem, crl, fingerprints: [client.fingerprint] });
    expect(await verify(trust, client)).toMatchObject({ trusted: false, reason: 'revoked' });
  });
});

describe('files of authorities', () => {
  it('are followed', async () => {
    warnings();
    const caFile = join(await folderOf({ 'ca.pem': ca.pem }), 'ca.pem');
    const other = authority('other');
    const trust = certificateTrust({ caFile });
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
    await writeFile(caFile, other.pem);
    await trust.refresh();
    expect(await verify(trust, client)).toMatchObject({ trusted: false });
    expect(await verify(trust, makeCertificate({ issuer: other }))).toMatchObject({ trusted: true });
    expect(trust.tlsAuthorities()).toEqual([other.pem]);
  });

  it('that are broken for a while trust nobody, and say that they cannot tell', async () => {
    const told = warnings();
    const caFile = join(await folderOf({ 'ca.pem': ca.pem }), 'ca.pem');
    const trust = certificateTrust({ caFile });
    await writeFile(caFile, ca.pem.slice(0, 100));
    await trust.refresh();
    await expect(verify(trust, client)).rejects.toThrow(VerifierUnavailable);
    expect(told).toHaveLength(1);
    await writeFile(caFile, ca.pem);
    await trust.refresh();
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
  });
});

describe('a SPIFFE trust domain', () => {
  const [prod, test] = [authority('spire'), authority('spire')];
  const svid = (id: string, parts: CertificateParts = {}) =>
    makeCertificate({ issuer: prod, alternativeNames: [uri(id)], ...parts });
  const trust = certificateTrust({ spiffe: { 'prod.example': prod.pem, 'test.example': test.pem } });

  it('vouches for its ids', async () => {
    expect(await verify(trust, svid('spiffe://prod.example/ns/web'))).toMatchObject({
      trusted: true,
      anchor: 'spiffe',
      authority: 'spiffe://prod.example',
      subject: { kind: 'uri', value: 'spiffe://prod.example/ns/web' },
    });
  });

  it.each<[string, Made]>([
    ['of another domain', svid('spiffe://test.example/web')],
    ['of a domain that nobody knows', svid('spiffe://other.example/web')],
    ['of the domain itself', svid('spiffe://prod.example')],
    ['with an empty path', svid('spiffe://prod.example/')],
    ['with a slash at the end', svid('spiffe://prod.example/web/')],
    ['with a relative path', svid('spiffe://prod.example/web/../admin')],
    ['with percent-encoding', svid('spiffe://prod.example/%61dmin')],
    ['with a query', svid('spiffe://prod.example/web?x=1')],
    ['with a fragment', svid('spiffe://prod.example/web#x')],
    ['with a user', svid('spiffe://admin@prod.example/web')],
    ['with a port', svid('spiffe://prod.example:443/web')],
    ['with a domain in upper case', svid('spiffe://PROD.example/web')],
    ['with a scheme in upper case', svid('SPIFFE://prod.example/web')],
    ['that is too long', svid(`spiffe://prod.example/${'a'.repeat(2048)}`)],
    ['of another scheme', svid('https://prod.example/web')],
    [
      'beside another',
      svid('', { alternativeNames: [uri('spiffe://prod.example/a'), uri('spiffe://prod.example/b')] }),
    ],
    [
      'after another URI',
      svid('', { alternativeNames: [uri('https://x.example/'), uri('spiffe://prod.example/b')] }),
    ],
    [
      'beside itself',
      svid('', { alternativeNames: [uri('spiffe://prod.example/a'), uri('spiffe://prod.example/a')] }),
    ],
    [
      'on an authority',
      svid('spiffe://prod.example/web', { ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] }),
    ],
    [
      'with a key that signs CRLs',
      svid('spiffe://prod.example/web', { keyUsage: ['digitalSignature', 'cRLSign'] }),
    ],
    ['without key usage', svid('spiffe://prod.example/web', { keyUsage: undefined })],
    ['in the common name alone', makeCertificate({ issuer: prod, subject: 'spiffe://prod.example/web' })],
  ])('does not vouch for an id %s', async (_what, certificate) => {
    expect(await verify(trust, certificate)).toMatchObject({ trusted: false, reason: 'invalid' });
  });

  it('does not vouch by way of an authority that names another domain', async () => {
    const between = (id: string) =>
      makeCertificate({ subject: 'between', ca: true, issuer: prod, alternativeNames: [uri(id)] });
    for (const [id, trusted] of [
      ['spiffe://prod.example', true],
      ['spiffe://test.example', false],
    ] as const) {
      const issuer = between(id);
      const leaf = svid('spiffe://prod.example/web', { issuer });
      expect(await verify(trust, leaf, [issuer])).toMatchObject({ trusted });
    }
  });

  it('is the only one that vouches for its ids', async () => {
    const impostor = svid('spiffe://prod.example/web', { issuer: ca });
    const all: TrustOptions = {
      ca: ca.pem,
      fingerprints: [impostor.fingerprint],
      folder: await folderOf({ 'impostor.pem': impostor.pem }),
      spiffe: { 'prod.example': prod.pem },
    };
    expect(await verify(certificateTrust(all), impostor)).toMatchObject({ trusted: false });
    // Of a domain that is not configured, it is a URI like any other, under the name of its authority.
    expect(await verify(certificateTrust({ ca: ca.pem }), impostor)).toMatchObject({
      trusted: true,
      anchor: 'ca',
      authority: expect.stringMatching(/^x509:/) as string,
    });
  });

  it('has a bundle that is followed', async () => {
    const file = join(await folderOf({ 'bundle.pem': prod.pem }), 'bundle.pem');
    const followed = certificateTrust({ spiffe: { 'prod.example': { file } } });
    const leaf = svid('spiffe://prod.example/web');
    expect(await verify(followed, leaf)).toMatchObject({ trusted: true });
    await writeFile(file, test.pem);
    await followed.refresh();
    expect(await verify(followed, leaf)).toMatchObject({ trusted: false });
  });
});

describe('revocation', () => {
  const sub = makeCertificate({ subject: 'sub', ca: true, issuer: ca });
  const underSub = makeCertificate({ issuer: sub });
  const withCrls = async (...crls: (Buffer | string)[]): Promise<CertificateTrust> =>
    certificateTrust({
      ca: ca.pem,
      crl: await folderOf(Object.fromEntries(crls.map((crl, index) => [`${String(index)}.crl`, crl]))),
    });

  it.each<[string, (crl: Buffer) => Buffer | string]>([
    ['DER', (crl) => crl],
    ['PEM', (crl) => toPem('X509 CRL', crl)],
  ])('is read from CRLs in %s', async (_what, encode) => {
    const trust = await withCrls(encode(makeCrl({ issuer: ca, revoked: [client] })));
    expect(await verify(trust, client)).toMatchObject({ trusted: false, reason: 'revoked' });
    expect(await verify(trust, makeCertificate({ issuer: ca }))).toMatchObject({ trusted: true });
  });

  it('is asked for the authorities between, too', async () => {
    const ofSub = makeCrl({ issuer: sub });
    expect(
      await verify(await withCrls(ofSub, makeCrl({ issuer: ca, revoked: [sub] })), underSub, [sub]),
    ).toMatchObject({ trusted: false, reason: 'revoked' });
    expect(await verify(await withCrls(ofSub, makeCrl({ issuer: ca })), underSub, [sub])).toMatchObject({
      trusted: true,
    });
  });

  it('takes effect when a CRL changes, also for a remembered certificate', async () => {
    const crl = join(await folderOf({ 'ca.crl': makeCrl({ issuer: ca }) }), 'ca.crl');
    const trust = certificateTrust({ ca: ca.pem, crl });
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
    await writeFile(crl, makeCrl({ issuer: ca, revoked: [client] }));
    await trust.refresh();
    expect(await verify(trust, client)).toMatchObject({ trusted: false, reason: 'revoked' });
  });

  it('goes by the newest CRL', async () => {
    const old = makeCrl({ issuer: ca, revoked: [client], thisUpdate: hours(-2) });
    const recent = makeCrl({ issuer: ca });
    expect(await verify(await withCrls(old, recent), client)).toMatchObject({ trusted: true });
    expect(await verify(await withCrls(recent, old), client)).toMatchObject({ trusted: true });
  });

  it('is not forgotten when the CRL that says it has ended', async () => {
    const trust = await withCrls(
      makeCrl({ issuer: ca, revoked: [client], thisUpdate: hours(-3), nextUpdate: hours(-1) }),
    );
    expect(await verify(trust, client)).toMatchObject({ trusted: false, reason: 'revoked' });
  });

  const stranger = { key: ecKey(), name: ca.name };
  it.each<[string, (Buffer | string)[]]>([
    ['no CRL', []],
    ['a CRL that has ended', [makeCrl({ issuer: ca, thisUpdate: hours(-3), nextUpdate: hours(-1) })]],
    ['a CRL of the future', [makeCrl({ issuer: ca, thisUpdate: hours(1), nextUpdate: hours(2) })]],
    ['a CRL without an end', [makeCrl({ issuer: ca, nextUpdate: undefined })]],
    ['a CRL that somebody else signed', [makeCrl({ issuer: stranger })]],
    ['a CRL of another authority', [makeCrl({ issuer: authority('other') })]],
    ['a CRL with a weak signature', [makeCrl({ issuer: ca, algorithm: 'ecdsa-sha1' })]],
    [
      'a CRL for a part of the certificates',
      [makeCrl({ issuer: ca, extensions: [extension('2.5.29.28', sequence(), true)] })],
    ],
    [
      'a delta CRL',
      [makeCrl({ issuer: ca, extensions: [extension('2.5.29.27', Buffer.of(2, 1, 1), true)] })],
    ],
    [
      'a CRL with entries of other authorities',
      [
        makeCrl({
          issuer: ca,
          revoked: [selfSigned],
          entryExtensions: [extension('2.5.29.29', sequence(), true)],
        }),
      ],
    ],
    ['a CRL that is cut off', [makeCrl({ issuer: ca }).subarray(0, -1)]],
    ['a CRL with garbage after it', [Buffer.concat([makeCrl({ issuer: ca }), Buffer.of(0)])]],
    ['a certificate', [ca.pem]],
  ])('cannot be told with %s: nobody is let in', async (_what, crls) => {
    warnings();
    await expect(verify(await withCrls(...crls), client)).rejects.toThrow(VerifierUnavailable);
  });

  it('is not taken from a CRL that somebody else signed', async () => {
    warnings();
    const trust = await withCrls(makeCrl({ issuer: stranger, revoked: [client] }), makeCrl({ issuer: ca }));
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
  });

  it('is not taken from an authority that may not sign CRLs', async () => {
    const limited = authority('limited', { keyUsage: ['keyCertSign'] });
    const leaf = makeCertificate({ issuer: limited });
    const crl = join(await folderOf({ 'a.crl': makeCrl({ issuer: limited }) }), 'a.crl');
    await expect(verify(certificateTrust({ ca: limited.pem, crl }), leaf)).rejects.toThrow(
      VerifierUnavailable,
    );
  });

  it('cannot be told when the CRL is removed or broken', async () => {
    warnings();
    const folder = await folderOf({ 'ca.crl': makeCrl({ issuer: ca }) });
    const trust = certificateTrust({ ca: ca.pem, crl: folder });
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
    await writeFile(join(folder, 'ca.crl'), 'broken');
    await trust.refresh();
    await expect(verify(trust, client)).rejects.toThrow(VerifierUnavailable);
    await unlink(join(folder, 'ca.crl'));
    await trust.refresh();
    await expect(verify(trust, client)).rejects.toThrow(VerifierUnavailable);
  });

  it('does not matter for a certificate that is not trusted', async () => {
    warnings();
    const crl = join(await folderOf({ 'ca.crl': makeCrl({ issuer: ca }) }), 'ca.crl');
    const trust = certificateTrust({ ca: ca.pem, crl });
    await unlink(crl);
    await trust.refresh();
    expect(await verify(trust, selfSigned)).toMatchObject({ trusted: false, reason: 'invalid' });
  });

  it('cannot be told when the CRL ends, also for a remembered certificate', async () => {
    const trust = await withCrls(makeCrl({ issuer: ca, nextUpdate: new Date(Date.now() + 60_000) }));
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
    const later = new Date(Date.now() + 120_000);
    await expect(trust.verify({ der: client.der }, later)).rejects.toThrow(VerifierUnavailable);
  });

  it('is asked of SPIFFE certificates where there is a CRL', async () => {
    const leaf = makeCertificate({ issuer: ca, alternativeNames: [uri('spiffe://a/b')] });
    const spiffe = { a: ca.pem };
    const crl = join(await folderOf({ 'a.crl': makeCrl({ issuer: ca, revoked: [leaf] }) }), 'a.crl');
    expect(await verify(certificateTrust({ spiffe, crl }), leaf)).toMatchObject({ reason: 'revoked' });

    const told = warnings();
    await writeFile(crl, makeCrl({ issuer: authority('other') }));
    const trust = certificateTrust({ spiffe, crl });
    expect(await verify(trust, leaf)).toMatchObject({ trusted: true });
    expect(told.join()).toContain('none of the trusted authorities');
    await writeFile(crl, 'broken');
    await trust.refresh();
    await expect(verify(trust, leaf)).rejects.toThrow(VerifierUnavailable);
  });

  it('of fifty thousand certificates is read from one CRL', async () => {
    const revoked = Array.from({ length: 50_000 }, (_, index) => ({
      ...selfSigned,
      serial: Buffer.from(index.toString(16).padStart(8, '0').replace(/^/, '10'), 'hex'),
    }));
    const trust = await withCrls(makeCrl({ issuer: ca, revoked: [...revoked, client] }));
    expect(await verify(trust, client)).toMatchObject({ reason: 'revoked' });
  });
});

describe('a verdict', () => {
  it('is remembered, and the same', async () => {
    const trust = certificateTrust({ ca: ca.pem });
    expect(await verify(trust, client)).toBe(await verify(trust, client));
  });

  it('ends with the certificate', async () => {
    const trust = certificateTrust({ ca: ca.pem });
    expect(await verify(trust, client)).toMatchObject({ trusted: true });
    expect(await trust.verify({ der: client.der }, hours(2))).toMatchObject({ reason: 'expired' });
  });

  it('ends with an authority of the chain', async () => {
    const short = authority('short', { notAfter: hours(0.5) });
    const leaf = makeCertificate({ issuer: short });
    const trust = certificateTrust({ ca: short.pem });
    expect(await verify(trust, leaf)).toMatchObject({ trusted: true });
    expect(await trust.verify({ der: leaf.der }, hours(0.75))).toMatchObject({ reason: 'expired' });
  });

  it('that refuses for want of an authority between does not stand against the same with it', async () => {
    const sub = makeCertificate({ subject: 'sub', ca: true, issuer: ca });
    const leaf = makeCertificate({ issuer: sub });
    const trust = certificateTrust({ ca: ca.pem });
    expect(await verify(trust, leaf)).toMatchObject({ trusted: false });
    expect(await verify(trust, leaf, [sub])).toMatchObject({ trusted: true });
  });

  it('is found again without the authorities between, as in a resumed session', async () => {
    const folder = await folderOf({ 'ca.pem': ca.pem });
    const sub = makeCertificate({ subject: 'sub', ca: true, issuer: ca });
    const leaf = makeCertificate({ issuer: sub });
    const trust = certificateTrust({ folder });
    expect(await verify(trust, leaf, [sub])).toMatchObject({ trusted: true });
    await writeFile(join(folder, 'self.pem'), selfSigned.pem);
    await trust.refresh();
    expect(await verify(trust, leaf)).toMatchObject({ trusted: true });
  });

  it('tells what the certificate says', async () => {
    const leaf = makeCertificate({
      subject: 'alice',
      issuer: ca,
      alternativeNames: [uri('https://a.example/x')],
    });
    const verdict = await verify(certificateTrust({ ca: ca.pem }), leaf);
    expect(verdict.trusted && verdict.certificate).toEqual({
      subject: 'CN=alice',
      issuer: 'CN=root',
      fingerprint256: leaf.fingerprint,
      subjectAlternativeNames: ['URI:https://a.example/x'],
      validFrom: expect.any(Number) as number,
      validTo: expect.any(Number) as number,
      pem: leaf.pem,
    });
  });
});

describe('a trust that cannot be used is refused at its creation', () => {
  it.each<[string, unknown]>([
    ['nothing', {}],
    ['a CRL alone', { crl: 'x' }],
    ['no authority', { ca: [] }],
    ['an empty text', { ca: '' }],
    ['a path for PEM', { ca: '/etc/ssl/ca.pem' }],
    ['a client for an authority', { ca: selfSigned.pem }],
    ['a weak authority', { ca: authority('weak', { key: rsaKey(1024) }).pem }],
    ['a private key', { ca: ca.key.export({ type: 'pkcs8', format: 'pem' }) }],
    ['a buffer', { ca: Buffer.from(ca.pem) }],
    ['a file that is not there', { caFile: '/nowhere/ca.pem' }],
    ['a folder for a file', { caFile: tmpdir() }],
    ['a folder that is not there', { folder: '/nowhere' }],
    ['a file for a folder', { folder: import.meta.filename }],
    ['a CRL that is not there', { ca: ca.pem, crl: '/nowhere' }],
    ['a CRL that is none', { ca: ca.pem, crl: import.meta.filename }],
    ['no fingerprint', { fingerprints: [] }],
    ['a SHA-1 fingerprint', { fingerprints: ['a'.repeat(40)] }],
    [
      'a fingerprint in base64url',
      { fingerprints: [Buffer.from(client.fingerprint, 'hex').toString('base64url')] },
    ],
    ['a fingerprint with colons in odd places', { fingerprints: [`:${client.fingerprint}`] }],
    ['no trust domain', { spiffe: {} }],
    ['a SPIFFE id for a trust domain', { spiffe: { 'spiffe://a': ca.pem } }],
    ['a trust domain in upper case', { spiffe: { Prod: ca.pem } }],
    ['a trust domain without bundle', { spiffe: { prod: '' } }],
    ['a bundle without file', { spiffe: { prod: {} } }],
  ])('%s', (_what, options) => {
    warnings();
    expect(() => certificateTrust(options as TrustOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }) as Error,
    );
  });
});

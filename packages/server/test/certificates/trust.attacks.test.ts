import { certificateTrust, type TrustVerdict } from '@a2a-auth/server';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { bitString, element, objectIdentifier, sequence } from '../../src/certificates/der-writer.js';
import { childrenOf, readElement } from '../../src/certificates/der.js';
import {
  ANY_USAGE,
  attribute,
  CLIENT_AUTH,
  commonName,
  directory,
  dns,
  ecKey,
  edKey,
  email,
  extension,
  hours,
  ip,
  makeCertificate,
  nameOf,
  organisation,
  otherName,
  rsaKey,
  SERVER_AUTH,
  uri,
  type CertificateParts,
  type Made,
} from './make-certificates.js';
import { opensslVerdict } from './openssl.js';

interface Case {
  readonly leaf: Made;
  readonly chain?: readonly Made[];
  readonly authorities: readonly Made[];
}

const ca = (parts: CertificateParts = {}): Made => makeCertificate({ subject: 'root', ca: true, ...parts });

/** A client under a root of these parts. */
function under(authority: CertificateParts, leaf: CertificateParts = {}): Case {
  const root = ca(authority);
  return { leaf: makeCertificate({ issuer: root, ...leaf }), authorities: [root] };
}

/** A client under an intermediate authority of these parts. */
function underIntermediate(parts: CertificateParts, leaf: CertificateParts = {}, root = ca()): Case {
  const intermediate = makeCertificate({ subject: 'intermediate', ca: true, issuer: root, ...parts });
  return {
    leaf: makeCertificate({ issuer: intermediate, ...leaf }),
    chain: [intermediate],
    authorities: [root],
  };
}

/** A client under `count - 2` intermediate authorities. */
function chainOf(count: number): Case {
  const root = ca();
  const chain: Made[] = [];
  for (let position = 0; position < count - 2; position++) {
    const issuer = chain[0] ?? root;
    chain.unshift(makeCertificate({ subject: `intermediate ${String(position)}`, ca: true, issuer }));
  }
  return { leaf: makeCertificate({ issuer: chain[0] ?? root }), chain, authorities: [root] };
}

const trustIn = (authorities: readonly Made[]) => certificateTrust({ ca: authorities.map(({ pem }) => pem) });

async function verdictOn({ leaf, chain = [], authorities }: Case): Promise<TrustVerdict> {
  return trustIn(authorities).verify({ der: leaf.der, chain: chain.map(({ der }) => der) });
}

const example = nameOf(organisation('Example'));
const clientOf = (name: string) => nameOf(organisation(name), commonName('client'));

describe('a certificate is trusted', () => {
  it.each<[string, () => Case]>([
    ['of a trusted authority', () => under({})],
    ['without extended key usage', () => under({}, { extendedKeyUsage: undefined })],
    ['without key usage', () => under({ keyUsage: undefined }, { keyUsage: undefined })],
    ['for servers and clients', () => under({}, { extendedKeyUsage: [SERVER_AUTH, CLIENT_AUTH] })],
    ['under an intermediate authority', () => underIntermediate({})],
    [
      'under an intermediate authority for clients',
      () => underIntermediate({ extendedKeyUsage: [CLIENT_AUTH] }),
    ],
    ['in a chain of ten', () => chainOf(10)],
    ['with the path length just met', () => underIntermediate({}, {}, ca({ pathLength: 1 }))],
    ['of an RSA authority', () => under({ key: rsaKey(2048) })],
    ['with an RSA-PSS signature', () => under({ key: rsaKey(2048) }, { algorithm: 'rsa-pss' })],
    ['with Ed25519 keys', () => under({ key: edKey() }, { key: edKey() })],
    ['on P-384', () => under({ key: ecKey('P-384') }, { key: ecKey('P-384') })],
    [
      'with a critical certificate policy',
      () =>
        under(
          {},
          {
            extensions: [
              extension('2.5.29.32', sequence(sequence(element(0x06, Uint8Array.of(0x2a, 3)))), true),
            ],
          },
        ),
    ],
    ['of version 1', () => under({}, { version: 1 })],
    [
      'with a DNS name that is permitted',
      () =>
        under({ nameConstraints: { permitted: [dns('example')] } }, { alternativeNames: [dns('a.Example')] }),
    ],
    [
      'with a DNS name of the domain itself',
      () =>
        under({ nameConstraints: { permitted: [dns('example')] } }, { alternativeNames: [dns('example')] }),
    ],
    [
      'with a URI that is permitted',
      () =>
        under(
          { nameConstraints: { permitted: [uri('example')] } },
          { alternativeNames: [uri('spiffe://example/a')] },
        ),
    ],
    [
      'with an address that is permitted',
      () =>
        under(
          { nameConstraints: { permitted: [ip(10, 0, 0, 0, 255, 0, 0, 0)] } },
          { alternativeNames: [ip(10, 1, 2, 3)] },
        ),
    ],
    [
      'with a mailbox that is permitted',
      () =>
        under(
          { nameConstraints: { permitted: [email('example')] } },
          { alternativeNames: [email('a@example')] },
        ),
    ],
    [
      'with a directory name that is permitted',
      () => under({ nameConstraints: { permitted: [directory(example)] } }, { subject: clientOf('Example') }),
    ],
    [
      'with a directory name in another case',
      () =>
        under(
          { nameConstraints: { permitted: [directory(nameOf(organisation('Exa  mple ')))] } },
          { subject: clientOf('EXA mple') },
        ),
    ],
    [
      'with a name of a kind that is not constrained',
      () => under({ nameConstraints: { permitted: [uri('example')] } }, { alternativeNames: [dns('other')] }),
    ],
    [
      'with a certificate among those sent that is no use',
      () => ({ ...under({}), chain: [makeCertificate({ subject: 'other' })] }),
    ],
  ])('%s, and OpenSSL agrees', async (_what, make) => {
    const given = make();
    expect(await verdictOn(given)).toMatchObject({ trusted: true, anchor: 'ca' });
    expect(await opensslVerdict(given.leaf, given.chain ?? [], given.authorities)).toBeUndefined();
  });
});

describe('a subordinate authority', () => {
  // Node.js 20 does not pass `allowPartialTrustChain` on to a server's context, so OpenSSL is not asked.
  it('is trusted by itself', async () => {
    const { leaf, chain = [] } = underIntermediate({});
    expect(await verdictOn({ leaf, authorities: chain })).toMatchObject({ trusted: true, endsAtRoot: false });
  });

  it('is one of its root where both are trusted', async () => {
    const { leaf, chain = [], authorities } = underIntermediate({});
    const [byRoot, byBoth] = [
      await verdictOn({ leaf, chain, authorities }),
      await verdictOn({ leaf, authorities: [...chain, ...authorities] }),
    ];
    expect(byBoth).toEqual(byRoot);
    expect(byBoth).toMatchObject({ endsAtRoot: true });
  });
});

describe('a certificate is refused', () => {
  it.each<[string, () => Case, RegExp]>([
    ['self-signed', () => ({ leaf: makeCertificate(), authorities: [ca()] }), /No trusted authority/],
    [
      'of another authority',
      () => ({ ...under({ subject: 'other' }), authorities: [ca()] }),
      /No trusted authority/,
    ],
    ['of another authority of the same name', () => ({ ...under({}), authorities: [ca()] }), /did not sign/],
    [
      'of another authority that was sent with it',
      () => {
        const { leaf, authorities } = under({});
        return { leaf, chain: authorities, authorities: [ca()] };
      },
      /did not sign/,
    ],
    ['not valid yet', () => under({}, { notBefore: hours(1), notAfter: hours(2) }), /not valid yet/],
    ['for servers alone', () => under({}, { extendedKeyUsage: [SERVER_AUTH] }), /not for clients/],
    ['for every usage', () => under({}, { extendedKeyUsage: [ANY_USAGE] }), /not for clients/],
    ['for encryption alone', () => under({}, { keyUsage: [] }), /digital signatures/],
    [
      'of an authority for servers alone',
      () => underIntermediate({ extendedKeyUsage: [SERVER_AUTH] }),
      /vouch for clients/,
    ],
    ['of another client', () => underIntermediate({ ca: false }), /No trusted authority/],
    [
      'of another client whose key is for everything',
      () => underIntermediate({ ca: false, keyUsage: undefined }),
      /is no authority/,
    ],
    [
      'of a client that may sign certificates',
      () => underIntermediate({ ca: false, keyUsage: ['keyCertSign'] }),
      /is no authority/,
    ],
    [
      'of an authority without keyCertSign',
      () => underIntermediate({ keyUsage: ['cRLSign'] }),
      /No trusted|is no authority/,
    ],
    ['of an authority of version 1', () => underIntermediate({ version: 1 }), /is no authority/],
    [
      'of an authority that is not valid yet',
      () => underIntermediate({ notBefore: hours(1), notAfter: hours(2) }),
      /not valid yet/,
    ],
    [
      'under more authorities than the root allows',
      () => underIntermediate({}, {}, ca({ pathLength: 0 })),
      /so many authorities/,
    ],
    [
      'under more authorities than an intermediate one allows',
      () => {
        const root = ca();
        const upper = makeCertificate({ subject: 'upper', ca: true, issuer: root, pathLength: 0 });
        const given = underIntermediate({}, {}, upper);
        return { ...given, chain: [...(given.chain ?? []), upper], authorities: [root] };
      },
      /so many authorities/,
    ],
    [
      'with an unknown critical extension',
      () => under({}, { extensions: [extension('1.2.3.4', sequence(), true)] }),
      /critical extension 1\.2\.3\.4/,
    ],
    [
      'of an authority with an unknown critical extension',
      () => underIntermediate({ extensions: [extension('1.2.3.4', sequence(), true)] }),
      /No trusted authority/,
    ],
    [
      'with an excluded DNS name',
      () =>
        under({ nameConstraints: { excluded: [dns('example')] } }, { alternativeNames: [dns('a.eXample')] }),
      /excluded/,
    ],
    [
      'with a DNS name that is not permitted',
      () =>
        under({ nameConstraints: { permitted: [dns('example')] } }, { alternativeNames: [dns('a.other')] }),
      /not permitted/,
    ],
    [
      'with a DNS name that only ends like a permitted one',
      () =>
        under(
          { nameConstraints: { permitted: [dns('example')] } },
          { alternativeNames: [dns('notexample')] },
        ),
      /not permitted/,
    ],
    [
      'with one DNS name of two that is not permitted',
      () =>
        under(
          { nameConstraints: { permitted: [dns('example')] } },
          { alternativeNames: [dns('example'), dns('other')] },
        ),
      /not permitted/,
    ],
    [
      'with a URI of another host',
      () =>
        under(
          { nameConstraints: { permitted: [uri('example')] } },
          { alternativeNames: [uri('spiffe://other/example')] },
        ),
      /not permitted/,
    ],
    [
      'with a URI of a host below the permitted one',
      () =>
        under(
          { nameConstraints: { permitted: [uri('example')] } },
          { alternativeNames: [uri('spiffe://a.example/x')] },
        ),
      /not permitted/,
    ],
    [
      'with a URI without a host',
      () =>
        under(
          { nameConstraints: { permitted: [uri('example')] } },
          { alternativeNames: [uri('urn:example')] },
        ),
      /not in a form/,
    ],
    [
      'with a URI that names the host before an @',
      () =>
        under(
          { nameConstraints: { permitted: [uri('example')] } },
          { alternativeNames: [uri('https://example@other/')] },
        ),
      /not permitted/,
    ],
    [
      'with an address outside the network',
      () =>
        under(
          { nameConstraints: { permitted: [ip(10, 0, 0, 0, 255, 0, 0, 0)] } },
          { alternativeNames: [ip(11, 1, 2, 3)] },
        ),
      /not permitted/,
    ],
    [
      'with an IPv6 address where IPv4 is permitted',
      () =>
        under(
          { nameConstraints: { permitted: [ip(10, 0, 0, 0, 255, 0, 0, 0)] } },
          { alternativeNames: [ip(...Array<number>(16).fill(1))] },
        ),
      /not permitted/,
    ],
    [
      'with an excluded address',
      () =>
        under(
          { nameConstraints: { excluded: [ip(10, 0, 0, 0, 255, 0, 0, 0)] } },
          { alternativeNames: [ip(10, 1, 2, 3)] },
        ),
      /excluded/,
    ],
    [
      'with a mailbox on another host',
      () =>
        under(
          { nameConstraints: { permitted: [email('example')] } },
          { alternativeNames: [email('a@other')] },
        ),
      /not permitted/,
    ],
    [
      'with a mailbox in its subject on another host',
      () =>
        under(
          { nameConstraints: { permitted: [email('example')] } },
          {
            subject: nameOf(
              commonName('a'),
              attribute('1.2.840.113549.1.9.1', element(0x16, Buffer.from('a@other'))),
            ),
          },
        ),
      /not permitted/,
    ],
    [
      'of another organisation',
      () => under({ nameConstraints: { permitted: [directory(example)] } }, { subject: clientOf('Other') }),
      /not permitted/,
    ],
    [
      'of an excluded organisation',
      () => under({ nameConstraints: { excluded: [directory(example)] } }, { subject: clientOf('EXAMPLE') }),
      /excluded/,
    ],
    [
      'with a name that the authority above its authority excludes',
      () =>
        underIntermediate(
          {},
          { alternativeNames: [dns('a.example')] },
          ca({ nameConstraints: { excluded: [dns('example')] } }),
        ),
      /excluded/,
    ],
    [
      'of an authority whose own name is excluded',
      () =>
        underIntermediate(
          { subject: clientOf('Example') },
          {},
          ca({ nameConstraints: { excluded: [directory(example)] } }),
        ),
      /excluded/,
    ],
    [
      'with a SHA-1 signature',
      () => under({ key: rsaKey(2048) }, { algorithm: 'rsa-sha1' }),
      /weak or unknown/,
    ],
    [
      'with an MD5 signature',
      () => under({ key: rsaKey(2048) }, { algorithm: 'rsa-md5' }),
      /weak or unknown/,
    ],
    ['with a SHA-1 ECDSA signature', () => under({}, { algorithm: 'ecdsa-sha1' }), /weak or unknown/],
    [
      'of an authority with a SHA-1 signature',
      () => underIntermediate({ algorithm: 'ecdsa-sha1' }),
      /weak or unknown/,
    ],
  ])('%s, and OpenSSL agrees', async (_what, make, detail) => {
    const given = make();
    const verdict = await verdictOn(given);
    expect(verdict).toMatchObject({ trusted: false, reason: 'invalid' });
    expect('detail' in verdict && verdict.detail).toMatch(detail);
    expect(await opensslVerdict(given.leaf, given.chain ?? [], given.authorities)).toBeTypeOf('string');
  });

  it.each<[string, () => Case]>([
    ['itself', () => under({}, { notBefore: hours(-2), notAfter: hours(-1) })],
    ['of an intermediate authority', () => underIntermediate({ notBefore: hours(-2), notAfter: hours(-1) })],
    ['of the root', () => under({ notBefore: hours(-2), notAfter: hours(-1) })],
  ])('when the validity %s has ended, and OpenSSL agrees', async (_what, make) => {
    const given = make();
    expect(await verdictOn(given)).toMatchObject({ trusted: false, reason: 'expired' });
    expect(await opensslVerdict(given.leaf, given.chain ?? [], given.authorities)).toBe('CERT_HAS_EXPIRED');
  });

  const constrained = { nameConstraints: { permitted: [dns('example')] } };
  // What OpenSSL lets pass, and we do not.
  it.each<[string, () => Case, RegExp]>([
    ['with a 1024-bit RSA key', () => under({}, { key: rsaKey(1024) }), /1024 bits/],
    ['of an authority with a 1024-bit RSA key', () => underIntermediate({ key: rsaKey(1024) }), /No trusted/],
    ['on an unusual curve', () => under({}, { key: ecKey('secp256k1') }), /unusual curve/],
    [
      'with an RSA-PSS signature over SHA-1',
      () => under({ key: rsaKey(2048) }, { algorithm: 'rsa-pss-sha1' }),
      /weak or unknown/,
    ],
    ['in a chain of eleven', () => chainOf(11), /No trusted authority/],
    ['for key agreement alone', () => under({}, { keyUsage: ['keyAgreement'] }), /digital signatures/],
    [
      'of an authority itself',
      () => under({}, { ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] }),
      /an authority/,
    ],
    [
      'with a DNS name in its common name that is not permitted',
      () => under(constrained, { subject: 'admin.other' }),
      /not permitted/,
    ],
    [
      'with another common name, where DNS names are constrained',
      () => under(constrained, { subject: 'admin' }),
      /not permitted/,
    ],
    [
      'with a wildcard where DNS names are constrained',
      () => under(constrained, { alternativeNames: [dns('*.example')] }),
      /not in a form/,
    ],
    [
      'of an authority with a constraint that is not supported',
      () => under({ nameConstraints: { permitted: [otherName()] } }),
      /not supported/,
    ],
    [
      'of an authority with a network that is none',
      () => under({ nameConstraints: { excluded: [ip(10, 0, 0, 0, 255, 0, 255, 0)] } }),
      /not supported/,
    ],
    [
      'of an authority with critical policy constraints',
      () =>
        underIntermediate({
          extensions: [extension('2.5.29.36', sequence(element(0x80, Uint8Array.of(0))), true)],
        }),
      /No trusted/,
    ],
    [
      'with the same extension twice',
      () => under({}, { extensions: [extension('2.5.29.19', sequence())] }),
      /twice/,
    ],
    [
      'that is too large',
      () => under({}, { extensions: [extension('1.2.3.4', Buffer.alloc(70_000))] }),
      /too large/,
    ],
    [
      'with a line break in a DNS name',
      () => under({}, { alternativeNames: [dns('a\nb')] }),
      /visible ASCII/,
    ],
    ['with a NUL in a URI', () => under({}, { alternativeNames: [uri('spiffe://a/b\0c')] }), /visible ASCII/],
  ])('%s', async (_what, make, detail) => {
    const verdict = await verdictOn(make());
    expect(verdict).toMatchObject({ trusted: false, reason: 'invalid' });
    expect('detail' in verdict && verdict.detail).toMatch(detail);
  });
});

describe('what is not one certificate in DER is refused', () => {
  const root = ca();
  const leaf = makeCertificate({ issuer: root });
  const body = leaf.der.subarray(4);

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['trailing garbage', Buffer.concat([leaf.der, Buffer.of(0)])],
    ['two certificates', Buffer.concat([leaf.der, leaf.der])],
    ['a certificate that is cut off', leaf.der.subarray(0, -1)],
    ['PEM', Buffer.from(leaf.pem)],
    ['an indefinite length', Buffer.concat([Buffer.of(0x30, 0x80), body, Buffer.of(0, 0)])],
    [
      'a length that is not in its shortest form',
      Buffer.concat([Buffer.of(0x30, 0x83, 0), leaf.der.subarray(2)]),
    ],
    ['100 KB', Buffer.concat([leaf.der, Buffer.alloc(100_000)])],
    [
      'a million nested sequences',
      Buffer.from(Array.from({ length: 60_000 }, (_, index) => (index % 2 === 0 ? 0x30 : 0x80))),
    ],
  ])('%s', async (_what, der) => {
    expect(await trustIn([root]).verify({ der })).toMatchObject({ trusted: false, reason: 'invalid' });
  });

  it('one with any octet changed', async () => {
    const trust = trustIn([root]);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(leaf.der.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, difference) => {
          const der = Buffer.from(leaf.der);
          der[at] = (der[at] ?? 0) ^ difference;
          expect(await trust.verify({ der })).toMatchObject({ trusted: false });
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('whatever else is signed by a trusted authority, without an exception', async () => {
    const value = fc.uint8Array({ maxLength: 40 });
    const ids = ['2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.30', '2.5.29.37'];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...ids), value, async (id, octets) => {
        const certificate = makeCertificate({
          issuer: root,
          keyUsage: undefined,
          extendedKeyUsage: undefined,
          extensions: [extension(id, octets)],
        });
        expect(await trustIn([root]).verify({ der: certificate.der })).toHaveProperty('trusted');
      }),
      { numRuns: 300 },
    );
  });

  it('another one within, in PEM, where OpenSSL looks first', async () => {
    const inner = makeCertificate({ subject: 'admin', issuer: root });
    const text = `\n${inner.pem}`;
    const outer = makeCertificate({
      subject: 'mallory',
      extensions: [extension('1.2.3.4', Buffer.from(text))],
    });
    const verdict = await trustIn([root]).verify({ der: outer.der });
    expect(verdict).toMatchObject({
      trusted: false,
      detail: expect.stringMatching(/another certificate/) as string,
    });
  });

  it('another signature algorithm outside than inside', async () => {
    const [tbs] = childrenOf(readElement(leaf.der));
    const algorithm = sequence(objectIdentifier('1.2.840.10045.4.3.3'));
    const der = sequence(tbs?.encoded ?? Buffer.of(), algorithm, bitString(Buffer.alloc(70)));
    const verdict = await trustIn([root]).verify({ der });
    expect(verdict).toMatchObject({
      trusted: false,
      detail: expect.stringMatching(/two signature algorithms/) as string,
    });
  });

  it('garbage among the certificates sent with a good one does not matter', async () => {
    const verdict = await trustIn([root]).verify({
      der: leaf.der,
      chain: [Buffer.from('garbage'), Buffer.alloc(0)],
    });
    expect(verdict).toMatchObject({ trusted: true });
  });

  it('more certificates sent with it than a chain may have', async () => {
    const verdict = await trustIn([root]).verify({ der: leaf.der, chain: Array<Buffer>(11).fill(root.der) });
    expect(verdict).toMatchObject({ trusted: false, detail: expect.stringMatching(/Too many/) as string });
  });
});

describe('authorities that signed each other', () => {
  /** Ten of them, each signed by each: every order of them is a chain. */
  function web(): Case {
    const keys = Array.from({ length: 4 }, () => ecKey());
    const names = keys.map((_, index) => nameOf(commonName(`web ${String(index)}`)));
    const chain = keys.flatMap((key, index) =>
      keys.flatMap((issuerKey, issuer) =>
        issuer === index
          ? []
          : [
              makeCertificate({
                subject: names[index] as Buffer,
                key,
                ca: true,
                issuer: { key: issuerKey, name: names[issuer] as Buffer },
              }),
            ],
      ),
    );
    const issuer = { key: keys[0] as (typeof keys)[0], name: names[0] as Buffer };
    return { leaf: makeCertificate({ issuer }), chain: chain.slice(0, 10), authorities: [ca()] };
  }

  it('end in a refusal, and not in a loop', async () => {
    expect(await verdictOn(web())).toMatchObject({ trusted: false, reason: 'invalid' });
  });

  it('with one name and many keys end in a refusal, and not in ages', async () => {
    const name = nameOf(commonName('same'));
    const chain = Array.from({ length: 10 }, () => makeCertificate({ subject: name, ca: true }));
    const leaf = makeCertificate({ issuer: chain[0] as Made });
    const verdict = await verdictOn({ leaf, chain, authorities: [ca()] });
    expect(verdict).toMatchObject({
      trusted: false,
      detail: expect.stringMatching(/too many possible chains/) as string,
    });
  });

  it('are trusted by way of the one that is', async () => {
    const [oldRoot, newKey] = [ca({ subject: 'old' }), ecKey()];
    const newRoot = ca({ subject: 'new', key: newKey });
    const cross = ca({ subject: 'new', key: newKey, issuer: oldRoot });
    const leaf = makeCertificate({ issuer: newRoot });
    for (const chain of [
      [cross, newRoot],
      [newRoot, cross],
    ]) {
      expect(await verdictOn({ leaf, chain, authorities: [oldRoot] })).toMatchObject({ trusted: true });
    }
  });
});

import { createHash, X509Certificate } from 'node:crypto';

import {
  albClientCertificate,
  clientCertHeader,
  envoyClientCertificate,
  MalformedCredential,
  nginxClientCertificate,
  type EnvoyClientCertificateOptions,
  type ForwardedCertificateFormat,
  type PresentedCertificate,
} from '@a2a-auth/server';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { issueCertificate } from '../../src/certificates/development-certificate.js';
import { authRequest } from '../support/auth-request.js';

const issue = (name: string) => issueCertificate(name, { kind: 'client' }, 1).certificate;
const pem = issue('caller');
const otherPem = issue('somebody else');
const issuerPem = issue('issuer');
const derOf = (text: string) => new X509Certificate(text).raw;
const [der, otherDer, issuerDer] = [pem, otherPem, issuerPem].map(derOf) as [Buffer, Buffer, Buffer];
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** As nginx and Envoy do: everything but the unreserved characters. */
const escaped = (text: string) => encodeURIComponent(text);
/** As an AWS load balancer does. */
const escapedForAlb = (text: string) => encodeURI(text).replaceAll('\n', '%0A');

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const sequence = (bytes: Uint8Array) => `:${base64(bytes)}:`;

type HeaderValues = Readonly<Record<string, string | readonly string[]>>;

function read(format: ForwardedCertificateFormat, header: HeaderValues): PresentedCertificate | undefined {
  return format.read(authRequest({ header }));
}

function expectMalformed(format: ForwardedCertificateFormat, header: HeaderValues): void {
  expect(() => read(format, header)).toThrow(MalformedCredential);
}

/** The same in BER: with a leading zero in its length. */
function longForm(bytes: Buffer): Buffer {
  const octets = (bytes[1] ?? 0) & 0x7f;
  return Buffer.concat([Buffer.of(0x30, 0x80 | (octets + 1), 0), bytes.subarray(2)]);
}

/** What no format takes for a certificate, before it is written as the format wants it. */
const noCertificates: readonly (readonly [string, Buffer])[] = [
  ['a certificate with bytes behind it', Buffer.concat([der, Buffer.from('behind')])],
  ['two certificates in one', Buffer.concat([der, otherDer])],
  ['the first half of a certificate', der.subarray(0, der.length >> 1)],
  ['some other DER', Buffer.from([0x30, 0x03, 0x02, 0x01, 0x00])],
  ['a public key', new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })],
  ['a length that is not in its shortest form', longForm(der)],
  ['text', Buffer.from('no certificate')],
  ['a PEM file', Buffer.from(pem)],
  ['zeros', Buffer.alloc(64)],
];

/** A PEM block around any bytes. */
const block = (bytes: Uint8Array) =>
  `-----BEGIN CERTIFICATE-----\n${base64(bytes)}\n-----END CERTIFICATE-----\n`;

/** PEM that differs from one certificate as proxies write it. */
const oddPem: readonly (readonly [string, string])[] = [
  ['a private key', pem.replaceAll('CERTIFICATE', 'PRIVATE KEY')],
  ['text before', `Subject: caller\n${pem}`],
  ['text behind', `${pem}behind`],
  ['a certificate without an end', pem.replace(/-----END[^]*/, '')],
  ['an end without a beginning', pem.replace(/-----BEGIN[^\n]*\n/, '')],
  ['a beginning that is none', pem.replace('BEGIN CERTIFICATE', 'BEGIN certificate')],
  ['a trusted certificate of OpenSSL', pem.replaceAll(' CERTIFICATE', ' TRUSTED CERTIFICATE')],
  ['a beginning within', pem.replace('\n', '\n-----BEGIN CERTIFICATE-----\n')],
  ['header lines (RFC 1421)', pem.replace('\n', '\nProc-Type: 4,ENCRYPTED\n\n')],
  ['white space in its base64', pem.replace(/\n(.)/, '\n $1')],
  ['NULs', pem.replace(/\n(.)/, '\n\0$1')],
  ['a missing character', pem.replace(/\n./, '\n')],
  ['characters of base64url', pem.replace(/\n./, '\n-')],
  ['characters beyond ASCII', pem.replace(/\n./, '\né')],
  ['spaces for line breaks', pem.replaceAll('\n', ' ')],
  ['nothing in it', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'],
  ['no certificate in it', 'certificate'],
  [
    'loose bits in its last character',
    block(Buffer.concat([der, Buffer.alloc(1)])).replace('A==\n', 'B==\n'),
  ],
];

/** Odd ways of escaping one certificate. */
const oddEscapes: readonly (readonly [string, string])[] = [
  ['a percent sign alone', `${escaped(pem)}%`],
  ['half an escape', `${escaped(pem)}%0`],
  ['escapes that are no hexadecimal number', escaped(pem).replace('%0A', '%0G')],
  ['escapes of escapes', escaped(escaped(pem))],
  ['no UTF-8', `%ff${escaped(pem)}`],
  ['spaces that became plus signs', escaped(pem).replaceAll('%20', '+')],
  ['raw PEM', pem],
  ['white space around it', ` ${escaped(pem)}`],
  ['two of them, joined as repeated headers are', `${escaped(pem)}, ${escaped(otherPem)}`],
  ['quotes', `"${escaped(pem)}"`],
];

/** The formats that carry percent-encoded PEM, and how each carries one. */
const pemFormats: readonly (readonly [
  string,
  ForwardedCertificateFormat,
  (value: string) => HeaderValues,
])[] = [
  ['nginx', nginxClientCertificate(), (value) => ({ 'ssl-client-cert': value })],
  [
    'AWS (verify)',
    albClientCertificate({ mode: 'verify' }),
    (value) => ({ 'x-amzn-mtls-clientcert-leaf': value }),
  ],
  [
    'AWS (passthrough)',
    albClientCertificate({ mode: 'passthrough' }),
    (value) => ({ 'x-amzn-mtls-clientcert': value }),
  ],
  [
    'Envoy',
    envoyClientCertificate(),
    (value) => ({ 'x-forwarded-client-cert': `Hash=${sha256(der)};Cert="${value}"` }),
  ],
  [
    'Envoy (chain)',
    envoyClientCertificate(),
    (value) => ({ 'x-forwarded-client-cert': `Hash=${sha256(der)};Chain="${value}"` }),
  ],
];

describe.each(pemFormats)('percent-encoded PEM, from %s', (_name, format, carry) => {
  it('is read', () => {
    expect(read(format, carry(escaped(pem)))).toEqual({ der, chain: [] });
  });

  it('is read without a line break at its end, and with those of Windows', () => {
    for (const text of [pem.trimEnd(), pem.replaceAll('\n', '\r\n')]) {
      expect(read(format, carry(escaped(text)))).toEqual({ der, chain: [] });
    }
  });

  it('is read with only the characters escaped that have to be', () => {
    expect(read(format, carry(escapedForAlb(pem)))).toEqual({ der, chain: [] });
  });

  it('is none when there is no header', () => {
    expect(read(format, {})).toBeUndefined();
  });

  it.each(oddPem)('is refused with %s', (_what, text) => {
    expectMalformed(format, carry(escaped(text)));
  });

  it.each(oddEscapes)('is refused with %s', (_what, value) => {
    expectMalformed(format, carry(value));
  });

  it.each(noCertificates)('is refused when it holds %s', (_what, bytes) => {
    expectMalformed(format, carry(escaped(block(bytes))));
  });

  it('is refused when its header is repeated, even with the same', () => {
    const [[name, value]] = Object.entries(carry(escaped(pem))) as [[string, string]];
    expectMalformed(format, { [name]: [value, value] });
  });

  it('is refused when it is huge, before it is decoded', () => {
    const bomb = escaped(pem.repeat(1000));
    expect(() => read(format, carry(bomb))).toThrow(/is longer than 65536 characters/);
  });

  it('is refused with more certificates than any chain has', () => {
    expectMalformed(format, carry(escapedForAlb(pem.repeat(17))));
  });

  it('quotes nothing of what was sent in its errors', () => {
    const secret = 'do-not-show-me';
    expect(() => read(format, carry(secret))).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining(secret) as string }),
    );
  });

  it('is read, is refused, or is none, whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), fc.nat(escaped(pem).length), (noise, at) => {
        const value = escaped(pem);
        const header = carry(value.slice(0, at) + noise + value.slice(at));
        try {
          const certificate = read(format, header);
          expect(certificate === undefined || sha256(certificate.der) === sha256(der)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedCredential);
        }
      }),
    );
  });
});

describe('nginxClientCertificate()', () => {
  const format = nginxClientCertificate();
  const certificate = { 'ssl-client-cert': escaped(pem) };

  it('is none when the header is empty, as the variable is without a certificate', () => {
    expect(read(format, { 'ssl-client-cert': '', 'ssl-client-verify': 'NONE' })).toBeUndefined();
  });

  it('is one that nginx verified', () => {
    expect(read(format, { ...certificate, 'ssl-client-verify': 'SUCCESS' })).toEqual({ der, chain: [] });
  });

  it.each(['NONE', 'FAILED:certificate has expired', 'FAILED', 'success', 'SUCCESS, SUCCESS', ' '])(
    'is refused when nginx says "%s" of it',
    (verdict) => {
      expectMalformed(format, { ...certificate, 'ssl-client-verify': verdict });
    },
  );

  it('is refused when nginx says so twice', () => {
    expectMalformed(format, { ...certificate, 'ssl-client-verify': ['SUCCESS', 'SUCCESS'] });
  });

  it('is refused when nginx verified one that is not there', () => {
    expectMalformed(format, { 'ssl-client-verify': 'SUCCESS' });
  });

  it('is refused with several certificates', () => {
    expectMalformed(format, { 'ssl-client-cert': escaped(pem + issuerPem) });
  });

  it('takes other names of headers, and none besides', () => {
    const named = nginxClientCertificate({ header: 'X-SSL-Cert', verifyHeader: 'X-SSL-Verify' });
    expect(named.headers).toEqual(['x-ssl-cert', 'x-ssl-verify']);
    expect(read(named, { 'x-ssl-cert': escaped(pem) })).toEqual({ der, chain: [] });
    expect(read(named, certificate)).toBeUndefined();
    expectMalformed(named, { 'x-ssl-cert': escaped(pem), 'x-ssl-verify': 'NONE' });
  });

  it.each(['', 'x ssl', 'x:ssl', 'é'])('does not take "%s" for the name of a header', (header) => {
    expect(() => nginxClientCertificate({ header })).toThrow(/is no name of a header/);
  });
});

describe('albClientCertificate()', () => {
  it('has the chain that the caller sent in passthrough mode', () => {
    const format = albClientCertificate({ mode: 'passthrough' });
    expect(read(format, { 'x-amzn-mtls-clientcert': escapedForAlb(pem + issuerPem) })).toEqual({
      der,
      chain: [issuerDer],
    });
  });

  it('has one certificate in verify mode', () => {
    const format = albClientCertificate({ mode: 'verify' });
    expectMalformed(format, { 'x-amzn-mtls-clientcert-leaf': escapedForAlb(pem + issuerPem) });
  });

  it.each([
    ['verify', 'x-amzn-mtls-clientcert'],
    ['passthrough', 'x-amzn-mtls-clientcert-leaf'],
  ] as const)(
    'in %s mode refuses the header of the other, which the caller may have written',
    (mode, name) => {
      const format = albClientCertificate({ mode });
      expectMalformed(format, { [name]: escapedForAlb(pem) });
      expect(format.headers).toContain(name);
    },
  );

  it('does not guess the mode', () => {
    expect(() => albClientCertificate({} as { mode: 'verify' })).toThrow(/mode must be 'verify'/);
    expect(() => albClientCertificate({ mode: 'toString' as 'verify' })).toThrow(/mode must be 'verify'/);
  });
});

describe('clientCertHeader()', () => {
  const format = clientCertHeader();

  it('reads the certificate', () => {
    expect(read(format, { 'client-cert': sequence(der) })).toEqual({ der, chain: [] });
  });

  it('reads the chain, in one line or in several', () => {
    const expected = { der, chain: [issuerDer, otherDer] };
    for (const chain of [
      `${sequence(issuerDer)}, ${sequence(otherDer)}`,
      `${sequence(issuerDer)},\t${sequence(otherDer)}`,
      [sequence(issuerDer), sequence(otherDer)],
    ]) {
      expect(read(format, { 'client-cert': sequence(der), 'client-cert-chain': chain })).toEqual(expected);
    }
  });

  it('is none when there is no header', () => {
    expect(read(format, {})).toBeUndefined();
  });

  it('refuses a chain without a certificate', () => {
    expectMalformed(format, { 'client-cert-chain': sequence(issuerDer) });
  });

  it.each([
    ['base64 alone', base64(der)],
    ['one colon', `:${base64(der)}`],
    ['a colon alone', ':'],
    ['nothing between colons', '::'],
    ['parameters', `${sequence(der)};a=1`],
    ['a list', `${sequence(der)}, ${sequence(otherDer)}`],
    ['a string', `"${base64(der)}"`],
    ['white space within', `: ${base64(der)}:`],
    ['base64url', `:${base64(der).replaceAll('+', '-').replaceAll('/', '_').replace(/^M/, '-')}:`],
    ['too much padding', `:${base64(der)}=:`],
    ['garbage in the base64', `:*${base64(der)}:`],
    ['PEM', `:${escaped(pem)}:`],
  ])('refuses %s', (_what, value) => {
    expectMalformed(format, { 'client-cert': value });
  });

  it.each(noCertificates)('refuses %s, as the certificate and in the chain', (_what, bytes) => {
    expectMalformed(format, { 'client-cert': sequence(bytes) });
    expectMalformed(format, { 'client-cert': sequence(der), 'client-cert-chain': sequence(bytes) });
  });

  it.each([
    ['an empty member', `${sequence(issuerDer)},,${sequence(otherDer)}`],
    ['a comma at the end', `${sequence(issuerDer)},`],
    ['parameters', `${sequence(issuerDer)};a`],
    ['an inner list', `(${sequence(issuerDer)})`],
  ])('refuses a chain with %s', (_what, chain) => {
    expectMalformed(format, { 'client-cert': sequence(der), 'client-cert-chain': chain });
  });

  it('refuses a repeated certificate, even the same', () => {
    expectMalformed(format, { 'client-cert': [sequence(der), sequence(der)] });
  });

  it('refuses huge certificates and long chains before they are decoded', () => {
    expect(() => read(format, { 'client-cert': `:${'A'.repeat(100_000)}:` })).toThrow(/is longer than/);
    const chain = Array.from({ length: 1000 }, () => sequence(issuerDer));
    expect(() => read(format, { 'client-cert': sequence(der), 'client-cert-chain': chain })).toThrow(
      /more than 16 certificates/,
    );
  });
});

describe('envoyClientCertificate()', () => {
  const xfcc = (value: string, options?: EnvoyClientCertificateOptions) =>
    read(envoyClientCertificate(options), { 'x-forwarded-client-cert': value });
  const append = { forwardClientCertDetails: 'APPEND_FORWARD' } as const;

  const element = (text: string, extra = '') => `Hash=${sha256(derOf(text))};Cert="${escaped(text)}"${extra}`;
  const own = element(pem);
  const foreign = element(otherPem);

  it('reads Cert and Chain, whatever else Envoy tells', () => {
    const value = [
      'By=spiffe://cluster.local/ns/a/sa/agent',
      `Hash=${sha256(der)}`,
      `Cert="${escaped(pem)}"`,
      `Chain="${escaped(pem + issuerPem)}"`,
      String.raw`Subject="CN=a \"quoted\" name\, Inc.,OU=x;y\\"`,
      'URI=spiffe://cluster.local/ns/a/sa/caller?a=b',
      'URI=',
      'DNS=caller.example',
      'DNS=www.caller.example',
    ].join(';');
    expect(xfcc(value)).toEqual({ der, chain: [issuerDer] });
  });

  it('does not mind the case of keys and of the hash', () => {
    expect(xfcc(`hash=${sha256(der).toUpperCase()};CERT="${escaped(pem)}"`)).toEqual({ der, chain: [] });
  });

  it('takes the last of several elements where Envoy appends its own', () => {
    expect(xfcc(`${foreign},${own}`, append)).toEqual({ der, chain: [] });
    expect(xfcc(`By=x;Hash=y;URI=z, ${own}`, append)).toEqual({ der, chain: [] });
  });

  it('refuses several elements where Envoy is to send only its own', () => {
    expect(() => xfcc(`${foreign},${own}`)).toThrow(/several elements/);
  });

  it.each([
    ['only a hash', `Hash=${sha256(der)}`],
    ['a hash and a subject', `Hash=${sha256(der)};Subject="CN=caller"`],
    ['no hash', `Cert="${escaped(pem)}"`],
    ['the hash of another certificate', `Hash=${sha256(otherDer)};Cert="${escaped(pem)}"`],
    ['a chain that begins with another certificate', `${own};Chain="${escaped(otherPem + pem)}"`],
    [
      'a chain that is right, and another certificate',
      `Hash=${sha256(otherDer)};Cert="${escaped(pem)}";Chain="${escaped(otherPem)}"`,
    ],
    ['several certificates in Cert', `Hash=${sha256(der)};Cert="${escaped(pem + issuerPem)}"`],
    ['an empty element', ','],
    ['a comma at the end', `${own},`],
    ['a semicolon at the end', `${own};`],
    ['an unknown key', `${own};Certificate="x"`],
    ['a key without a value', `${own};URI`],
    ['a key of another script', `${own};Ｃert=x`],
    ['white space around a key', `${own}; URI=x`],
    ['an open quote', `${own};Subject="CN=caller`],
    ['text after a quote', `${own};Subject="CN=caller"x`],
    ['a quote within a plain value', `${own};URI=a"b"`],
    ['a backslash at the end of a quote', `${own};Subject="CN=caller\\"`],
    ['a backslash within a plain value', String.raw`${own};URI=a\b`],
    ['NULs', `${own};\0`],
  ])('refuses %s', (_what, value) => {
    expect(() => xfcc(value)).toThrow(MalformedCredential);
    expect(() => xfcc(value, append)).toThrow(MalformedCredential);
  });

  describe('against a certificate whose names are written into the header', () => {
    // Envoy quotes no URI: what a certificate names is then read as pairs.
    const hostile = (uri: string) => `Hash=${sha256(der)};Cert="${escaped(pem)}";URI=${uri}`;

    it.each([
      ['a second Cert', `x;Cert="${escaped(otherPem)}"`],
      ['a second Hash and Cert', `x;${foreign}`],
      ['an element of its own', `x,${foreign}`],
      ['a Chain', `x;Chain="${escaped(otherPem)}"`],
    ])('refuses %s in a URI', (_what, uri) => {
      expect(() => xfcc(hostile(uri))).toThrow(MalformedCredential);
    });

    it('refuses a Cert in a URI where Envoy itself sends none', () => {
      expect(() => xfcc(`Hash=${sha256(der)};URI=x;Cert="${escaped(otherPem)}"`)).toThrow(
        /a Hash that is not/,
      );
    });

    it('does not take a pair in a subject for one', () => {
      const subject = String.raw`CN=x\";Cert=\"y\",Hash=z`;
      expect(xfcc(`${own};Subject="${subject}"`)).toEqual({ der, chain: [] });
    });
  });

  describe('against a caller who writes the first element', () => {
    it.each([
      ['an open quote', `${foreign};Subject="`],
      ['an open quote with a backslash', String.raw`${foreign};Subject="\"`],
      ['a backslash at its end', `${foreign};Subject=\\`],
      ['an open Cert', `Hash=${sha256(otherDer)};Cert="${escaped(otherPem)}`],
      ['a semicolon at its end', `${foreign};`],
    ])('refuses %s, which would swallow the last', (_what, first) => {
      expect(() => xfcc(`${first},${own}`, append)).toThrow(MalformedCredential);
      expect(() => xfcc(`${first},${own};Subject="CN=caller"`, append)).toThrow(MalformedCredential);
      expect(() => xfcc(`${first},Hash=${sha256(der)};Subject=""`, append)).toThrow(MalformedCredential);
    });
  });

  it('has no mode in which Envoy passes on what callers write', () => {
    for (const forwardClientCertDetails of ['FORWARD_ONLY', 'ALWAYS_FORWARD_ONLY', 'SANITIZE', '']) {
      expect(() =>
        envoyClientCertificate({ forwardClientCertDetails } as EnvoyClientCertificateOptions),
      ).toThrow(/must be 'SANITIZE_SET' or 'APPEND_FORWARD'/);
    }
  });
});

import { X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';

import {
  certificateTrust,
  createDevelopmentPki,
  mutualTls,
  type CertificateTrust,
  type MutualTlsOptions,
  type PresentedCertificate,
} from '@a2a-auth/server';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { renderChallenge } from '../../src/challenge.js';
import { Denied } from '../../src/decision.js';
import { element, sequence, set } from '../../src/certificates/der-writer.js';
import {
  attribute,
  commonName,
  dns,
  ecKey,
  email,
  hours,
  makeCertificate,
  nameOf,
  organisation,
  uri,
  type CertificateParts,
  type Made,
} from '../certificates/make-certificates.js';
import { decisionBy, denied, granted, headerScheme, securityOf } from '../support/agent.js';
import { authRequest } from '../support/auth-request.js';

const ca = makeCertificate({ subject: 'root', ca: true });
const selfSigned = makeCertificate({ subject: 'self' });
const ofCa = (parts: CertificateParts = {}) => makeCertificate({ issuer: ca, subject: 'alice', ...parts });
const alice = ofCa();
const trust = certificateTrust({ ca: ca.pem });

const requestWith = ({ der }: Made, rest: Partial<PresentedCertificate> = {}) =>
  authRequest({ clientCertificate: { der, ...rest } });
const decision = (certificate: Made, options: Partial<MutualTlsOptions> = {}, tlsError?: string) =>
  decisionBy(mutualTls({ trust, ...options }), requestWith(certificate, { tlsError }));
const principalOf = async (...given: Parameters<typeof decision>) =>
  granted(await decision(...given)).principal;
/** What the audit event says. */
const detailOf = async (...given: Parameters<typeof decision>) => {
  const [outcome] = Denied.evaluation(denied(await decision(...given))).outcomes;
  return outcome !== undefined && 'detail' in outcome ? outcome.detail : undefined;
};

describe('mutualTls', () => {
  it('is published, and known to be proven by the connection', () => {
    const scheme = mutualTls({ trust, description: 'Ask us for a certificate.' });
    expect(scheme.declaration).toEqual({ type: 'mutualTLS', description: 'Ask us for a certificate.' });
    expect(scheme.provenByConnection).toBe(true);
  });

  it('asks for a certificate with the generic challenge', async () => {
    const { reason, challenges } = denied(await decisionBy(mutualTls({ trust }), authRequest()));
    expect(reason).toBe('missing_credential');
    expect(challenges.map(renderChallenge)).toEqual(['MutualTLS realm="a2a"']);
  });

  it('says who it was when another credential lacks', async () => {
    const security = securityOf({ mtls: mutualTls({ trust }), key: headerScheme('x-key') }, [
      { mtls: [], key: [] },
    ]);
    const refused = denied(await security.authenticate(requestWith(alice)));
    expect(refused.reason).toBe('missing_credential');
    expect(Denied.evaluation(refused).outcomes[0]).toMatchObject({
      status: 'verified',
      principal: { subject: 'alice' },
    });
  });

  it('refuses a wrong certificate beside a good other credential', async () => {
    const security = securityOf({ mtls: mutualTls({ trust }), key: headerScheme('x-key') }, [
      { mtls: [], key: [] },
    ]);
    const request = authRequest({ clientCertificate: { der: selfSigned.der }, header: { 'x-key': 'k' } });
    expect(denied(await security.authenticate(request)).reason).toBe('invalid_credential');
  });

  it('takes the certificates that its development PKI issues', async () => {
    const pki = await createDevelopmentPki({ clients: ['bob'] });
    onTestFinished(() => rm(pki.folder, { recursive: true }));
    const { raw: der } = new X509Certificate(await readFile(pki.clients.bob?.certificate ?? ''));
    const scheme = mutualTls({ trust: { folder: pki.knownClients } });
    const { principal } = granted(await decisionBy(scheme, authRequest({ clientCertificate: { der } })));
    expect(principal.subject).toBe('bob');
  });

  it.each([
    [undefined],
    [null],
    ['ca.pem'],
    [{}],
    [{ trust: undefined }],
    [{ trust: {} }],
    [{ trust: 'ca.pem' }],
    [{ trust, identify: 'cn' }],
    [{ trust, validator: true }],
  ])('is refused at start-up with %j', (options) => {
    expect(() => mutualTls((options ?? {}) as unknown as MutualTlsOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }) as Error,
    );
  });
});

describe('what the TLS layer found', () => {
  it.each([undefined, 'forwarded'])('lets a trusted certificate pass when it is %s', async (tlsError) => {
    expect((await principalOf(alice, {}, tlsError)).subject).toBe('alice');
  });

  it.each([
    'CERT_HAS_EXPIRED',
    'CERT_REVOKED',
    'INVALID_PURPOSE',
    'CERT_SIGNATURE_FAILURE',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'a code that is not known',
    'undefined',
    'null',
    '',
  ])('refuses what we would trust when it is %j', async (tlsError) => {
    expect(denied(await decision(alice, {}, tlsError)).reason).toBe('invalid_credential');
    expect(await detailOf(alice, {}, tlsError)).toContain('The TLS layer did not accept');
  });

  const pinned = { trust: { fingerprints: [selfSigned.fingerprint] } };

  it.each(['DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'])(
    'does not matter for a pinned certificate when it is %s',
    async (tlsError) => {
      expect((await principalOf(selfSigned, pinned, tlsError)).subject).toBe('self');
    },
  );

  it.each(['CERT_HAS_EXPIRED', 'CERT_REVOKED', 'INVALID_PURPOSE', 'EE_KEY_TOO_SMALL', ''])(
    'refuses a pinned certificate when it is %j',
    async (tlsError) => {
      expect(denied(await decision(selfSigned, pinned, tlsError)).reason).toBe('invalid_credential');
    },
  );

  it('does not matter for a subordinate authority that is trusted by itself when the root is unknown', async () => {
    const sub = ofCa({ subject: 'sub', ca: true });
    const leaf = makeCertificate({ subject: 'bob', issuer: sub });
    const options = { trust: { ca: sub.pem } };
    expect((await principalOf(leaf, options, 'UNABLE_TO_GET_ISSUER_CERT')).subject).toBe('bob');
    expect(denied(await decision(leaf, options, 'CERT_HAS_EXPIRED')).reason).toBe('invalid_credential');
  });

  it('does not make a certificate trusted that is not', async () => {
    for (const tlsError of [undefined, 'forwarded']) {
      expect(denied(await decision(selfSigned, {}, tlsError)).reason).toBe('invalid_credential');
    }
  });

  it.each([
    ['expired', ofCa({ notBefore: hours(-2), notAfter: hours(-1) })],
    ['invalid', selfSigned],
  ])('leaves the reason %s to the audit event', async (reason, certificate) => {
    const [outcome] = Denied.evaluation(denied(await decision(certificate))).outcomes;
    expect(outcome).toMatchObject({ status: 'refused', reason });
  });
});

describe('the principal', () => {
  it('is unique to the authority and has the certificate', async () => {
    const principal = await principalOf(alice);
    expect(principal.issuer).toMatch(/^x509:[0-9a-f]{64}\/cn$/);
    expect(principal.id).toBe(`${principal.issuer ?? ''}|alice`);
    expect(principal.certificate).toMatchObject({ fingerprint256: alice.fingerprint, subject: 'CN=alice' });
    expect(principal.expiresAt).toBe(principal.certificate?.validTo);
  });

  it('is another one for the same name of another authority', async () => {
    const other = makeCertificate({ subject: 'root', ca: true });
    const both = { trust: { ca: [ca.pem, other.pem] } };
    const [one, two] = [
      await principalOf(alice, both),
      await principalOf(makeCertificate({ subject: 'alice', issuer: other }), both),
    ];
    expect(one.subject).toBe(two.subject);
    expect(one.id).not.toBe(two.id);
  });

  it('is another one for the same name of another kind', async () => {
    const ids = await Promise.all(
      [alice, ofCa({ alternativeNames: [dns('alice')] })].map(async (one) => (await principalOf(one)).id),
    );
    expect(new Set(ids).size).toBe(2);
  });

  it('is the same after the certificates of the client and of the authority are renewed', async () => {
    const key = ecKey();
    const [old, renewed] = [0, 1].map(() => makeCertificate({ subject: 'root', ca: true, key })) as [
      Made,
      Made,
    ];
    const before = await principalOf(makeCertificate({ subject: 'alice', issuer: old }), {
      trust: { ca: old.pem },
    });
    const after = await principalOf(makeCertificate({ subject: 'alice', issuer: renewed }), {
      trust: { ca: renewed.pem },
    });
    expect(after.id).toBe(before.id);
  });

  it('of two pinned certificates with one name is not one', async () => {
    const [one, two] = [makeCertificate({ subject: 'x' }), makeCertificate({ subject: 'x' })];
    const both = { trust: { fingerprints: [one.fingerprint, two.fingerprint] } };
    expect((await principalOf(one, both)).id).not.toBe((await principalOf(two, both)).id);
  });

  it('of a SPIFFE trust domain has the domain for its issuer', async () => {
    const svid = ofCa({ alternativeNames: [uri('spiffe://prod.example/web')] });
    const principal = await principalOf(svid, { trust: { spiffe: { 'prod.example': ca.pem } } });
    expect(principal).toMatchObject({
      id: 'spiffe://prod.example|spiffe://prod.example/web',
      subject: 'spiffe://prod.example/web',
      issuer: 'spiffe://prod.example',
    });
  });

  it.each<[string, CertificateParts, string]>([
    [
      'the URI',
      { alternativeNames: [dns('a.example'), uri('spiffe://x.example/a')] },
      'spiffe://x.example/a',
    ],
    ['the DNS name', { alternativeNames: [email('a@example'), dns('A.Example')] }, 'a.example'],
    ['the common name', { subject: nameOf(organisation('Example'), commonName('Zoë Müller')) }, 'Zoë Müller'],
    [
      'a DNS name that is there twice',
      { alternativeNames: [dns('a.example'), dns('A.example')] },
      'a.example',
    ],
    ['the common name beside an address', { alternativeNames: [email('a@example')] }, 'alice'],
    [
      'a common name as PrintableString',
      { subject: nameOf(commonName(element(0x13, Buffer.from('bob')))) },
      'bob',
    ],
  ])('is named by %s', async (_what, parts, subject) => {
    expect((await principalOf(ofCa(parts))).subject).toBe(subject);
  });

  it.each<[string, CertificateParts]>([
    ['two URIs', { alternativeNames: [uri('https://a.example/'), uri('https://b.example/')] }],
    [
      'a SPIFFE id and another URI',
      { alternativeNames: [uri('spiffe://x.example/a'), uri('https://b.example/')] },
    ],
    ['a URI that is no SPIFFE id', { alternativeNames: [uri('spiffe://x.example/../a')] }],
    ['a URI that is none', { alternativeNames: [uri('alice')] }],
    ['an empty URI', { alternativeNames: [uri('')] }],
    ['two DNS names', { alternativeNames: [dns('a.example'), dns('b.example')] }],
    ['a wildcard', { alternativeNames: [dns('*.example')] }],
    ['a DNS name with a dot at the end', { alternativeNames: [dns('a.example.')] }],
    ['an empty DNS name', { alternativeNames: [dns('')] }],
    ['two common names', { subject: nameOf(commonName('alice'), commonName('admin')) }],
    ['two common names in one part', { subject: sequence(set(commonName('alice'), commonName('admin'))) }],
    ['the same common name twice', { subject: nameOf(commonName('alice'), commonName('alice')) }],
    ['no name', { subject: sequence() }],
    ['an empty common name', { subject: '' }],
    ['a blank common name', { subject: ' ' }],
    ['a NUL', { subject: 'alice\0.evil' }],
    ['a line break', { subject: 'alice\nadmin' }],
    ['a carriage return', { subject: 'alice\r' }],
    ['an escape character', { subject: 'alice\u001b[2K' }],
    ['a delete character', { subject: 'alice\u007f' }],
    ['a C1 character', { subject: 'alice\u0085' }],
    ['a line separator', { subject: 'alice\u2028admin' }],
    ['text that runs backwards', { subject: 'alice\u202enimda' }],
    ['a zero-width space', { subject: 'ali\u200bce' }],
    ['a space at the end', { subject: 'alice ' }],
    ['a common name that is no UTF-8', { subject: nameOf(commonName(element(0x0c, Buffer.of(0xc0, 0x80)))) }],
    ['a BMPString', { subject: nameOf(commonName(element(0x1e, Buffer.from('\0a\0b')))) }],
    ['a TeletexString', { subject: nameOf(commonName(element(0x14, Buffer.from('alice')))) }],
    ['a number for a common name', { subject: nameOf(commonName(element(0x02, Buffer.of(1)))) }],
    ['another attribute alone', { subject: nameOf(attribute('2.5.4.10', 'Example')) }],
    ['5000 characters', { subject: 'a'.repeat(5000) }],
  ])('is nobody with %s', async (_what, parts) => {
    expect(denied(await decision(ofCa(parts))).reason).toBe('invalid_credential');
  });
});

describe('identify', () => {
  it('says who it is, under an issuer of its own', async () => {
    const ambiguous = ofCa({ alternativeNames: [dns('a.example'), dns('b.example')] });
    const principal = await principalOf(ambiguous, {
      identify: ({ subjectAlternativeNames }) => subjectAlternativeNames[1]?.slice('DNS:'.length),
    });
    expect(principal.subject).toBe('b.example');
    expect(principal.issuer).toMatch(/\/mapped$/);
  });

  it('may say everything but that the certificate lasts longer', async () => {
    const principal = await principalOf(alice, {
      identify: () => ({
        subject: 'user-1',
        issuer: 'https://directory.example',
        claims: { team: 'a' },
        expiresAt: new Date(Date.now() + 1e10),
      }),
    });
    expect(principal).toMatchObject({
      id: 'https://directory.example|user-1',
      claims: { team: 'a' },
      certificate: { fingerprint256: alice.fingerprint },
      expiresAt: principal.certificate?.validTo,
    });
  });

  it.each([undefined, null, '', {}, { subject: '' }, { subject: 1 }, true, Promise.resolve('alice')])(
    'that answers %j refuses',
    async (answer) => {
      const identify = (() => answer) as unknown as NonNullable<MutualTlsOptions['identify']>;
      expect(denied(await decision(alice, { identify })).reason).toBe('invalid_credential');
    },
  );

  it('that throws refuses', async () => {
    const identify = () => {
      throw new Error('broken');
    };
    expect(denied(await decision(alice, { identify })).reason).toBe('invalid_credential');
  });

  it('is not asked about a certificate that is not trusted', async () => {
    const identify = vi.fn(() => 'anybody');
    await decision(selfSigned, { identify });
    await decision(alice, { identify }, 'CERT_HAS_EXPIRED');
    expect(identify).not.toHaveBeenCalled();
  });
});

describe('validator', () => {
  it('is told who it is, and may give scopes', async () => {
    const validator = vi.fn(({ subject }: { subject: string }) => ({ principal: subject, scopes: ['read'] }));
    const principal = await principalOf(alice, { validator });
    expect(validator.mock.calls[0]?.[0]).toMatchObject({
      subject: 'alice',
      issuer: principal.issuer,
      certificate: { fingerprint256: alice.fingerprint },
    });
    expect(principal).toMatchObject({ id: (await principalOf(alice)).id, scopes: ['read'] });
  });

  it('that names somebody else does so under an issuer of its own', async () => {
    const principal = await principalOf(alice, { validator: () => ({ principal: 'user-1' }) });
    expect(principal.subject).toBe('user-1');
    expect(principal.issuer).toMatch(/\/mapped$/);
    expect(principal.certificate?.fingerprint256).toBe(alice.fingerprint);
  });

  it('may end it earlier, and not later, than the certificate', async () => {
    const soon = new Date(Date.now() + 60_000);
    const ending = (expiresAt: Date) =>
      principalOf(alice, { validator: () => ({ principal: 'alice', expiresAt }) });
    expect((await ending(soon)).expiresAt).toBe(soon.getTime());
    expect((await ending(hours(100))).expiresAt).toBe((await ending(soon)).certificate?.validTo);
  });

  it('that says nothing refuses, and the audit event knows whom', async () => {
    const refused = denied(await decision(alice, { validator: () => undefined }));
    expect(Denied.evaluation(refused).outcomes[0]).toMatchObject({
      status: 'refused',
      principal: { subject: 'alice' },
    });
  });

  it('is not asked about a certificate that is not trusted', async () => {
    const validator = vi.fn(() => ({ principal: 'anybody' }));
    await decision(selfSigned, { validator });
    expect(validator).not.toHaveBeenCalled();
  });
});

describe('a trust that fails', () => {
  it('lets nobody in', async () => {
    const broken = { verify: () => Promise.reject(new Error('broken')) } as unknown as CertificateTrust;
    expect((await decision(alice, { trust: broken })).granted).toBe(false);
    const nonsense = { verify: () => Promise.resolve({}) } as unknown as CertificateTrust;
    expect((await decision(alice, { trust: nonsense })).granted).toBe(false);
  });
});

import { dpop, type Verification } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { holdToSender } from '../../src/tokens/sender-constraint.js';
import { authRequest } from '../support/auth-request.js';
import { dpopKey, sha256 } from '../support/dpop.js';

const key = dpopKey();
const certificate = { der: new Uint8Array([48, 130, 1, 2, 3]) };
const otherCertificate = { der: new Uint8Array([48, 130, 1, 2, 4]) };
const x5t = sha256(certificate.der);

interface Presented {
  readonly as?: 'Bearer' | 'DPoP';
  readonly proof?: string;
  readonly clientCertificate?: { readonly der: Uint8Array };
  readonly dpop?: ReturnType<typeof dpop> | undefined;
}

/** Holds a token with these claims to how it was presented. */
function hold(claims: Record<string, unknown> | undefined, presented: Presented = {}): Promise<Verification> {
  const { as = 'Bearer', proof, clientCertificate } = presented;
  const request = authRequest({
    ...(proof === undefined ? {} : { header: { dpop: proof } }),
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
  });
  return holdToSender(
    { verified: true, principal: { subject: 'alice', claims } },
    'token',
    as,
    { schemeId: 'it', request, resource: undefined },
    'dpop' in presented ? presented.dpop : dpop(),
  );
}

const accepted = expect.objectContaining({ verified: true }) as Verification;
const invalid = expect.objectContaining({ verified: false, reason: 'invalid' }) as Verification;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a token that is not bound', () => {
  it.each([undefined, {}, { cnf: undefined }, { cnf: null }])('passes as it is: %j', async (claims) => {
    expect(await hold(claims)).toEqual(accepted);
    expect(await hold(claims, { dpop: undefined })).toEqual(accepted);
    expect(await hold(claims, { as: 'DPoP', proof: key.proof('token') })).toMatchObject({
      verified: false,
      error: 'invalid_token',
    });
    expect(await hold(claims, { dpop: dpop({ required: true }) })).toEqual(invalid);
  });
});

describe('a token that is bound in a way nobody knows', () => {
  it.each([
    {},
    [],
    '',
    'jkt',
    0,
    false,
    true,
    { kid: 'k' },
    { jwk: { kty: 'EC' } },
    { jwe: 'x' },
    { 'x5t#S1': 'x' },
    { jkt: undefined },
    { jkt: null },
    { jkt: 5 },
    { jkt: ['x'] },
    { 'x5t#S256': null },
    { 'x5t#S256': {} },
  ])('is refused: %j', async (cnf) => {
    const presented = { as: 'DPoP', proof: key.proof('token'), clientCertificate: certificate } as const;
    expect(await hold({ cnf }, presented)).toEqual(invalid);
    expect(await hold({ cnf })).toEqual(invalid);
    expect(await hold({ cnf }, { dpop: undefined })).toEqual(invalid);
  });

  it('is refused as well when another of its bonds is known', async () => {
    const presented = { as: 'DPoP', proof: key.proof('token'), clientCertificate: certificate } as const;
    expect(await hold({ cnf: { jkt: key.thumbprint, 'x5t#S256': 5 } }, presented)).toEqual(invalid);
    expect(await hold({ cnf: { jkt: null, 'x5t#S256': x5t } }, { clientCertificate: certificate })).toEqual(
      invalid,
    );
  });

  it('but members that mean nothing to us are passed over (RFC 7800 §3.1)', async () => {
    expect(await hold({ cnf: { 'x5t#S256': x5t, kid: 'k' } }, { clientCertificate: certificate })).toEqual(
      accepted,
    );
  });
});

describe('a token that is bound to a client certificate', () => {
  const claims = { cnf: { 'x5t#S256': x5t } };

  it('passes with that certificate', async () => {
    expect(await hold(claims, { clientCertificate: certificate })).toEqual(accepted);
    expect(await hold(claims, { clientCertificate: certificate, dpop: undefined })).toEqual(accepted);
  });

  it('is refused with another, and without', async () => {
    expect(await hold(claims, { clientCertificate: otherCertificate })).toEqual(invalid);
    expect(await hold(claims)).toEqual(invalid);
    expect(await hold(claims, { dpop: undefined })).toEqual(invalid);
    expect(await hold(claims, { as: 'DPoP', proof: key.proof('token') })).toEqual(invalid);
  });

  it.each([
    ['empty', ''],
    ['in hex', Buffer.from(x5t, 'base64url').toString('hex')],
    ['padded', `${x5t}=`],
    ['in another case', x5t.toUpperCase()],
    ['shortened', x5t.slice(0, 20)],
  ])('by a thumbprint that is %s is refused', async (_what, thumbprint) => {
    expect(await hold({ cnf: { 'x5t#S256': thumbprint } }, { clientCertificate: certificate })).toEqual(
      invalid,
    );
  });

  it('is refused where DPoP is required: a certificate is no key of a proof', async () => {
    const presented = { clientCertificate: certificate, dpop: dpop({ required: true }) };
    expect(await hold(claims, presented)).toEqual(invalid);
  });

  it('and came with DPoP is refused: there is no key to prove', async () => {
    const presented = { as: 'DPoP', proof: key.proof('token'), clientCertificate: certificate } as const;
    expect(await hold(claims, presented)).toEqual(invalid);
  });
});

describe('a token that is bound to a key', () => {
  const claims = { cnf: { jkt: key.thumbprint } };

  it('passes with a proof', async () => {
    expect(await hold(claims, { as: 'DPoP', proof: key.proof('token') })).toEqual(accepted);
  });

  it.each<[string, Presented]>([
    ['without a proof', { as: 'DPoP' }],
    ['with a bad proof', { as: 'DPoP', proof: key.proof('other token') }],
    ['with another’s proof', { as: 'DPoP', proof: dpopKey().proof('token') }],
    ['as a bearer token, with a proof', { proof: key.proof('token') }],
    ['as a bearer token', {}],
    ['where DPoP is not accepted', { as: 'DPoP', proof: key.proof('token'), dpop: undefined }],
    ['with a certificate instead', { clientCertificate: certificate }],
  ])('is refused %s', async (_what, presented) => {
    expect(await hold(claims, presented)).toEqual(invalid);
  });

  it('tells the challenge what is wrong', async () => {
    expect(await hold(claims, { as: 'DPoP' })).toMatchObject({ error: 'invalid_dpop_proof' });
    expect(
      await hold(claims, { as: 'DPoP', dpop: dpop({ nonce: true }), proof: key.proof('token') }),
    ).toMatchObject({
      error: 'use_dpop_nonce',
    });
  });
});

describe('a token that is bound to both', () => {
  const claims = { cnf: { jkt: key.thumbprint, 'x5t#S256': x5t } };
  const proof = () => key.proof('token');

  it('passes with both', async () => {
    expect(await hold(claims, { as: 'DPoP', proof: proof(), clientCertificate: certificate })).toEqual(
      accepted,
    );
  });

  it('is refused with one of them', async () => {
    expect(await hold(claims, { as: 'DPoP', proof: proof() })).toEqual(invalid);
    expect(await hold(claims, { as: 'DPoP', proof: proof(), clientCertificate: otherCertificate })).toEqual(
      invalid,
    );
    expect(await hold(claims, { as: 'DPoP', clientCertificate: certificate })).toEqual(invalid);
    expect(await hold(claims, { clientCertificate: certificate })).toEqual(invalid);
  });
});

describe('a refusal', () => {
  it('says for the log whose token it was', async () => {
    expect(await hold({ cnf: {} })).toMatchObject({ principal: { subject: 'alice' } });
  });
});

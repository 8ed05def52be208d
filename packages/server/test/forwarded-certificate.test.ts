import { createHash } from 'node:crypto';

import {
  AgentSecurity,
  httpBearer,
  MalformedCredential,
  type AuthRequest,
  type DecisionEvent,
  type ForwardedCertificateFormat,
  type ForwardedCertificateOptions,
  type PresentedCertificate,
  type SecurityScheme,
} from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { granted } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

const bytes = (text: string) => new TextEncoder().encode(text);

/** A proxy that writes plain text. */
const plainText: ForwardedCertificateFormat = {
  headers: ['X-Cert', 'X-Cert-Chain'],
  read(request) {
    const [value] = request.header('x-cert');
    if (value === 'odd') throw new MalformedCredential('The header "x-cert" is odd.');
    return value === undefined ? undefined : { der: bytes(value) };
  },
};

/** Takes every certificate for good, and names its caller by it. */
const anyCertificate: SecurityScheme<PresentedCertificate> = {
  declaration: { type: 'mutualTLS' },
  extract: (request) => request.clientCertificate,
  verify: ({ der, tlsError }) => ({
    verified: true,
    principal: { subject: new TextDecoder().decode(der), claims: { tlsError } },
  }),
};

const own: PresentedCertificate = { der: bytes('of the connection'), tlsError: 'CERT_HAS_EXPIRED' };

type Request = Parameters<typeof authRequest>[0] & { readonly peerAddress?: string };

function requestFrom({ peerAddress, ...rest }: Request): AuthRequest {
  return { ...authRequest(rest), peerAddress };
}

function securityWith(from: readonly string[] | undefined, scheme: SecurityScheme = anyCertificate) {
  const events: DecisionEvent[] = [];
  const security = new AgentSecurity({
    onDecision: (event) => events.push(event),
    ...(from === undefined ? {} : { forwardedCertificate: { from, format: plainText } }),
  })
    .addSecurityScheme('it', scheme)
    .addSecurityRequirement({ it: [] });
  return { security, events };
}

/** Whom an agent behind these proxies takes the caller for, and what it tells of the request. */
async function callerOf(from: readonly string[] | undefined, request: Request) {
  const { security, events } = securityWith(from);
  const decision = await security.authenticate(requestFrom(request));
  await security.conclude(decision, { operation: 'GetTask', binding: 'JSONRPC' });
  const [event] = events;
  return {
    subject: decision.granted ? decision.principal.subject : decision.reason,
    tlsError: decision.granted ? decision.principal.claims.tlsError : undefined,
    warnings: event?.warnings,
  };
}

const warn = vi.spyOn(process, 'emitWarning');
beforeEach(() => {
  warn.mockReset().mockReturnValue(undefined);
});
afterEach(() => {
  warn.mockReset();
});

const header = { 'x-cert': 'in the header' };

describe('a certificate in a header', () => {
  it('is the caller, when a proxy sent it', async () => {
    expect(await callerOf(['192.0.2.1'], { header, peerAddress: '192.0.2.1' })).toEqual({
      subject: 'in the header',
      tlsError: 'forwarded',
      warnings: [],
    });
  });

  it('means nothing without the option', async () => {
    const request = { header, peerAddress: '192.0.2.1' };
    expect(await callerOf(undefined, request)).toMatchObject({ subject: 'missing_credential', warnings: [] });
  });

  it('is ignored when somebody else sent it, and is told with its name and the address', async () => {
    expect(await callerOf(['192.0.2.1'], { header, peerAddress: '192.0.2.2' })).toEqual({
      subject: 'missing_credential',
      tlsError: undefined,
      warnings: [
        'The header "x-cert" of 192.0.2.2 was ignored: it is none of the proxies in forwardedCertificate.from.',
      ],
    });
  });

  it('of somebody else does not replace the certificate of the connection', async () => {
    const request = { header, peerAddress: '192.0.2.2', clientCertificate: own };
    expect(await callerOf(['192.0.2.1'], request)).toMatchObject({
      subject: 'of the connection',
      tlsError: 'CERT_HAS_EXPIRED',
    });
  });

  it('is told as well when it is another header of the format', async () => {
    const request = { header: { 'X-Cert-Chain': 'x' }, peerAddress: '192.0.2.2' };
    const { warnings } = await callerOf(['192.0.2.1'], request);
    expect(warnings).toEqual([expect.stringContaining('"x-cert-chain"')]);
  });

  it('is judged by the connection, never by an address that a header claims', async () => {
    const request = {
      header: { ...header, 'x-forwarded-for': '192.0.2.1', forwarded: 'for=192.0.2.1' },
      // As a framework may read it from such a header.
      remoteAddress: '192.0.2.1',
      peerAddress: '203.0.113.7',
    };
    expect(await callerOf(['192.0.2.1'], request)).toMatchObject({ subject: 'missing_credential' });
  });

  it('is ignored when nobody knows where it came from', async () => {
    expect(await callerOf(['192.0.2.1', '::1'], { header })).toMatchObject({
      subject: 'missing_credential',
      warnings: [expect.stringContaining('a peer without an address')],
    });
  });

  it('is refused when it is malformed', async () => {
    const request = { header: { 'x-cert': 'odd' }, peerAddress: '192.0.2.1' };
    expect(await callerOf(['192.0.2.1'], request)).toMatchObject({ subject: 'invalid_credential' });
  });

  it('is not even read when no scheme asks for a certificate', async () => {
    const { security } = securityWith(['192.0.2.1'], { ...anyCertificate, extract: () => own });
    const read = vi.spyOn(plainText, 'read');
    await security.authenticate(requestFrom({ header, peerAddress: '192.0.2.1' }));
    expect(read).not.toHaveBeenCalled();
    read.mockRestore();
  });

  it('makes the process warn once, with the name of the header and the address', async () => {
    const { security } = securityWith(['192.0.2.1']);
    for (const peerAddress of ['192.0.2.2', '192.0.2.3']) {
      await security.authenticate(requestFrom({ header, peerAddress }));
    }
    expect(warn.mock.calls).toEqual([
      [
        expect.stringMatching(/"x-cert" of 192\.0\.2\.2 was ignored/),
        { code: 'A2A_AUTH_FORWARDED_CERTIFICATE' },
      ],
    ]);
  });

  it('is kept out of what the executor sees, with all headers of its format', () => {
    const { security } = securityWith(['192.0.2.1']);
    expect([...security.secretHeaders]).toEqual(expect.arrayContaining(['x-cert', 'x-cert-chain']));
  });
});

describe("a proxy's own certificate", () => {
  it('is not taken for that of a caller who has none', async () => {
    const request = { peerAddress: '192.0.2.1', clientCertificate: own };
    expect(await callerOf(['192.0.2.1'], request)).toMatchObject({ subject: 'missing_credential' });
  });

  it('is not taken for that of a caller who has one', async () => {
    const request = { header, peerAddress: '192.0.2.1', clientCertificate: own };
    expect(await callerOf(['192.0.2.1'], request)).toMatchObject({ subject: 'in the header' });
  });
});

describe('a caller who comes directly', () => {
  it('is known by the certificate of the connection, also where there is a proxy', async () => {
    const request = { peerAddress: '192.0.2.2', clientCertificate: own };
    expect(await callerOf(['192.0.2.1'], request)).toMatchObject({
      subject: 'of the connection',
      warnings: [],
    });
  });
});

describe('the addresses of the proxies', () => {
  it.each([
    ['192.0.2.1', '::ffff:192.0.2.1'],
    ['192.0.2.1', '::ffff:c000:201'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['10.0.0.0/8', '10.255.255.255'],
    ['10.1.2.3/8', '10.9.9.9'],
    ['10.0.0.0/8', '::ffff:10.1.2.3'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['2001:DB8::/32', '2001:db8:ffff::1'],
  ])('%s has %s', async (from, peerAddress) => {
    expect(await callerOf([from], { header, peerAddress })).toMatchObject({ subject: 'in the header' });
  });

  it.each([
    ['192.0.2.1', '192.0.2.10'],
    ['192.0.2.1', '::192.0.2.1'],
    ['192.0.2.1', '64:ff9b::192.0.2.1'],
    ['10.0.0.0/8', '11.0.0.0'],
    ['10.0.0.1/32', '10.0.0.2'],
    ['::1', '127.0.0.1'],
    ['::1', '::2'],
    ['fe80::/10', 'fe80::1%eth0'],
    ['192.0.2.1', ''],
    ['192.0.2.1', 'unix:'],
    ['192.0.2.1', '192.0.2.1, 192.0.2.2'],
    ['127.0.0.1', '127.1'],
  ])('%s has not %s', async (from, peerAddress) => {
    expect(await callerOf([from], { header, peerAddress })).toMatchObject({ subject: 'missing_credential' });
  });

  it.each([
    [[]],
    [undefined],
    ['10.0.0.1'],
    [['proxy.internal']],
    [['10.0.0.1:8080']],
    [['10.0.0.0/33']],
    [['::1/129']],
    [['10.0.0.0/']],
    [['10.0.0.0/8/8']],
    [['10.0.0.0/-1']],
    [['10.0.0.0/1e1']],
    [['fe80::1%eth0']],
    [['unix']],
    [['']],
    [[undefined]],
    [['0.0.0.0/0']],
    [['::/0']],
  ])('%j are refused when the agent is made', (from) => {
    const options = { from, format: plainText } as unknown as ForwardedCertificateOptions;
    expect(() => new AgentSecurity({ forwardedCertificate: options })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });

  const read: ForwardedCertificateFormat['read'] = (request) => plainText.read(request);
  it.each([undefined, {}, { read }, { headers: [], read }])('need a format, and %o is none', (format) => {
    const options = { from: ['192.0.2.1'], format } as unknown as ForwardedCertificateOptions;
    expect(() => new AgentSecurity({ forwardedCertificate: options })).toThrow(/format must say/);
  });
});

describe('a token that is bound to a certificate (RFC 8705)', () => {
  const thumbprint = createHash('sha256').update('in the header').digest('base64url');
  const bound = httpBearer({
    verifier: {
      verify: () => ({
        verified: true,
        principal: { subject: 'ada', claims: { cnf: { 'x5t#S256': thumbprint } } },
      }),
    },
  });
  const authenticate = (request: Request) =>
    securityWith(['192.0.2.1'], bound).security.authenticate(
      requestFrom({ ...request, header: { authorization: 'Bearer token', ...request.header } }),
    );

  it('is granted with that certificate in the header of a proxy', async () => {
    const decision = await authenticate({ header, peerAddress: '192.0.2.1' });
    expect(granted(decision).principal.subject).toBe('ada');
  });

  it.each<[string, Request]>([
    ['with the certificate in the header of somebody else', { header, peerAddress: '192.0.2.2' }],
    ['with another certificate', { header: { 'x-cert': 'another' }, peerAddress: '192.0.2.1' }],
    ['with a malformed one', { header: { 'x-cert': 'odd' }, peerAddress: '192.0.2.1' }],
    ['without one', { peerAddress: '192.0.2.1' }],
    [
      "with the proxy's own certificate",
      { peerAddress: '192.0.2.1', clientCertificate: { der: bytes('in the header') } },
    ],
  ])('is refused %s', async (_what, request) => {
    expect(await authenticate(request)).toMatchObject({ granted: false, reason: 'invalid_credential' });
  });
});

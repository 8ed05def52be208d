import { certificateTrust, createDevelopmentPki, mutualTls, VerifierUnavailable } from '@a2a-auth/server';
import type { AgentSecurity, DecisionEvent, Operation, Permission, Verification } from '@a2a-auth/server';
import { X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { denied, granted, headerScheme, securityOf } from '../../packages/server/test/support/agent.js';
import { authRequest } from '../../packages/server/test/support/auth-request.js';

type Headers = Readonly<Record<string, string>>;
type Requirements = Parameters<typeof securityOf>[1];

/** A security that tells its decisions. */
function watched(schemes: Parameters<typeof securityOf>[0], requirements?: Requirements) {
  const events: DecisionEvent[] = [];
  const security = securityOf(schemes, requirements, { onDecision: (event) => events.push(event) });
  return { security, events };
}

const conclude = (security: AgentSecurity<string>, header: Headers, operation: Operation = 'GetTask') =>
  security
    .authenticate(authRequest({ header }))
    .then((decision) => security.conclude(decision, { operation, binding: 'JSONRPC' }));

afterEach(() => {
  vi.useRealTimers();
});

describe('a credential that ends while the body is sent, byte by byte', () => {
  const minute = (subject: string): Verification => ({
    verified: true,
    principal: { subject, expiresAt: Date.now() / 1000 + 60 },
  });

  async function concludeAfter(milliseconds: number, requirements?: Requirements, header: Headers = {}) {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { security, events } = watched(
      { short: headerScheme('x-short', minute), long: headerScheme('x-long') },
      requirements,
    );
    const provisional = await security.authenticate(authRequest({ header: { 'x-short': 'ada', ...header } }));
    expect(provisional.granted).toBe(true);
    vi.setSystemTime(Date.now() + milliseconds);
    const call = { operation: 'SendMessage', binding: 'JSONRPC' } as const;
    return { decision: await security.conclude(provisional, call), events };
  }

  it('is good up to its end', async () => {
    expect(granted((await concludeAfter(59_999)).decision).principal.subject).toBe('ada');
  });

  it('is good no longer, and the audit event knows whose it was', async () => {
    const { decision, events } = await concludeAfter(60_000);
    expect(denied(decision).reason).toBe('invalid_credential');
    expect(events[0]?.schemes[0]).toMatchObject({
      outcome: 'refused',
      reason: 'expired',
      principalId: 'scheme:short|ada',
    });
  });

  it('leaves the call to another alternative', async () => {
    const { decision } = await concludeAfter(60_000, [{ short: [] }, { long: [] }], { 'x-long': 'bob' });
    expect(granted(decision).principal.subject).toBe('bob');
  });

  it('takes its whole alternative with it', async () => {
    const { decision } = await concludeAfter(60_000, [{ short: [], long: [] }], { 'x-long': 'bob' });
    expect(denied(decision).reason).toBe('invalid_credential');
  });
});

describe('what the audit event tells of a credential that allows some calls', () => {
  /** Allows a call in company alone. */
  const withTenant = headerScheme('x-user', (subject) => ({
    verified: true,
    principal: { subject },
    permits: ({ principals }): Permission =>
      principals.size > 1 ? { permitted: true } : { permitted: false, detail: 'Not alone.' },
  }));
  const tenant = headerScheme('x-tenant');
  const alone = { user: [] };
  const together = { user: [], tenant: [] };
  const header = { 'x-user': 'ada', 'x-tenant': 'acme' };

  it.each([
    ['before', [alone, together]],
    ['after', [together, alone]],
  ])(
    'is what it did in the alternative that was met, with one that was not %s it',
    async (_, requirements) => {
      const { security, events } = watched({ user: withTenant, tenant }, requirements);
      granted(await conclude(security, header));
      expect(events[0]).toMatchObject({
        granted: true,
        principalId: 'scheme:user|ada',
        schemes: [{ schemeId: 'user', outcome: 'verified' }, { schemeId: 'tenant' }],
      });
    },
  );

  it('is that it refused, where another one opened', async () => {
    const { security, events } = watched({ user: withTenant, tenant }, [alone, { tenant: [] }]);
    expect(granted(await conclude(security, header)).principal.subject).toBe('acme');
    expect(events[0]?.schemes[0]).toMatchObject({ outcome: 'refused', reason: 'not_permitted' });
  });
});

describe('an operation that needs a caller, on an agent that is open to everyone', () => {
  const outcomes = {
    unavailable: () => {
      throw new VerifierUnavailable('down', { retryAfter: 7 });
    },
    invalid_credential: (): Verification => ({ verified: false, reason: 'invalid', detail: 'Wrong.' }),
    insufficient_scope: (subject: string): Verification => ({ verified: true, principal: { subject } }),
    not_permitted: (subject: string): Verification => ({
      verified: true,
      principal: { subject },
      permits: () => ({ permitted: false, detail: 'Never.' }),
    }),
  };

  it.each(Object.entries(outcomes))('is denied as %s by what was wrong', async (reason, verify) => {
    const seen = vi.fn(verify);
    const scopes = reason === 'insufficient_scope' ? ['card'] : [];
    const { security } = watched({ user: headerScheme('x-user', seen) }, [{ user: scopes }, {}]);
    expect(await conclude(security, { 'x-user': 'ada' }, 'GetExtendedAgentCard')).toMatchObject({
      granted: false,
      reason,
    });
    expect(seen).toHaveBeenCalledOnce();
    const elsewhere = await security.authenticateElsewhere(
      authRequest({ header: { 'x-user': 'ada' } }),
      'HTTP',
    );
    expect(elsewhere).toMatchObject({ granted: false, reason });
  });

  it('is denied for want of a credential, where there was none', async () => {
    const { security } = watched({ user: headerScheme('x-user') }, [{ user: [] }, {}]);
    expect(await conclude(security, {}, 'GetExtendedAgentCard')).toMatchObject({
      granted: false,
      reason: 'missing_credential',
    });
  });
});

describe('what is not a secret', () => {
  it('is told in the audit event: what the TLS layer found', async () => {
    const pki = await createDevelopmentPki({ clients: ['ada'] });
    try {
      const { certificate } = pki.clients.ada ?? { certificate: '' };
      const { raw } = new X509Certificate(await readFile(certificate));
      const { security, events } = watched({
        mtls: mutualTls({ trust: certificateTrust({ folder: pki.knownClients }) }),
      });
      const presented = { der: raw, tlsError: 'CERT_SIGNATURE_FAILURE' };
      const provisional = await security.authenticate(authRequest({ clientCertificate: presented }));
      await security.conclude(provisional, { operation: 'GetTask', binding: 'JSONRPC' });
      expect(events[0]?.schemes[0]?.detail).toBe(
        'The TLS layer did not accept the certificate: CERT_SIGNATURE_FAILURE.',
      );
    } finally {
      await rm(pki.folder, { recursive: true });
    }
  });
});

import {
  AgentSecurity,
  VerifierUnavailable,
  type Permission,
  type SecurityScheme,
  type Verification,
} from '@a2a-auth/server';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { Denied, Granted } from '../src/decision.js';
import { denied, granted, headerScheme, securityOf } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

type Permits = NonNullable<(Verification & { verified: true })['permits']>;

/** A scheme whose credential allows what `permits` says. */
const conditional = (name: string, permits: Permits): SecurityScheme<string> =>
  headerScheme(name, (subject) => ({ verified: true, principal: { subject }, permits }));

const nothing: Permits = () => ({ permitted: false, detail: 'This credential allows nothing.' });
const readingOnly: Permits = ({ operation }): Permission =>
  operation === 'GetTask' ? { permitted: true } : { permitted: false, detail: 'Reading only.' };

async function decided(
  security: ReturnType<typeof securityOf>,
  header: Record<string, string>,
  operation: 'GetTask' | 'CancelTask' = 'GetTask',
) {
  const provisional = await security.authenticate(authRequest({ header }));
  return security.conclude(provisional, { operation, binding: 'JSONRPC' });
}

const outcomesOf = (decision: Granted | Denied) =>
  (decision instanceof Granted ? Granted : Denied).evaluation(decision as never).outcomes;

describe('a credential that allows some calls', () => {
  const security = () => securityOf({ a: conditional('x-a', readingOnly) });

  it('lets those through', async () => {
    expect(await decided(security(), { 'x-a': 'alice' })).toMatchObject({ granted: true });
  });

  it('is genuine but does not permit the others', async () => {
    const decision = denied(await decided(security(), { 'x-a': 'alice' }, 'CancelTask'));
    expect(decision).toMatchObject({ reason: 'not_permitted', challenges: [expect.anything()] });
    expect(outcomesOf(decision)).toEqual([
      expect.objectContaining({
        status: 'refused',
        reason: 'not_permitted',
        detail: 'Reading only.',
        principal: expect.objectContaining({ subject: 'alice' }) as unknown,
      }),
    ]);
  });

  it('is asked of the principals of its whole alternative', async () => {
    const permits = vi.fn<Permits>(() => ({ permitted: true }));
    const both = securityOf({ a: conditional('x-a', permits), b: headerScheme('x-b') }, [{ a: [], b: [] }]);
    await decided(both, { 'x-a': 'alice', 'x-b': 'tenant' });
    expect(permits).toHaveBeenCalledOnce();
    expect(
      [...(permits.mock.calls[0]?.[0].principals ?? [])].map(([id, { subject }]) => [id, subject]),
    ).toEqual([
      ['a', 'alice'],
      ['b', 'tenant'],
    ]);
  });

  it('leaves the call to another alternative, which is verified only then', async () => {
    const verify = vi.fn((subject: string): Verification => ({ verified: true, principal: { subject } }));
    const either = securityOf({ a: conditional('x-a', nothing), b: headerScheme('x-b', verify) });
    const provisional = await either.authenticate(authRequest({ header: { 'x-a': 'alice', 'x-b': 'bob' } }));
    expect(verify).not.toHaveBeenCalled();
    const decision = granted(
      await either.conclude(provisional, { operation: 'GetTask', binding: 'JSONRPC' }),
    );
    expect(decision.principal.subject).toBe('bob');
    expect(outcomesOf(decision)[0]).toMatchObject({ status: 'refused', reason: 'not_permitted' });
  });

  it('may allow in one alternative what it does not in another', async () => {
    const withTenant: Permits = ({ principals }) =>
      principals.has('b') ? { permitted: true } : { permitted: false, detail: 'Not without the tenant.' };
    const security = securityOf({ a: conditional('x-a', withTenant), b: headerScheme('x-b') }, [
      { a: [] },
      { a: [], b: [] },
    ]);
    expect(await decided(security, { 'x-a': 'alice', 'x-b': 'tenant' })).toMatchObject({ granted: true });
    expect(await decided(security, { 'x-a': 'alice' })).toMatchObject({ reason: 'not_permitted' });
  });

  it('does not fall back to the anonymous alternative in silence: the caller loses its name there', async () => {
    const decision = granted(
      await decided(securityOf({ a: conditional('x-a', nothing) }, [{ a: [] }, {}]), { 'x-a': 'alice' }),
    );
    expect(decision.principals.size).toBe(0);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['true', true],
    ['a truthy permitted', { permitted: 1 }],
    ['an error', new Error('no')],
  ])('does not permit the call when its answer is %s', async (_, answer) => {
    const security = securityOf({ a: conditional('x-a', () => answer as Permission) });
    expect(await decided(security, { 'x-a': 'alice' })).toMatchObject({ reason: 'not_permitted' });
  });

  it.each<[string, Permits]>([
    [
      'throws',
      () => {
        throw new Error('quotes alice');
      },
    ],
    ['rejects', () => Promise.reject(new Error('quotes alice'))],
  ])('does not permit the call when it %s, and is not quoted', async (_, permits) => {
    const decision = denied(
      await decided(securityOf({ a: conditional('x-a', permits) }), { 'x-a': 'alice' }),
    );
    expect(decision.reason).toBe('not_permitted');
    expect(outcomesOf(decision)[0]).toMatchObject({ detail: 'Error: quotes [credential]' });
  });

  it('is unavailable when it cannot be asked now', async () => {
    const security = securityOf({
      a: conditional('x-a', () => {
        throw new VerifierUnavailable('down', { retryAfter: 7 });
      }),
    });
    expect(await decided(security, { 'x-a': 'alice' })).toMatchObject({
      reason: 'unavailable',
      retryAfter: 7,
    });
  });

  it('is unavailable when it does not settle', async () => {
    const never = conditional('x-a', () => new Promise<never>(() => undefined));
    const security = securityOf({ a: never }, undefined, { verificationTimeout: 5 });
    expect(await decided(security, { 'x-a': 'alice' })).toMatchObject({ reason: 'unavailable' });
  });

  it('is refused when its `permits` is no function', async () => {
    const odd = headerScheme('x-a', (subject) => ({
      verified: true,
      principal: { subject },
      permits: true as never,
    }));
    expect(await decided(securityOf({ a: odd }), { 'x-a': 'alice' })).toMatchObject({
      reason: 'invalid_credential',
    });
  });
});

describe('a login that must be fresh', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is looked at again when the body was read, which may have taken a while', async () => {
    vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
    const authTime = Date.now() / 1000;
    const scheme = headerScheme('x-a', (subject) => ({
      verified: true,
      principal: { subject, claims: { auth_time: authTime } },
    }));
    const security = new AgentSecurity<string>()
      .addSecurityScheme('a', scheme)
      .addSecurityRequirement({ a: [] }, { maxAge: 60 });
    const provisional = await security.authenticate(authRequest({ header: { 'x-a': 'alice' } }));
    expect(provisional.granted).toBe(true);
    const about = { operation: 'GetTask', binding: 'JSONRPC' } as const;
    vi.setSystemTime(Date.now() + 60_000);
    expect((await security.conclude(provisional, about)).granted).toBe(true);
    vi.setSystemTime(Date.now() + 1_000);
    expect(denied(await security.conclude(provisional, about)).reason).toBe('insufficient_authentication');
  });
});

describe('a credential that the connection proves, in a requirement that lacks another', () => {
  const proven = (verify?: SecurityScheme<string>['verify']) =>
    headerScheme('x-peer', verify, { provenByConnection: true });
  const security = (verify?: SecurityScheme<string>['verify']) =>
    securityOf({ peer: proven(verify), token: headerScheme('x-token') }, [{ peer: [], token: [] }]);

  it('is verified, so that the audit event knows the caller and the challenge names what lacks', async () => {
    const decision = denied(await decided(security(), { 'x-peer': 'peer-1' }));
    expect(decision.reason).toBe('missing_credential');
    expect(decision.challenges.map(({ params }) => params?.name)).toEqual(['x-token']);
    expect(outcomesOf(decision)[0]).toMatchObject({ status: 'verified', principal: { subject: 'peer-1' } });
  });

  it('is invalid when it is refused', async () => {
    const refused = () => ({ verified: false, reason: 'expired', detail: 'Over.' }) as const;
    expect(await decided(security(refused), { 'x-peer': 'peer-1' })).toMatchObject({
      reason: 'invalid_credential',
    });
  });

  it('is missing what lacks also while it cannot be verified', async () => {
    const unavailable = () => {
      throw new VerifierUnavailable('down');
    };
    expect(await decided(security(unavailable), { 'x-peer': 'peer-1' })).toMatchObject({
      reason: 'missing_credential',
    });
  });

  it('is not verified for other schemes', async () => {
    const verify = vi.fn((subject: string): Verification => ({ verified: true, principal: { subject } }));
    const plain = securityOf({ key: headerScheme('x-key', verify), token: headerScheme('x-token') }, [
      { key: [], token: [] },
    ]);
    await decided(plain, { 'x-key': 'k' });
    expect(verify).not.toHaveBeenCalled();
  });
});

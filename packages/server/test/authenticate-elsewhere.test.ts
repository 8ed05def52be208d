import { httpBearer, type DecisionEvent, type Verification } from '@a2a-auth/server';
import { describe, expect, it, vi } from 'vitest';

import { Denied, isFinal } from '../src/decision.js';
import { denied, granted, headerScheme, securityOf } from './support/agent.js';
import { authorization, authRequest } from './support/auth-request.js';

type Permits = NonNullable<(Verification & { verified: true })['permits']>;

const yes: Permits = () => ({ permitted: true });
const conditional = (name: string, permits: Permits = yes) =>
  headerScheme(name, (subject) => ({ verified: true, principal: { subject }, permits }));

describe('authenticateElsewhere()', () => {
  it('grants what the agent would grant', async () => {
    const decision = await securityOf({ a: headerScheme('x-a') }).authenticateElsewhere(
      authRequest({ header: { 'x-a': 'alice' } }),
      'HTTP',
    );
    expect(granted(decision).principal.id).toBe('scheme:a|alice');
  });

  it('denies what the agent would deny', async () => {
    const security = securityOf({ token: httpBearer({ validator: () => undefined }) });
    expect(denied(await security.authenticateElsewhere(authorization('Bearer x'), 'HTTP')).reason).toBe(
      'invalid_credential',
    );
  });

  it('denies a credential that allows some calls alone, without asking it', async () => {
    const permits = vi.fn(yes);
    const security = securityOf({ a: conditional('x-a', permits) });
    const decision = denied(
      await security.authenticateElsewhere(authRequest({ header: { 'x-a': 'alice' } }), 'HTTP'),
    );
    expect(decision.reason).toBe('not_permitted');
    expect(permits).not.toHaveBeenCalled();
    expect(Denied.evaluation(decision).outcomes).toMatchObject([
      { status: 'refused', reason: 'not_permitted', principal: { subject: 'alice' } },
    ]);
  });

  it('takes the alternative that allows every call', async () => {
    const security = securityOf({ a: conditional('x-a'), b: headerScheme('x-b') });
    const request = authRequest({ header: { 'x-a': 'alice', 'x-b': 'tenant' } });
    expect(granted(await security.authenticateElsewhere(request, 'HTTP')).principal.id).toBe(
      'scheme:b|tenant',
    );
  });

  it('lets the anonymous caller in nowhere', async () => {
    const security = securityOf({ a: headerScheme('x-a') }, [{ a: [] }, {}]);
    const decision = denied(await security.authenticateElsewhere(authRequest(), 'HTTP'));
    expect(decision).toMatchObject({ reason: 'missing_credential', challenges: [{ scheme: 'ApiKey' }] });
  });

  it('makes decisions that open nothing at the agent', async () => {
    const security = securityOf({ a: headerScheme('x-a') });
    const decision = await security.authenticateElsewhere(
      authRequest({ header: { 'x-a': 'alice' } }),
      'HTTP',
    );
    expect(granted(decision).principal.id).toBe('scheme:a|alice');
    expect(isFinal(decision, security, 'GetTask')).toBe(false);
  });

  it('is told to whoever listens', async () => {
    const events: DecisionEvent[] = [];
    const security = securityOf({ a: headerScheme('x-a') }, undefined, {
      onDecision: (event) => events.push(event),
    });
    await security.authenticateElsewhere(authRequest({ header: { 'x-a': 'alice' } }), 'HTTP');
    expect(events).toMatchObject([
      { operation: 'unknown', binding: 'HTTP', granted: true, principalId: 'scheme:a|alice' },
    ]);
  });
});

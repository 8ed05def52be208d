import diagnosticsChannel from 'node:diagnostics_channel';
import { inspect } from 'node:util';

import {
  AgentSecurity,
  DECISION_CHANNEL,
  MalformedCredential,
  VerifierUnavailable,
  apiKey,
  httpBasic,
  httpBearer,
  type DecisionEvent,
  type SecurityScheme,
} from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from 'vitest';

import { Denied, Granted } from '../src/decision.js';
import { headerScheme, securityOf } from './support/agent.js';
import { authorization, authRequest } from './support/auth-request.js';

const call = { operation: 'GetTask', binding: 'JSONRPC' } as const;

/** The events of one request to an agent with these schemes. */
async function eventsOf(
  schemes: Readonly<Record<string, SecurityScheme>>,
  request = authRequest(),
  requirements?: readonly Readonly<Record<string, readonly string[]>>[],
): Promise<DecisionEvent[]> {
  const events: DecisionEvent[] = [];
  const security = securityOf(schemes, requirements, { onDecision: (event) => events.push(event) });
  await security.conclude(await security.authenticate(request), call);
  return events;
}

describe('the decision event', () => {
  it('of a grant tells who was let in where', async () => {
    const request = authRequest({ header: { 'x-b': 'bob' }, remoteAddress: '192.0.2.1' });
    expect(await eventsOf({ a: headerScheme('x-a'), b: headerScheme('x-b') }, request)).toEqual([
      {
        time: expect.any(Number) as number,
        operation: 'GetTask',
        binding: 'JSONRPC',
        granted: true,
        reason: undefined,
        missingScopes: [],
        principalId: 'scheme:b|bob',
        schemes: [
          { schemeId: 'a', outcome: 'absent', reason: undefined, detail: undefined, principalId: undefined },
          {
            schemeId: 'b',
            outcome: 'verified',
            reason: undefined,
            detail: undefined,
            principalId: 'scheme:b|bob',
          },
        ],
        remoteAddress: '192.0.2.1',
        durationMs: expect.any(Number) as number,
        warnings: [],
      },
    ]);
  });

  it('of a grant tells which of the caller’s credentials it was, where the scheme says so', async () => {
    const keys = ['one', 'two'].map((name) => ({
      key: `key-${name}-0123456789`,
      id: name,
      owner: 'partner',
    }));
    const schemes = { key: apiKey({ in: 'header', name: 'X-Key', keys }) };
    const [event] = await eventsOf(schemes, authRequest({ header: { 'x-key': 'key-two-0123456789' } }));
    expect(event?.schemes).toMatchObject([
      { outcome: 'verified', principalId: 'scheme:key|partner', detail: 'The key is "two".' },
    ]);
  });

  it('has no credential in it, whatever the scheme says of a good one', async () => {
    const careless = headerScheme('x-a', (subject) => ({
      verified: true,
      principal: { subject: 'alice' },
      detail: `It is ${subject}.`,
    }));
    const [event] = await eventsOf({ careless }, authRequest({ header: { 'x-a': 's3cret' } }));
    expect(event?.schemes).toMatchObject([{ outcome: 'verified', detail: 'It is [credential].' }]);
  });

  it('of a login that is too weak tells what login it was', async () => {
    const scheme = headerScheme('x-a', (subject) => ({
      verified: true,
      principal: { subject, claims: { acr: 'password' } },
    }));
    const events: DecisionEvent[] = [];
    const security = new AgentSecurity<string>({ onDecision: (event) => events.push(event) })
      .addSecurityScheme('a', scheme)
      .addSecurityRequirement({ a: [] }, { acrValues: ['mfa'] });
    await security.conclude(await security.authenticate(authRequest({ header: { 'x-a': 'alice' } })), call);
    expect(events).toMatchObject([
      {
        reason: 'insufficient_authentication',
        schemes: [{ outcome: 'verified', detail: 'Its acr is "password", and its auth_time missing.' }],
      },
    ]);
  });

  it.each([1n, () => 'mfa', { toJSON: () => undefined }, Symbol('mfa')])(
    'is told of a login whose acr no JSON can have: case %#',
    async (acr) => {
      const scheme = headerScheme('x-a', (subject) => ({
        verified: true,
        principal: { subject, claims: { acr } },
      }));
      const onDecision = vi.fn<(event: DecisionEvent) => void>();
      const security = new AgentSecurity<string>({ onDecision })
        .addSecurityScheme('a', scheme)
        .addSecurityRequirement({ a: [] }, { acrValues: ['mfa'] });
      await security.conclude(await security.authenticate(authRequest({ header: { 'x-a': 'alice' } })), call);
      expect(onDecision.mock.calls[0]?.[0].schemes).toMatchObject([
        { detail: 'Its acr is neither text nor a number, and its auth_time missing.' },
      ]);
    },
  );

  it('of a denial tells what became of each scheme, and whose credential it was', async () => {
    const schemes = {
      expired: headerScheme('x-a', (subject) => ({
        verified: false,
        reason: 'expired',
        detail: 'exp was yesterday',
        principal: { subject },
      })),
      down: headerScheme('x-b', () => Promise.reject(new VerifierUnavailable('ECONNREFUSED'))),
      unused: headerScheme('x-c'),
      odd: headerScheme('x-d', undefined, {
        extract: () => {
          throw new MalformedCredential('two of them');
        },
      }),
    };
    const request = authRequest({ header: { 'x-a': 'alice', 'x-b': 'bob', 'x-c': 'carol' } });
    const { odd: _odd, ...wellFormed } = schemes;
    const [event] = await eventsOf(wellFormed, request, [
      { expired: [] },
      { down: [] },
      { expired: [], unused: [] },
    ]);
    expect(event).toMatchObject({
      granted: false,
      reason: 'unavailable',
      principalId: undefined,
      schemes: [
        {
          schemeId: 'expired',
          outcome: 'refused',
          reason: 'expired',
          detail: 'exp was yesterday',
          principalId: 'scheme:expired|alice',
        },
        { schemeId: 'down', outcome: 'unavailable', detail: 'VerifierUnavailable: ECONNREFUSED' },
        { schemeId: 'unused', outcome: 'not_verified' },
      ],
    });
    const [malformed] = await eventsOf(schemes, request);
    expect(malformed?.schemes[3]).toMatchObject({
      outcome: 'malformed',
      detail: 'two of them',
    });
  });

  it('names the scopes that lack', async () => {
    const request = authRequest({ header: { 'x-a': 'alice' } });
    const [event] = await eventsOf({ a: headerScheme('x-a') }, request, [{ a: ['write'] }]);
    expect(event).toMatchObject({ reason: 'insufficient_scope', missingScopes: ['write'] });
  });

  it('comes once a decision, to the hook and on the channel', async () => {
    const published: unknown[] = [];
    const subscriber = (event: unknown) => published.push(event);
    diagnosticsChannel.subscribe(DECISION_CHANNEL, subscriber);
    try {
      const events = await eventsOf({ a: headerScheme('x-a') });
      expect(events).toHaveLength(1);
      expect(published).toEqual(events);
    } finally {
      diagnosticsChannel.unsubscribe(DECISION_CHANNEL, subscriber);
    }
  });

  it('comes on the channel without a hook, with the duration', async () => {
    const published: unknown[] = [];
    const subscriber = (event: unknown) => published.push(event);
    diagnosticsChannel.subscribe(DECISION_CHANNEL, subscriber);
    try {
      const security = securityOf({ a: headerScheme('x-a') });
      await security.conclude(await security.authenticate(authRequest()), call);
      expect(published).toEqual([expect.objectContaining({ durationMs: expect.any(Number) as number })]);
    } finally {
      diagnosticsChannel.unsubscribe(DECISION_CHANNEL, subscriber);
    }
  });

  it('comes of the decision that takes effect: no anonymous caller gets the extended card', async () => {
    const events: DecisionEvent[] = [];
    const security = securityOf({ a: headerScheme('x-a') }, [{ a: [] }, {}], {
      onDecision: (event) => events.push(event),
    });
    const provisional = await security.authenticate(authRequest());
    await security.conclude(provisional, { operation: 'GetExtendedAgentCard', binding: 'JSONRPC' });
    expect(events).toEqual([
      expect.objectContaining({
        granted: false,
        reason: 'missing_credential',
        operation: 'GetExtendedAgentCard',
      }),
    ]);
  });

  it('comes without the address where that cannot be told', async () => {
    const request = {
      ...authRequest({ header: { 'x-a': 'alice' } }),
      get remoteAddress(): string {
        throw new Error('The connection is gone.');
      },
    };
    expect(await eventsOf({ a: headerScheme('x-a') }, request)).toMatchObject([
      { granted: true, remoteAddress: undefined },
    ]);
  });

  it('cannot be changed by one listener for the next', async () => {
    const [event] = await eventsOf({ a: headerScheme('x-a') });
    expect(Object.isFrozen(event)).toBe(true);
  });
});

describe('without a listener', () => {
  it('no time is taken', async () => {
    const now = vi.spyOn(performance, 'now');
    try {
      const security = securityOf({ a: headerScheme('x-a') });
      const decision = await security.authenticate(authRequest({ header: { 'x-a': 'alice' } }));
      await security.conclude(decision, call);
      expect(now).not.toHaveBeenCalled();
      const evaluation = decision.granted ? Granted.evaluation(decision) : Denied.evaluation(decision);
      expect(evaluation.durationMs).toBeUndefined();
    } finally {
      now.mockRestore();
    }
  });

  it('no event is made: the remote address is never asked for', async () => {
    const request = authRequest();
    const remoteAddress = vi.fn(() => '192.0.2.1');
    Object.defineProperty(request, 'remoteAddress', { get: remoteAddress });
    const security = securityOf({ a: headerScheme('x-a') });
    await security.conclude(await security.authenticate(request), call);
    expect(remoteAddress).not.toHaveBeenCalled();
  });
});

describe('a secret in the event', () => {
  const shown = (events: readonly DecisionEvent[]) => inspect(events, { depth: null, showHidden: true });
  const token = 'c2VjcmV0LXRva2Vu';

  it.each<[string, SecurityScheme<string>['verify']]>([
    [
      'the detail of a refusal',
      (given) => ({ verified: false, reason: 'invalid', detail: `unknown token ${given}` }),
    ],
    [
      'an exception',
      (given) => {
        throw new Error(`cannot parse ${given}`);
      },
    ],
    [
      'an unavailable verifier',
      (given) => Promise.reject(new VerifierUnavailable(`GET /introspect?token=${given}`)),
    ],
  ])('quoted by %s is blotted out', async (_what, verify) => {
    const events = await eventsOf(
      { a: headerScheme('x-a', verify) },
      authRequest({ header: { 'x-a': token } }),
    );
    expect(shown(events)).toContain('[credential]');
    expect(shown(events)).not.toContain(token);
  });

  it('quoted by a bearer validator is blotted out', async () => {
    const scheme = httpBearer({
      validator: (given) => {
        throw new Error(`no such token: ${given}`);
      },
    });
    expect(shown(await eventsOf({ a: scheme }, authorization(`Bearer ${token}`)))).not.toContain(token);
  });

  it.each([
    ['alice', 'correct horse'],
    ['bob', 'bob-the-builder'],
    ['a', 'aha'],
  ])('that is the password of %s is blotted out whole', async (username, password) => {
    const scheme = httpBasic({
      validator: (given) => {
        throw new Error(`no match: <${given.password}>`);
      },
    });
    const field = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const [event] = await eventsOf({ a: scheme }, authorization(field));
    expect(/<(.*)>/.exec(event?.schemes[0]?.detail ?? '')?.[1]).not.toMatch(/horse|builder|h/);
  });

  it('quoted by a scheme that fails to extract it is left out', async () => {
    const scheme = headerScheme('x-a', undefined, {
      extract: (request) => {
        throw new SyntaxError(`unexpected ${String(request.header('x-a'))}`);
      },
    });
    const events = await eventsOf({ a: scheme }, authRequest({ header: { 'x-a': token } }));
    expect(events[0]?.schemes[0]?.outcome).toBe('malformed');
    expect(shown(events)).not.toContain(token);
  });

  it('that was malformed is not there', async () => {
    const events = await eventsOf(
      { a: httpBearer({ validator: () => undefined }) },
      authorization(`Bearer ${token} ${token}`),
    );
    expect(events[0]?.schemes[0]?.outcome).toBe('malformed');
    expect(shown(events)).not.toContain(token);
  });
});

it('has one line of bounded length for what a caller may have written', async () => {
  const quoting = headerScheme('x-a', () => ({
    verified: false,
    reason: 'invalid',
    detail: `"x" ok\n2026-11-29 INFO granted \u001b[2K\u2028${'y'.repeat(5000)}`,
  }));
  const [event] = await eventsOf({ a: quoting }, authRequest({ header: { 'x-a': 'alice' } }));
  const { detail } = event?.schemes[0] ?? {};
  expect(detail).toMatch(/^"x" ok.2026-11-29 INFO granted .\[2K.y+$/);
  expect(detail).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  expect(detail).toHaveLength(1000);
});

describe('a hook that fails', () => {
  let warnings: MockInstance;
  beforeEach(() => {
    warnings = vi.spyOn(process, 'emitWarning').mockReturnValue();
  });
  afterEach(() => {
    warnings.mockRestore();
  });

  const decideWith = async (onDecision: () => unknown) => {
    const security = securityOf({ a: headerScheme('x-a') }, undefined, { onDecision });
    const decision = await security.authenticate(authRequest({ header: { 'x-a': 'alice' } }));
    return security.conclude(decision, call);
  };

  it('changes no decision, and is warned of', async () => {
    const decision = await decideWith(() => {
      throw new Error('disk full');
    });
    expect(decision.granted).toBe(true);
    expect(warnings).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('disk full'), {
      code: 'A2A_AUTH_ON_DECISION',
    });
  });

  it('with something that cannot be read changes no decision either', async () => {
    const decision = await decideWith(() => {
      throw Object.create(null);
    });
    expect(decision.granted).toBe(true);
    expect(warnings).toHaveBeenCalledOnce();
  });

  it('asynchronously does not bring the process down, and is warned of', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    try {
      const decision = await decideWith(() => Promise.reject(new Error('disk full')));
      expect(decision.granted).toBe(true);
      await new Promise(setImmediate);
      expect(unhandled).not.toHaveBeenCalled();
      expect(warnings).toHaveBeenCalledOnce();
    } finally {
      process.off('unhandledRejection', unhandled);
    }
  });
});

import {
  MalformedCredential,
  TooManyAttempts,
  VerifierUnavailable,
  type Challenge,
  type Decision,
  type SecurityScheme,
  type Verification,
} from '@a2a-auth/server';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { renderChallenge } from '../src/challenge.js';
import { denied, granted, headerScheme, securityOf } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

const SCOPES = ['read', 'write', 'admin'];
const IDS = ['s0', 's1', 's2', 's3', 's4', 's5'];
const GARBAGE: readonly unknown[] = [
  true,
  undefined,
  null,
  'yes',
  1,
  [],
  {},
  { authenticated: true },
  { verified: 'true', principal: { subject: 'x' } },
  { verified: true },
  { verified: true, principal: { subject: '' } },
  { verified: true, principal: { subject: 'x' }, scopes: 'read write admin' },
];

/** What happens to one scheme in one request. */
type Fate =
  | { kind: 'absent' | 'malformed' | 'unavailable' | 'too many' | 'throws' | 'never settles' }
  | { kind: 'verified'; scopes: readonly string[] }
  | { kind: 'refused'; reason: 'invalid' | 'expired' | 'revoked' | 'not_permitted' }
  | { kind: 'garbage'; answer: unknown };

interface Case {
  readonly fates: readonly Fate[];
  readonly requirements: readonly Readonly<Record<string, readonly string[]>>[];
}

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('verified'), scopes: fc.subarray(SCOPES) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'absent' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('refused'),
      reason: fc.constantFrom('invalid', 'expired', 'revoked', 'not_permitted'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('unavailable', 'too many', 'throws', 'never settles') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('garbage'), answer: fc.constantFrom(...GARBAGE) }) },
);

const requirement = (ids: readonly string[]) =>
  fc
    .tuple(
      fc.subarray([...ids]),
      fc.array(fc.subarray(SCOPES), { minLength: ids.length, maxLength: ids.length }),
    )
    .map(([named, scopes]) => Object.fromEntries(named.map((id, index) => [id, scopes[index] ?? []])));

const someCase: fc.Arbitrary<Case> = fc.integer({ min: 2, max: 6 }).chain((count) =>
  fc
    .record({
      fates: fc.array(fate, { minLength: count, maxLength: count }),
      // A malformed credential decides everything, so it comes seldom and to one scheme.
      malformed: fc.option(fc.nat(count - 1), { freq: 6 }),
      requirements: fc.array(requirement(IDS.slice(0, count)), { maxLength: 6 }),
    })
    .map(({ fates, malformed, requirements }) => ({
      fates: fates.map((given, index) => (index === malformed ? { kind: 'malformed' as const } : given)),
      requirements,
    })),
);

/** What the whole policy comes to, by the naive model. */
type Expected = { granted: true; principal: string } | { granted: false; reason: string };

/**
 * OR of ANDs, written as one would explain it: no short cuts, no state, and nothing of the engine's.
 */
function model({ fates, requirements }: Case): Expected {
  const indexOf = (id: string) => IDS.indexOf(id);
  const fateOf = (id: string) => fates[indexOf(id)] as Fate;
  const alternatives = requirements.length === 0 ? [{}] : requirements;

  const named = alternatives.flatMap((alternative) => Object.keys(alternative));
  if (named.some((id) => fateOf(id).kind === 'malformed'))
    return { granted: false, reason: 'invalid_credential' };

  const resultOf = (id: string, scopes: readonly string[]): string => {
    const it = fateOf(id);
    if (it.kind === 'absent') return 'missing_credential';
    if (it.kind === 'verified') {
      return scopes.every((scope) => it.scopes.includes(scope)) ? 'met' : 'insufficient_scope';
    }
    if (it.kind === 'refused' && it.reason === 'not_permitted') return 'not_permitted';
    if (it.kind === 'unavailable' || it.kind === 'never settles') return 'unavailable';
    if (it.kind === 'too many') return 'too_many_attempts';
    return 'invalid_credential';
  };
  const resultsOf = (alternative: Readonly<Record<string, readonly string[]>>) =>
    Object.entries(alternative).map(([id, scopes]) => resultOf(id, scopes));

  const isAnonymous = (alternative: object) => Object.keys(alternative).length === 0;
  const inOrder = [
    ...alternatives.filter((alternative) => !isAnonymous(alternative)),
    ...alternatives.filter((alternative) => isAnonymous(alternative)),
  ];
  const met = inOrder.find((alternative) => resultsOf(alternative).every((result) => result === 'met'));
  if (met !== undefined) {
    const [first] = Object.keys(met).sort((one, other) => indexOf(one) - indexOf(other));
    return {
      granted: true,
      principal: first === undefined ? 'anonymous' : `scheme:${first}|user of ${first}`,
    };
  }

  const nearness = [
    'missing_credential',
    'invalid_credential',
    'unavailable',
    'too_many_attempts',
    'insufficient_scope',
    'not_permitted',
  ];
  const reasons = inOrder.map((alternative) => {
    const failures = resultsOf(alternative).filter((result) => result !== 'met');
    return nearness.find((reason) => failures.includes(reason)) ?? '';
  });
  const reason = nearness.findLast((candidate) => reasons.includes(candidate));
  return { granted: false, reason: reason ?? 'missing_credential' };
}

function fateful(id: string, it: Fate, mode: 'sync' | 'async') {
  let calls = 0;
  const answer = (value: unknown) => (mode === 'sync' ? value : Promise.resolve(value)) as Verification;
  const failure = (error: Error) => {
    if (mode === 'async') return Promise.reject(error);
    throw error;
  };
  const scheme: SecurityScheme<string> = {
    declaration: { type: 'apiKey', in: 'header', name: `x-${id}` },
    extract() {
      if (it.kind === 'malformed') throw new MalformedCredential('There are two of it.');
      return it.kind === 'absent' ? undefined : `credential of ${id}`;
    },
    verify() {
      calls += 1;
      const subject = `user of ${id}`;
      switch (it.kind) {
        case 'verified':
          return answer({ verified: true, principal: { subject }, scopes: it.scopes });
        case 'refused':
          return answer({ verified: false, reason: it.reason, detail: 'refused', principal: { subject } });
        case 'unavailable':
          return failure(new VerifierUnavailable('The provider is down.'));
        case 'too many':
          return failure(new TooManyAttempts('Slow down.', { retryAfter: 7 }));
        case 'throws':
          return failure(new Error('A bug.'));
        case 'garbage':
          return answer(it.answer);
        case 'never settles':
          return new Promise<Verification>(() => undefined);
        case 'absent':
        case 'malformed':
          throw new Error('verify() was called without a credential');
      }
    },
  };
  return { scheme, calls: () => calls };
}

async function run({ fates, requirements }: Case, mode: 'sync' | 'async') {
  const built = fates.map((it, index) => fateful(`s${index}`, it, mode));
  const security = securityOf(
    Object.fromEntries(built.map(({ scheme }, index) => [`s${index}`, scheme])),
    requirements,
    { allowAnonymous: true, verificationTimeout: 50 },
  );
  const pending = security.authenticate(authRequest());
  if (fates.some((it) => it.kind === 'never settles')) await vi.runAllTimersAsync();
  return { decision: await pending, calls: built.map(({ calls }) => calls()) };
}

function outcome(decision: Decision): Expected {
  return decision.granted
    ? { granted: true, principal: decision.principal.id }
    : { granted: false, reason: decision.reason };
}

const RUNS = { numRuns: 2500 };

describe('the policy, against a naive model of OR-of-ANDs', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('grants and denies as the model does, for the same reason and to the same principal', async () => {
    await fc.assert(
      fc.asyncProperty(someCase, fc.constantFrom('sync', 'async'), async (given, mode) => {
        const { decision } = await run(given, mode);
        expect(outcome(decision)).toEqual(model(given));
      }),
      RUNS,
    );
  });

  it('decides alike whether schemes verify synchronously or not', async () => {
    await fc.assert(
      fc.asyncProperty(someCase, async (given) => {
        const [sync, async] = [await run(given, 'sync'), await run(given, 'async')];
        expect(outcome(sync.decision)).toEqual(outcome(async.decision));
      }),
      RUNS,
    );
  });

  it('verifies a scheme at most once, and only where all credentials of an alternative are present', async () => {
    await fc.assert(
      fc.asyncProperty(someCase, async (given) => {
        const { calls } = await run(given, 'async');
        const present = (id: string) =>
          !['absent', 'malformed'].includes(given.fates[IDS.indexOf(id)]?.kind ?? 'absent');
        const worthwhile = given.requirements
          .map((one) => Object.keys(one))
          .filter((ids) => ids.every(present));
        calls.forEach((count, index) => {
          expect(count).toBeLessThanOrEqual(worthwhile.flat().includes(`s${index}`) ? 1 : 0);
        });
      }),
      RUNS,
    );
  });

  it('challenges each scheme once, and not at all when the caller need only wait', async () => {
    await fc.assert(
      fc.asyncProperty(someCase, async (given) => {
        const { decision } = await run(given, 'sync');
        if (decision.granted) return;
        const rendered = decision.challenges.map(renderChallenge);
        expect(new Set(rendered).size).toBe(rendered.length);
        const temporary = decision.reason === 'unavailable' || decision.reason === 'too_many_attempts';
        expect(rendered.length > 0).toBe(!temporary);
        expect(decision.retryAfter !== undefined).toBe(temporary);
      }),
      RUNS,
    );
  });

  it('names missing scopes with insufficient_scope alone, all of them asked by one alternative', async () => {
    await fc.assert(
      fc.asyncProperty(someCase, async (given) => {
        const { decision } = await run(given, 'sync');
        if (decision.granted) return;
        expect(decision.missingScopes.length > 0).toBe(decision.reason === 'insufficient_scope');
        const asked = given.requirements.map((one) => Object.values(one).flat());
        expect(
          decision.missingScopes.length === 0 ||
            asked.some((scopes) => decision.missingScopes.every((scope) => scopes.includes(scope))),
        ).toBe(true);
        expect(new Set(decision.missingScopes).size).toBe(decision.missingScopes.length);
      }),
      RUNS,
    );
  });

  it('tells of a grant exactly the principals of the alternative that was met', async () => {
    await fc.assert(
      fc.asyncProperty(someCase, async (given) => {
        const { decision } = await run(given, 'async');
        if (!decision.granted) return;
        const met = given.requirements.length === 0 ? [{}] : given.requirements;
        const names = [...decision.principals.keys()];
        expect(met.some((one) => String(Object.keys(one).sort()) === String(names))).toBe(true);
        expect(names).toEqual([...names].sort());
      }),
      RUNS,
    );
  });
});

const refuse =
  (reason: 'invalid' | 'not_permitted'): SecurityScheme<string>['verify'] =>
  () => ({ verified: false, reason, detail: 'no' });

const allow =
  (...scopes: string[]): SecurityScheme<string>['verify'] =>
  (subject) => ({ verified: true, principal: { subject }, scopes });

describe('an alternative', () => {
  const both = authRequest({ header: { 'x-a': 'alice', 'x-b': 'bob' } });

  it('of two schemes is not met by one of them', async () => {
    const security = securityOf({ a: headerScheme('x-a'), b: headerScheme('x-b') }, [{ a: [], b: [] }]);
    const decision = await security.authenticate(authRequest({ header: { 'x-a': 'alice' } }));
    expect(denied(decision).reason).toBe('missing_credential');
  });

  it('names the scheme registered first as the caller, whatever the order in the requirement', async () => {
    const security = securityOf({ a: headerScheme('x-a'), b: headerScheme('x-b') }, [{ b: [], a: [] }]);
    expect(granted(await security.authenticate(both)).principal.subject).toBe('alice');
  });

  it('that is anonymous gives way to one that names the caller, wherever it is declared', async () => {
    const security = securityOf({ a: headerScheme('x-a') }, [{}, { a: [] }]);
    expect(granted(await security.authenticate(both)).principal.id).toBe('scheme:a|alice');
  });

  it('that is anonymous lets a caller in whose credentials are wrong', async () => {
    const security = securityOf({ a: headerScheme('x-a', refuse('invalid')) }, [{ a: [] }, {}]);
    expect(granted(await security.authenticate(both)).principal.id).toBe('anonymous');
  });

  it('is refused for a wrong credential though another verifier of it is down', async () => {
    const down = () => Promise.reject(new VerifierUnavailable('down'));
    const security = securityOf({ a: headerScheme('x-a', down), b: headerScheme('x-b', refuse('invalid')) }, [
      { a: [], b: [] },
    ]);
    expect(denied(await security.authenticate(both)).reason).toBe('invalid_credential');
  });

  it('is given up with its first refusal: the rest of it costs nothing', async () => {
    const verify = vi.fn(allow());
    const schemes = { a: headerScheme('x-a', refuse('invalid')), b: headerScheme('x-b', verify) };
    await securityOf(schemes, [{ a: [], b: [] }]).authenticate(both);
    expect(verify).not.toHaveBeenCalled();
  });

  it('that lacks scopes says which, though another of its schemes does not permit the call', async () => {
    const security = securityOf(
      { a: headerScheme('x-a', allow('read')), b: headerScheme('x-b', refuse('not_permitted')) },
      [{ a: ['read', 'write'], b: [] }],
    );
    const decision = denied(await security.authenticate(both));
    expect(decision).toMatchObject({ reason: 'insufficient_scope', missingScopes: ['write'] });
    expect(decision.challenges.map((challenge) => challenge.params?.name)).toEqual(['x-a']);
  });

  it('that lacks fewest scopes is the one whose lack is told', async () => {
    const security = securityOf({ a: headerScheme('x-a', allow('read')) }, [
      { a: ['read', 'write', 'admin'] },
      { a: ['admin'] },
    ]);
    expect(denied(await security.authenticate(both)).missingScopes).toEqual(['admin']);
  });
});

describe('a malformed credential', () => {
  const malformed = headerScheme('x-a', allow(), {
    extract: () => {
      throw new MalformedCredential('two of them');
    },
  });

  it('shuts out a caller who meets another alternative', async () => {
    const security = securityOf({ a: malformed, b: headerScheme('x-b') });
    const decision = await security.authenticate(authRequest({ header: { 'x-b': 'bob' } }));
    expect(denied(decision).reason).toBe('invalid_credential');
  });

  it('of a scheme that no requirement names is not looked at', async () => {
    const security = securityOf({ a: malformed, b: headerScheme('x-b') }, [{ b: [] }]);
    const decision = await security.authenticate(authRequest({ header: { 'x-b': 'bob' } }));
    expect(decision.granted).toBe(true);
  });
});

describe('a verifier', () => {
  const request = authRequest({ header: { 'x-a': 'alice' } });
  const decide = (verify: SecurityScheme<string>['verify']) =>
    securityOf({ a: headerScheme('x-a', verify) }).authenticate(request);

  it.each([
    ['an error', new Error('bug')],
    ['a string', 'no'],
    ['undefined', undefined],
    ['an object that has no string form', Object.create(null) as object],
    [
      'an error whose message cannot be read',
      Object.defineProperty(new Error(), 'message', { get: () => Symbol('x') }),
    ],
  ])('that throws %s denies', async (_what, thrown) => {
    const decision = await decide(() => {
      throw thrown as Error;
    });
    expect(denied(decision).reason).toBe('invalid_credential');
  });

  it('that says when to try again is believed', async () => {
    const decision = await decide(() => {
      throw new VerifierUnavailable('down', { retryAfter: 42 });
    });
    expect(denied(decision).retryAfter).toBe(42);
  });

  it.each([Number.NaN, Infinity, -1])(
    'that says to try again after %s seconds gets a sensible time instead',
    async (retryAfter) => {
      const decision = await decide(() => {
        throw new VerifierUnavailable('down', { retryAfter });
      });
      expect(denied(decision).retryAfter).toSatisfy(
        (seconds) => Number.isInteger(seconds) && Number(seconds) >= 1,
      );
    },
  );

  it('that vouches for a credential which has ended is not believed', async () => {
    const decision = await decide((subject) => ({ verified: true, principal: { subject, expiresAt: 1 } }));
    expect(denied(decision).reason).toBe('invalid_credential');
  });

  it('that vouches until a time in milliseconds is not believed', async () => {
    const decision = await decide((subject) => ({
      verified: true,
      principal: { subject, expiresAt: Date.now() + 60_000 },
    }));
    expect(denied(decision).reason).toBe('invalid_credential');
  });
});

describe('the time for a verification', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const request = authRequest({ header: { 'x-a': 'alice' } });
  const slow: SecurityScheme<string>['verify'] = (subject) =>
    new Promise((resolve) => {
      setTimeout(resolve, 1000, { verified: true, principal: { subject } });
    });
  const within = (verificationTimeout: number) =>
    securityOf({ a: headerScheme('x-a', slow) }, [{ a: [] }], { verificationTimeout }).authenticate(request);

  it('is up before a slow verifier answers: unavailable', async () => {
    const pending = within(999);
    await vi.advanceTimersByTimeAsync(999);
    expect(denied(await pending).reason).toBe('unavailable');
  });

  it('leaves a verifier that answers in it alone', async () => {
    const pending = within(1001);
    await vi.advanceTimersByTimeAsync(1000);
    expect((await pending).granted).toBe(true);
  });

  it('asks a verifier once, also one that would begin anew with each `then`', async () => {
    const then = vi.fn((resolve: (verification: Verification) => void) => {
      resolve({ verified: true, principal: { subject: 'alice' } });
    });
    const security = securityOf({ a: headerScheme('x-a', () => ({ then }) as never) });
    expect((await security.authenticate(authRequest({ header: { 'x-a': 'alice' } }))).granted).toBe(true);
    expect(then).toHaveBeenCalledOnce();
  });

  it('leaves no timer behind', async () => {
    const pending = within(5000);
    await vi.advanceTimersByTimeAsync(1000);
    await pending;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('challenges', () => {
  const challenged = async (challenge: SecurityScheme['challenge']) => {
    const scheme = { ...headerScheme('x-a'), ...(challenge === undefined ? {} : { challenge }) };
    return denied(await securityOf({ a: scheme }).authenticate(authRequest())).challenges;
  };
  const generic: Challenge = { scheme: 'ApiKey', params: { realm: 'a2a', in: 'header', name: 'x-a' } };

  it('are made from the declaration for a scheme that phrases none', async () => {
    expect(await challenged(undefined)).toEqual([generic]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('bug');
      },
    ],
    ['returns nothing', () => undefined],
    ['returns null', () => null],
    ['returns a string', () => 'Bearer'],
    ['returns a promise', () => Promise.resolve({ scheme: 'Bearer' })],
    ['returns a challenge without a name', () => ({ params: {} })],
    ['returns a name that starts a header of its own', () => ({ scheme: 'Bearer\r\nSet-Cookie: a=b' })],
    ['returns a parameter that is no string', () => ({ scheme: 'Custom', params: { n: 5 } })],
  ])('are made from the declaration for a scheme whose challenge() %s', async (_what, challenge) => {
    expect(await challenged(challenge as unknown as SecurityScheme['challenge'])).toEqual([generic]);
  });

  it('may be several of one scheme', async () => {
    expect(await challenged(() => [{ scheme: 'Bearer' }, { scheme: 'DPoP' }])).toHaveLength(2);
  });

  it('name the realm of the agent', async () => {
    const security = securityOf({ a: headerScheme('x-a') }, [{ a: [] }], { realm: 'tenant 7' });
    expect(denied(await security.authenticate(authRequest())).challenges[0]?.params?.realm).toBe('tenant 7');
  });
});

describe('a scheme that looks for its credential asynchronously', () => {
  it('is refused as malformed, and asked to verify nothing', async () => {
    const verify = vi.fn();
    const extract = () => Promise.reject(new Error('looked too late'));
    const decision = await securityOf({
      late: { ...headerScheme('x-a', verify), extract },
    }).authenticate(authRequest());
    expect(denied(decision).reason).toBe('invalid_credential');
    expect(verify).not.toHaveBeenCalled();
  });
});

it('a scheme that finds null has found nothing, and is asked to verify nothing', async () => {
  const verify = vi.fn();
  const extract = () => null as unknown as undefined;
  const decision = await securityOf({ none: { ...headerScheme('x-a', verify), extract } }).authenticate(
    authRequest(),
  );
  expect(denied(decision).reason).toBe('missing_credential');
  expect(verify).not.toHaveBeenCalled();
});

describe('the challenges of a request with several credentials, one of them wrong', () => {
  const is = (good: string) => (value: string) =>
    value === good
      ? ({ verified: true, principal: { subject: value } } as const)
      : ({ verified: false, reason: 'invalid', detail: 'wrong' } as const);
  const schemes = {
    key: headerScheme('x-key', is('k')),
    token: headerScheme('x-token', is('t')),
  };

  it('do not tell which of them it was', async () => {
    const security = securityOf(schemes, [{ key: [], token: [] }]);
    const challengesOf = async (header: Record<string, string>) =>
      denied(await security.authenticate(authRequest({ header }))).challenges.map(renderChallenge);
    const both = await challengesOf({ 'x-key': 'wrong', 'x-token': 'wrong' });
    expect(await challengesOf({ 'x-key': 'k', 'x-token': 'wrong' })).toEqual(both);
    expect(await challengesOf({ 'x-key': 'wrong', 'x-token': 't' })).toEqual(both);
    expect(both).toHaveLength(2);
  });
});

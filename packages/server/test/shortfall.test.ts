import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { SchemeOutcome } from '../src/decision.js';
import { createPrincipal } from '../src/principal.js';
import type { StepUp } from '../src/scheme.js';
import { isStrongEnough, lackingScopes } from '../src/shortfall.js';

const NOW = 1_893_456_000;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW * 1000, toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const verified = (claims: Record<string, unknown>): SchemeOutcome => ({
  status: 'verified',
  principal: createPrincipal('it', { subject: 'alice', claims }),
});
const isStrong = (stepUp: StepUp | undefined, ...outcomes: SchemeOutcome[]) =>
  isStrongEnough({ entries: outcomes.map((_, position) => ({ position, scopes: [] })), stepUp }, outcomes);

describe('the strength of an authentication', () => {
  it('is enough when nothing is asked for', () => {
    expect(isStrong(undefined, verified({}))).toBe(true);
  });

  it.each<[string, StepUp, Record<string, unknown>, boolean]>([
    ['one of the contexts', { acrValues: ['a', 'b'] }, { acr: 'b' }, true],
    ['another context', { acrValues: ['a', 'b'] }, { acr: 'c' }, false],
    ['a context that begins alike', { acrValues: ['a'] }, { acr: 'ab' }, false],
    ['a list of contexts', { acrValues: ['a'] }, { acr: ['a'] }, false],
    ['no context', { acrValues: ['a'] }, {}, false],
    ['no context, where "undefined" is asked for', { acrValues: ['undefined'] }, {}, false],
    ['a login just now', { maxAge: 60 }, { auth_time: NOW }, true],
    ['a login long enough ago', { maxAge: 60 }, { auth_time: NOW - 60 }, true],
    ['a login too long ago', { maxAge: 60 }, { auth_time: NOW - 61 }, false],
    ['a login now, where that is asked for', { maxAge: 0 }, { auth_time: NOW }, true],
    ['a login a second ago, where now is asked for', { maxAge: 0 }, { auth_time: NOW - 1 }, false],
    ['a login by a clock that is ahead', { maxAge: 60 }, { auth_time: NOW + 60 }, true],
    ['a login that is to come', { maxAge: 60 }, { auth_time: NOW + 61 }, false],
    ['a login in milliseconds', { maxAge: 60 }, { auth_time: (NOW - 86_400) * 1000 }, false],
    ['a login at the end of time', { maxAge: 60 }, { auth_time: Infinity }, false],
    ['a login at no time', { maxAge: 60 }, { auth_time: Number.NaN }, false],
    ['a login at a time in words', { maxAge: 60 }, { auth_time: String(NOW) }, false],
    ['a login at an unknown time', { maxAge: 60 }, {}, false],
    ['a token that is fresh, of an old login', { maxAge: 60 }, { iat: NOW, auth_time: NOW - 3600 }, false],
    ['both', { acrValues: ['a'], maxAge: 60 }, { acr: 'a', auth_time: NOW }, true],
    ['strength alone', { acrValues: ['a'], maxAge: 60 }, { acr: 'a', auth_time: NOW - 61 }, false],
    ['freshness alone', { acrValues: ['a'], maxAge: 60 }, { acr: 'b', auth_time: NOW }, false],
  ])('%s', (_what, stepUp, claims, enough) => {
    expect(isStrong(stepUp, verified(claims))).toBe(enough);
  });

  it('is that of one principal: two halves of two do not make it up', () => {
    const stepUp = { acrValues: ['a'], maxAge: 60 };
    expect(isStrong(stepUp, verified({ acr: 'a' }), verified({ auth_time: NOW }))).toBe(false);
    expect(isStrong(stepUp, verified({}), verified({ acr: 'a', auth_time: NOW }))).toBe(true);
  });

  it('is not that of a credential that was not verified', () => {
    const stepUp = { maxAge: 60 };
    const refused: SchemeOutcome = { status: 'refused', reason: 'invalid', detail: 'x' };
    expect(isStrong(stepUp, refused, { status: 'absent' })).toBe(false);
    expect(isStrong(stepUp)).toBe(false);
  });
});

describe('the scopes that lack', () => {
  const principal = createPrincipal('it', { subject: 'alice' }, ['read', 'write']);

  it.each<[readonly string[], readonly string[]]>([
    [[], []],
    [['read'], []],
    [['write', 'read'], []],
    [['admin', 'read'], ['admin']],
    [['READ'], ['READ']],
    [
      ['rea', 'read write', ''],
      ['rea', 'read write', ''],
    ],
  ])('of %j are %j', (asked, lacking) => {
    expect(lackingScopes(principal, asked)).toEqual(lacking);
  });
});

import { inspect } from 'node:util';

import { callerCredential, type PrincipalClaims } from '@a2a-auth/server';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CallerUser } from '../src/caller.js';
import { createPrincipal, principalId, toEpochMilliseconds } from '../src/principal.js';
import { contextOf, denied, granted, headerScheme, securityOf } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

describe('the id of a principal', () => {
  const tricky = fc
    .array(
      fc.constantFrom(
        '|',
        '%',
        '%7C',
        '%25',
        'scheme:',
        'scheme%3A',
        'a',
        'b',
        ':',
        'https://issuer.example',
      ),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .map((parts) => parts.join(''));
  const authority = fc.oneof(
    fc.record({ issuer: fc.oneof(tricky, fc.string({ minLength: 1 })) }),
    fc.record({ schemeId: fc.stringMatching(/^[A-Za-z0-9._-]+$/) }),
  );
  const subject = fc.oneof(tricky, fc.string({ minLength: 1 }));

  it('is never that of another caller', () => {
    fc.assert(
      fc.property(authority, subject, authority, subject, (one, his, other, hers) => {
        const same = JSON.stringify([one, his]) === JSON.stringify([other, hers]);
        expect(principalId(one, his) === principalId(other, hers)).toBe(same);
      }),
      { numRuns: 5000 },
    );
  });

  it('tells the authority and the subject', () => {
    fc.assert(
      fc.property(authority, subject, (given, name) => {
        const [encoded, ...rest] = principalId(given, name).split('|');
        expect(rest.join('|')).toBe(name);
        expect(decodeURIComponent(String(encoded))).toBe(
          'issuer' in given ? given.issuer : `scheme:${given.schemeId}`,
        );
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['an issuer that ends in the other subject', { issuer: 'a|b' }, 'c', { issuer: 'a' }, 'b|c'],
    ['an issuer that is written as the other is encoded', { issuer: 'a%7Cb' }, 'c', { issuer: 'a|b' }, 'c'],
    ['an issuer that poses as a scheme', { issuer: 'scheme:key' }, 'c', { schemeId: 'key' }, 'c'],
    ['an issuer that poses as that one', { issuer: 'scheme%3Akey' }, 'c', { issuer: 'scheme:key' }, 'c'],
  ])('differs for %s', (_what, one, his, other, hers) => {
    expect(principalId(one, his)).not.toBe(principalId(other, hers));
  });

  it('is never that of the anonymous caller', () => {
    expect(principalId({ schemeId: 'key' }, 'anonymous')).not.toBe('anonymous');
  });
});

describe('a principal', () => {
  const claims = { roles: ['admin'] };
  const principal = createPrincipal(
    'key',
    { subject: 'alice', claims, expiresAt: 2000 },
    ['read'],
    1_000_000,
  );

  it('is frozen, with its scopes and claims', () => {
    expect([principal, principal.scopes, principal.claims].map((part) => Object.isFrozen(part))).toEqual([
      true,
      true,
      true,
    ]);
  });

  it('leaves the claims it was made from alone', () => {
    expect(Object.isFrozen(claims)).toBe(false);
  });

  it('has its moments in milliseconds', () => {
    expect(principal).toMatchObject({ authenticatedAt: 1_000_000, expiresAt: 2_000_000 });
  });

  it.each([
    ['no subject', {}],
    ['an empty subject', { subject: '' }],
    ['a subject that is no string', { subject: 5 }],
    ['an empty issuer, which could be taken for another authority', { subject: 'a', issuer: '' }],
    ['an issuer that is no string', { subject: 'a', issuer: 5 }],
    ['an issuer that is null', { subject: 'a', issuer: null }],
    ['an end that is no time', { subject: 'a', expiresAt: new Date('never') }],
    ['an end in milliseconds', { subject: 'a', expiresAt: 1_700_000_000_000 }],
    ['an end that is a text', { subject: 'a', expiresAt: '1700000000' }],
    ['an end that is null', { subject: 'a', expiresAt: null }],
    ['claims that are a text', { subject: 'a', claims: 'admin' }],
    ['claims that are a list', { subject: 'a', claims: ['admin'] }],
  ])('is not made of claims with %s', (_what, given) => {
    expect(() => createPrincipal('key', given as unknown as PrincipalClaims)).toThrow(TypeError);
  });

  it('has no claims where they are null', () => {
    expect(createPrincipal('key', { subject: 'a', claims: null as never }).claims).toEqual({});
  });

  it.each([
    ['a string', 'read write'],
    ['null', null],
    ['a list with a number', [1]],
  ])('is not made with scopes that are %s', (_what, scopes) => {
    expect(() => createPrincipal('key', { subject: 'a' }, scopes as unknown as string[])).toThrow(TypeError);
  });
});

describe('a moment', () => {
  it.each([
    [1_700_000_000, 1_700_000_000_000],
    [0, 0],
    [1.5, 1500],
    [new Date(5), 5],
  ])('%s is %d milliseconds', (moment, milliseconds) => {
    expect(toEpochMilliseconds(moment)).toBe(milliseconds);
  });

  it.each([Number.NaN, Infinity, 1_700_000_000_000, new Date(Number.NaN)])('%s is refused', (moment) => {
    expect(() => toEpochMilliseconds(moment)).toThrow(TypeError);
  });
});

describe('a credential', () => {
  const secret = 'the-callers-own-secret';
  const security = securityOf({
    key: headerScheme('x-key', (key) =>
      key === secret
        ? { verified: true, principal: { subject: 'alice' } }
        : { verified: false, reason: 'invalid', detail: 'no' },
    ),
  });
  const grant = async () =>
    granted(await security.authenticate(authRequest({ header: { 'x-key': secret } })));
  const denial = async () =>
    denied(await security.authenticate(authRequest({ header: { 'x-key': `${secret}-mistyped` } })));
  const everything = (value: unknown) =>
    `${inspect(value, { depth: null, showHidden: true, getters: true })} ${JSON.stringify(value)}`;

  it.each([
    ['principal', async () => (await grant()).principal],
    ['grant', grant],
    ['denial', denial],
    ['user of a grant', async () => new CallerUser(await grant())],
    ['user of a denial', async () => new CallerUser(await denial())],
    ['call context', async () => contextOf(await grant())],
    ['copy of a grant', async () => structuredClone(Object.assign({}, await grant()))],
  ])('is not to be seen on the %s', async (_what, make) => {
    expect(everything(await make())).not.toContain(secret);
  });

  it('is not to be seen on the security that judged it', async () => {
    await grant();
    expect(everything(security)).not.toContain(secret);
  });

  it('is handed to code that asks for it', async () => {
    expect(callerCredential(contextOf(await grant()), 'key')).toBe(secret);
  });
});

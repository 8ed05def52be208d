import type { Validator } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { verifyWith } from '../src/validator.js';
import { authRequest } from './support/auth-request.js';

const verify = (answer: unknown) =>
  verifyWith((() => answer) as Validator<string>)('credential', {
    schemeId: 'it',
    request: authRequest(),
    resource: undefined,
  });

describe('a validator', () => {
  const now = new Date('2030-01-01T00:00:00Z');
  beforeEach(() => {
    vi.useFakeTimers({ now });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([
    ['a subject', { principal: 'alice' }],
    ['a subject in a promise', Promise.resolve({ principal: 'alice' })],
    ['a principal', { principal: { subject: 'alice' } }],
  ])('that returns %s accepts the credential', async (_what, answer) => {
    expect(await verify(answer)).toMatchObject({ verified: true, principal: { subject: 'alice' } });
  });

  it('hands on all it says of the caller', async () => {
    const principal = {
      subject: 'alice',
      issuer: 'https://issuer.example',
      clientId: 'cli',
      claims: { a: 1 },
    };
    expect(await verify({ principal, scopes: ['read'] })).toEqual({
      verified: true,
      principal: { ...principal, expiresAt: undefined },
      scopes: ['read'],
    });
  });

  it.each([
    undefined,
    null,
    true,
    1,
    '',
    'alice',
    {},
    [],
    { principal: '' },
    { principal: null },
    { principal: true },
    { authenticated: true },
    { subject: 'alice' },
    { ok: true, user: 'alice' },
  ])('that returns %j does not accept the credential', async (answer) => {
    expect(await verify(answer)).toMatchObject({ verified: false, reason: 'invalid' });
  });

  const seconds = now.getTime() / 1000;
  it.each([
    ['in a second, in seconds', seconds + 1],
    ['in a millisecond, as a Date', new Date(now.getTime() + 1)],
  ])('that says the credential ends %s accepts it', async (_when, expiresAt) => {
    expect(await verify({ principal: 'alice', expiresAt })).toMatchObject({
      verified: true,
      principal: { expiresAt },
    });
  });

  it.each([
    ['now, in seconds', seconds],
    ['now, as a Date', now],
    ['long ago', 0],
  ])('that says the credential ended %s does not', async (_when, expiresAt) => {
    expect(await verify({ principal: 'alice', expiresAt })).toMatchObject({
      verified: false,
      reason: 'expired',
    });
  });

  it('may say the end on the principal', async () => {
    const principal = { subject: 'alice', expiresAt: seconds };
    expect(await verify({ principal })).toMatchObject({ verified: false, reason: 'expired' });
  });

  it.each([now.getTime() + 60_000, Infinity, Number.NaN, new Date('never')])(
    'that says the credential ends at %s, which is no usable time, does not accept it',
    async (expiresAt) => {
      await expect(verify({ principal: 'alice', expiresAt })).rejects.toThrow(TypeError);
    },
  );
});

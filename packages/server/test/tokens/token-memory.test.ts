import type { Verification } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { rememberTokens } from '../../src/tokens/token-memory.js';

const good = (jti?: string): Verification => ({
  verified: true,
  principal: { subject: 'alice', claims: jti === undefined ? {} : { jti } },
});
const bad: Verification = { verified: false, reason: 'invalid', detail: 'no' };

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a token memory', () => {
  it('verifies a token once for two presentations', async () => {
    const verify = vi.fn(async () => good());
    const verifyOnce = rememberTokens(verify, {});
    await verifyOnce('a');
    await verifyOnce('a');
    expect(verify).toHaveBeenCalledExactlyOnceWith('a');
  });

  it('verifies a token once for two presentations at the same time', async () => {
    const verify = vi.fn(async () => good());
    const verifyOnce = rememberTokens(verify, {});
    await Promise.all([verifyOnce('a'), verifyOnce('a')]);
    expect(verify).toHaveBeenCalledOnce();
  });

  it('does not remember that a verification failed to happen', async () => {
    const verify = vi.fn(async () => good()).mockRejectedValueOnce(new Error('down'));
    const verifyOnce = rememberTokens(verify, {});
    await expect(verifyOnce('a')).rejects.toThrow('down');
    expect(await verifyOnce('a')).toMatchObject({ verified: true });
  });

  it('verifies a refused token anew each time', async () => {
    const verify = vi.fn(async () => bad);
    const verifyOnce = rememberTokens(verify, {});
    await verifyOnce('a');
    await verifyOnce('a');
    expect(verify).toHaveBeenCalledTimes(2);
  });

  it('remembers a costly refusal, for a while', async () => {
    const verify = vi.fn(async () => bad);
    const verifyOnce = rememberTokens(verify, {}, 10);
    await verifyOnce('a');
    vi.advanceTimersByTime(9_999);
    expect(await verifyOnce('a')).toBe(bad);
    expect(verify).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(1);
    await verifyOnce('a');
    expect(verify).toHaveBeenCalledTimes(2);
  });

  it('remembers refusals apart, so that they displace no good token', async () => {
    const verify = vi.fn(async (token: string) => (token === 'good' ? good() : bad));
    const verifyOnce = rememberTokens(verify, { cache: { maxTokens: 1 } }, 10);
    await verifyOnce('good');
    for (let count = 0; count < 2000; count++) await verifyOnce(`bad-${count}`);
    verify.mockClear();
    await verifyOnce('good');
    expect(verify).not.toHaveBeenCalled();
  });
});

describe('a revocation check', () => {
  it('is asked with every presentation, remembered or not', async () => {
    const revoked = vi.fn(() => false);
    const verify = rememberTokens(async () => good('id-1'), { revoked });
    await verify('a');
    await verify('a');
    expect(revoked.mock.calls).toEqual([['id-1'], ['id-1']]);
  });

  it('takes effect at once on a token that was good before', async () => {
    const revoked = vi.fn(() => false);
    const verify = rememberTokens(async () => good('id-1'), { revoked });
    expect(await verify('a')).toMatchObject({ verified: true });
    revoked.mockReturnValue(true);
    expect(await verify('a')).toMatchObject({ verified: false, reason: 'revoked' });
  });

  it('is asked by digest for a token without an id, never by the token', async () => {
    const revoked = vi.fn<(id: string) => boolean>(() => false);
    await rememberTokens(async () => good(), { revoked, cache: false })('the-token');
    expect(revoked).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/^[\w-]{43}$/));
  });

  it.each([true, undefined, null, 0, 'false', {}])('that answers %j refuses the token', async (answer) => {
    const revoked = () => answer as boolean;
    expect(await rememberTokens(async () => good('id-1'), { revoked })('a')).toMatchObject({
      reason: 'revoked',
    });
  });

  it('that throws does not let the token pass', async () => {
    const revoked = () => Promise.reject(new Error('down'));
    await expect(rememberTokens(async () => good('id-1'), { revoked })('a')).rejects.toThrow('down');
  });

  it('is not asked of a refused token', async () => {
    const revoked = vi.fn(() => false);
    expect(await rememberTokens(async () => bad, { revoked })('a')).toBe(bad);
    expect(revoked).not.toHaveBeenCalled();
  });
});

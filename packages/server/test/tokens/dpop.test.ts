import { dpop, type DpopOptions } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ASYMMETRIC_ALGORITHMS } from '../../src/tokens/jwt-claims.js';
import { authRequest } from '../support/auth-request.js';
import { dpopKey } from '../support/dpop.js';

const key = dpopKey();
const request = (proof = key.proof('token')) => authRequest({ header: { DPoP: proof } });

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a DPoP verifier', () => {
  it('finds nothing wrong with a good proof', async () => {
    expect(await dpop().check(request(), 'token', key.thumbprint, undefined)).toBeUndefined();
  });

  it('has defaults', () => {
    expect(dpop()).toMatchObject({ required: false, algorithms: ASYMMETRIC_ALGORITHMS });
    expect(dpop().freshNonce()).toBeUndefined();
    expect(dpop({ required: true, algorithms: ['ES256'] })).toMatchObject({
      required: true,
      algorithms: ['ES256'],
    });
  });

  it('checks the proof of one request once', async () => {
    const add = vi.fn(() => true);
    const verifier = dpop({ replayStore: { add } });
    const same = request();
    await Promise.all([
      verifier.check(same, 'token', key.thumbprint, undefined),
      verifier.check(same, 'token', key.thumbprint, undefined),
    ]);
    expect(await verifier.check(same, 'token', key.thumbprint, undefined)).toBeUndefined();
    expect(add).toHaveBeenCalledOnce();
  });

  it('checks the proof of one request anew for another token and another key', async () => {
    const verifier = dpop();
    const same = request();
    expect(await verifier.check(same, 'token', key.thumbprint, undefined)).toBeUndefined();
    expect(await verifier.check(same, 'other', key.thumbprint, undefined)).toMatchObject({
      error: 'invalid_dpop_proof',
    });
    expect(await verifier.check(same, 'token', dpopKey().thumbprint, undefined)).toMatchObject({
      error: 'invalid_dpop_proof',
    });
  });

  it('says in the detail what is wrong, and never shows the proof', async () => {
    const proof = key.proof('token', { htm: 'GET' });
    const problem = await dpop().check(request(proof), 'token', key.thumbprint, undefined);
    expect(problem?.detail).toContain('"htm"');
    expect(problem?.detail).not.toContain(proof.split('.')[2]);
  });

  it('shows both URLs of a proof for another, without their queries', async () => {
    const proof = key.proof('token', { htu: 'https://other.example/a2a?access_token=abc' });
    const called = authRequest({ header: { DPoP: proof }, url: 'https://agent.example/a2a?key=abc' });
    const problem = await dpop().check(called, 'token', key.thumbprint, undefined);
    expect(problem?.detail).toContain(
      '"htu" is https://other.example/a2a, and not https://agent.example/a2a.',
    );
  });

  it('keeps a proof in the store for as long as it could be used again', async () => {
    const add = vi.fn<(key: string, expiresAt: number) => boolean>(() => true);
    const verifier = dpop({ replayStore: { add }, maxAge: 30, clockTolerance: 5 });
    const iat = Date.now() / 1000 + 5;
    await verifier.check(request(key.proof('token', { iat })), 'token', key.thumbprint, undefined);
    expect(add.mock.calls[0]?.[1]).toBeGreaterThanOrEqual((iat + 30) * 1000);
  });

  it('makes a nonce that changes with time, and is the same within a period', () => {
    const verifier = dpop({ nonce: true });
    const first = verifier.freshNonce();
    vi.advanceTimersByTime(119_999);
    expect(verifier.freshNonce()).toBe(first);
    vi.advanceTimersByTime(1);
    expect(verifier.freshNonce()).not.toBe(first);
  });

  it('makes nonces that differ from process to process, unless they share a secret', () => {
    expect(dpop({ nonce: true }).freshNonce()).not.toBe(dpop({ nonce: true }).freshNonce());
    const secret = Buffer.alloc(32, 7);
    expect(dpop({ nonce: { secret } }).freshNonce()).toBe(dpop({ nonce: { secret } }).freshNonce());
  });
});

describe('dpop() is refused at start-up with', () => {
  it.each<[string, unknown]>([
    ['no age', { maxAge: 0 }],
    ['an age that is no number', { maxAge: Number.NaN }],
    ['a proof that is good for ever', { maxAge: Infinity }],
    ['a negative tolerance', { clockTolerance: -1 }],
    ['a tolerance that is no number', { clockTolerance: Number.NaN }],
    ['a tolerance without end', { clockTolerance: Infinity }],
    ['no algorithm', { algorithms: [] }],
    ['a symmetric algorithm', { algorithms: ['HS256'] }],
    ['alg none', { algorithms: ['ES256', 'none'] }],
    ['a short secret', { nonce: { secret: 'short' } }],
    ['a short secret of bytes', { nonce: { secret: new Uint8Array(31) } }],
    ['a secret that is a number', { nonce: { secret: 5 } }],
  ])('%s', (_what, options) => {
    expect(() => dpop(options as DpopOptions)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

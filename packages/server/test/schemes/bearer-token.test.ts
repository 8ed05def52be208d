import {
  AgentSecurity,
  dpop,
  VerifierUnavailable,
  type AgentSecurityOptions,
  type SchemeDenial,
  type StepUp,
  type TokenVerifier,
  type Verification,
} from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { renderChallenge } from '../../src/challenge.js';
import { bearerTokenScheme, type BearerTokenOptions } from '../../src/schemes/bearer-token.js';
import { decisionBy, denied, granted } from '../support/agent.js';
import { authorization, authRequest } from '../support/auth-request.js';
import { dpopKey } from '../support/dpop.js';

const key = dpopKey();

const good = (claims: Record<string, unknown> = {}, scopes: readonly string[] = []): Verification => ({
  verified: true,
  principal: { subject: 'alice', issuer: 'https://issuer.example', claims },
  scopes,
});
const says = (verification: Verification | Promise<Verification>): TokenVerifier => ({
  verify: () => verification,
});
const scheme = (verifier: TokenVerifier, options: Partial<BearerTokenOptions> = {}) =>
  bearerTokenScheme({ declaration: { type: 'http', scheme: 'Bearer' }, verifier, ...options });

const denial: SchemeDenial = {
  schemeId: 'it',
  reason: 'missing',
  error: undefined,
  requiredScopes: [],
  stepUp: undefined,
  realm: 'a2a',
  resourceMetadataUrl: undefined,
};
const challenges = (about: Partial<SchemeDenial>, options: Partial<BearerTokenOptions> = {}) =>
  [scheme(says(good()), options).challenge?.({ ...denial, ...about }) ?? []].flat();

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the token', () => {
  const extract = (...fields: string[]) => scheme(says(good())).extract(authorization(...fields));
  const withDpop = scheme(says(good()), { dpop: dpop() });

  it.each(['Bearer abc', 'bearer abc', 'BEARER   abc'])('is found in %j', (field) => {
    expect(extract(field)).toBe('abc');
  });

  it.each(['Basic abc', 'DPoP abc', 'Bearerx abc', 'abc', ''])('is not looked for in %j', (field) => {
    expect(extract(field)).toBeUndefined();
  });

  it('is not looked for in the query, the body or a cookie (RFC 6750 §2.1)', () => {
    const request = authRequest({ query: { access_token: 'abc' }, cookie: { access_token: 'abc' } });
    expect(scheme(says(good())).extract(request)).toBeUndefined();
  });

  it.each([
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a,b',
    'Bearer ü',
    'Bearer =',
    'Bearer a=b',
    'Bearer "a"',
    `Bearer ${'a'.repeat(16_384)}`,
  ])('is malformed in %j', (field) => {
    expect(() => extract(field)).toThrow(expect.objectContaining({ code: 'MALFORMED_CREDENTIAL' }));
  });

  it('is malformed when it is there twice', () => {
    expect(() => extract('Bearer a', 'Bearer a')).toThrow(
      expect.objectContaining({ code: 'MALFORMED_CREDENTIAL' }),
    );
    expect(() => withDpop.extract(authorization('Bearer a', 'DPoP a'))).toThrow();
  });

  it('may come with DPoP where that is accepted', () => {
    expect(withDpop.extract(authorization('DPoP abc'))).toBe('abc');
    expect(withDpop.extract(authorization('dpop abc'))).toBe('abc');
    expect(withDpop.extract(authorization('Bearer abc'))).toBe('abc');
    expect(withDpop.extract(authorization('Basic abc'))).toBeUndefined();
  });

  it('of 1 MiB is malformed, and nobody is asked about it', async () => {
    const verifier = { verify: vi.fn(() => good()) };
    const decision = await decisionBy(scheme(verifier), authorization(`Bearer ${'a'.repeat(1024 * 1024)}`));
    expect(denied(decision).reason).toBe('invalid_credential');
    expect(verifier.verify).not.toHaveBeenCalled();
  });
});

describe('what the verifier says', () => {
  it('is what the scheme says, at once or later', async () => {
    for (const verification of [good(), Promise.resolve(good())]) {
      const decision = await decisionBy(scheme(says(verification)), authorization('Bearer abc'));
      expect(granted(decision).principal.subject).toBe('alice');
    }
  });

  it.each([
    undefined,
    null,
    true,
    'yes',
    {},
    { verified: 'true' },
    { verified: 1, principal: { subject: 'a' } },
    [],
  ])('is a denial when it is %j', async (answer) => {
    const nonsense = answer as unknown as Verification;
    for (const verifier of [says(nonsense), says(Promise.resolve(nonsense))]) {
      for (const options of [{}, { dpop: dpop() }, { dpop: dpop({ required: true }) }]) {
        const decision = await decisionBy(scheme(verifier, options), authorization('Bearer abc'));
        expect(denied(decision).reason).toBe('invalid_credential');
      }
    }
  });

  it('is a denial when it is thrown, and unavailable when that is what is thrown', async () => {
    const throwing = (error: Error): TokenVerifier => ({
      verify: () => {
        throw error;
      },
    });
    expect(denied(await decisionBy(scheme(throwing(new Error('x'))), authorization('Bearer a'))).reason).toBe(
      'invalid_credential',
    );
    const open = throwing(new VerifierUnavailable('down'));
    expect(denied(await decisionBy(scheme(open), authorization('Bearer a'))).reason).toBe('unavailable');
  });

  it('is asked with the request and the resource', async () => {
    const verify = vi.fn<TokenVerifier['verify']>(() => good());
    const security = new AgentSecurity({ resource: 'https://agent.example/a2a' })
      .addSecurityScheme('it', scheme({ verify }))
      .addSecurityRequirement({ it: [] });
    const request = authorization('Bearer abc');
    await security.authenticate(request);
    expect(verify).toHaveBeenCalledExactlyOnceWith('abc', {
      schemeId: 'it',
      request,
      resource: 'https://agent.example/a2a',
    });
  });
});

describe('a bond of the token is held to', () => {
  const bound = good({ cnf: { jkt: key.thumbprint } });
  /** Another library's promise, or one of another realm. */
  const foreignPromise = (verification: Verification) => ({
    then: (resolve: (value: Verification) => unknown) => Promise.resolve(resolve(verification)),
  });

  it.each<[string, () => Verification | Promise<Verification>]>([
    ['at once', () => bound],
    ['in a promise', () => Promise.resolve(bound)],
    ['in a promise of another kind', () => foreignPromise(bound) as unknown as Promise<Verification>],
  ])('whether the verifier answers %s', async (_what, answer) => {
    for (const options of [{}, { dpop: dpop() }]) {
      const decision = await decisionBy(scheme(says(answer()), options), authorization('Bearer abc'));
      expect(denied(decision).reason).toBe('invalid_credential');
    }
    const request = authRequest({ header: { authorization: 'DPoP abc', dpop: key.proof('abc') } });
    const decision = await decisionBy(scheme(says(answer()), { dpop: dpop() }), request);
    expect(granted(decision).principal.subject).toBe('alice');
  });

  it('whatever its kind', async () => {
    for (const cnf of [{}, { kid: 'k' }, 'x', { 'x5t#S256': 'x' }]) {
      const decision = await decisionBy(scheme(says(good({ cnf }))), authorization('Bearer abc'));
      expect(denied(decision).reason).toBe('invalid_credential');
    }
  });

  it('with every presentation, also of a token that was verified before', async () => {
    const it = scheme(says(bound), { dpop: dpop() });
    const request = authRequest({ header: { authorization: 'DPoP abc', dpop: key.proof('abc') } });
    expect((await decisionBy(it, request)).granted).toBe(true);
    expect((await decisionBy(it, authorization('DPoP abc'))).granted).toBe(false);
    expect((await decisionBy(it, authorization('Bearer abc'))).granted).toBe(false);
  });
});

describe('the challenge', () => {
  it.each<[SchemeDenial['reason'], string | undefined]>([
    ['missing', undefined],
    ['malformed', 'invalid_request'],
    ['invalid', 'invalid_token'],
    ['insufficient_scope', 'insufficient_scope'],
    ['insufficient_authentication', 'insufficient_user_authentication'],
    ['not_permitted', 'insufficient_scope'],
  ])('for %s has the error code %j', (reason, error) => {
    expect(challenges({ reason })).toMatchObject([{ scheme: 'Bearer', params: { error } }]);
  });

  it('has realm, scope and the metadata of the resource (RFC 6750 §3, RFC 9728 §5.1)', () => {
    const [challenge] = challenges({
      reason: 'insufficient_scope',
      realm: 'the agent',
      requiredScopes: ['ask', 'admin'],
      resourceMetadataUrl: 'https://agent.example/.well-known/oauth-protected-resource/a2a',
    });
    expect(challenge && renderChallenge(challenge)).toBe(
      'Bearer realm="the agent", error="insufficient_scope", scope="ask admin", resource_metadata="https://agent.example/.well-known/oauth-protected-resource/a2a"',
    );
  });

  it('has nothing that was not asked for', () => {
    expect(challenges({}).map(renderChallenge)).toEqual(['Bearer realm="a2a"']);
  });

  it('for a step-up says what is asked for (RFC 9470 §3)', () => {
    const stepUp = { acrValues: ['high', 'higher'], maxAge: 300 };
    expect(challenges({ reason: 'insufficient_authentication', stepUp }).map(renderChallenge)).toEqual([
      'Bearer realm="a2a", error="insufficient_user_authentication", acr_values="high higher", max_age="300"',
    ]);
    expect(
      challenges({ reason: 'insufficient_authentication', stepUp: { maxAge: 0 } }).map(renderChallenge),
    ).toEqual(['Bearer realm="a2a", error="insufficient_user_authentication", max_age="0"']);
    expect(challenges({ reason: 'invalid', stepUp }).map(renderChallenge)).toEqual([
      'Bearer realm="a2a", error="invalid_token"',
    ]);
  });

  it('for DPoP stands beside the bearer one, with the algorithms (RFC 9449 §7.1)', () => {
    const both = challenges({ reason: 'invalid' }, { dpop: dpop({ algorithms: ['ES256', 'EdDSA'] }) });
    expect(both.map(renderChallenge)).toEqual([
      'Bearer realm="a2a", error="invalid_token"',
      'DPoP realm="a2a", error="invalid_token", algs="ES256 EdDSA"',
    ]);
  });

  it.each(['invalid_dpop_proof', 'use_dpop_nonce'])(
    'for DPoP alone says what was wrong with the proof: %s',
    (error) => {
      const about = { reason: 'invalid', error } as const;
      expect(challenges(about, { dpop: dpop({ algorithms: ['ES256'] }) }).map(renderChallenge)).toEqual([
        `DPoP realm="a2a", error="${error}", algs="ES256"`,
      ]);
    },
  );

  it('has the error code of the verifier only where the token is good: else it would tell which credential is not', () => {
    const options = { dpop: dpop({ algorithms: ['ES256'] }) };
    const codes = (reason: SchemeDenial['reason']) =>
      challenges({ reason, error: 'custom' }, options).map(({ scheme: name, params }) => [
        name,
        params?.error,
      ]);
    expect(codes('not_permitted')).toEqual([
      ['Bearer', 'custom'],
      ['DPoP', 'custom'],
    ]);
    expect(codes('invalid')).toEqual([
      ['Bearer', 'invalid_token'],
      ['DPoP', 'invalid_token'],
    ]);
  });

  it('for DPoP stands alone where that is required', () => {
    expect(
      challenges({}, { dpop: dpop({ required: true, algorithms: ['ES256'] }) }).map(renderChallenge),
    ).toEqual(['DPoP realm="a2a", algs="ES256"']);
  });

  it('for DPoP brings a nonce where those are asked for (RFC 9449 §8)', () => {
    const nonces = dpop({ nonce: true });
    const [bearer, offered] = challenges({}, { dpop: nonces });
    expect(bearer?.headers).toBeUndefined();
    expect(offered?.headers).toEqual({ 'dpop-nonce': nonces.freshNonce() });
    const proven = challenges({ error: 'use_dpop_nonce' }, { dpop: nonces }).at(-1);
    expect(proven).toMatchObject({
      params: { error: 'use_dpop_nonce' },
      headers: { 'dpop-nonce': nonces.freshNonce() },
    });
  });
});

it.each([
  ['true', true],
  ['null', null],
  ['the function dpop, which was not called', dpop],
])('the option dpop is refused at start-up when it is %s', (_what, given) => {
  expect(() => scheme(says(good()), { dpop: given as never })).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('dpop() returns') as string,
    }),
  );
});

describe('a requirement', () => {
  const securityOf = (verification: Verification, stepUp?: StepUp, options: AgentSecurityOptions = {}) =>
    new AgentSecurity(options)
      .addSecurityScheme('it', scheme(says(verification), { scopes: ['ask', 'admin'] }))
      .addSecurityRequirement({ it: ['ask'] }, stepUp)
      .authenticate(authorization('Bearer abc'));

  it('of scopes is met by them, and else names them', async () => {
    expect((await securityOf(good({}, ['ask', 'other']))).granted).toBe(true);
    const refusal = denied(await securityOf(good({}, ['other', 'asking', 'ASK'])));
    expect(refusal).toMatchObject({ reason: 'insufficient_scope', missingScopes: ['ask'] });
    expect(refusal.challenges.map(renderChallenge)).toEqual([
      'Bearer realm="a2a", error="insufficient_scope", scope="ask"',
    ]);
  });

  it('of a step-up is met by acr and auth_time, and else asks for them', async () => {
    const now = Date.now() / 1000;
    const stepUp = { acrValues: ['high'], maxAge: 60 };
    expect((await securityOf(good({ acr: 'high', auth_time: now - 60 }, ['ask']), stepUp)).granted).toBe(
      true,
    );
    for (const claims of [
      { acr: 'low', auth_time: now },
      { acr: 'high', auth_time: now - 61 },
      { acr: 'high' },
      {},
    ]) {
      const refusal = denied(await securityOf(good(claims, ['ask']), stepUp));
      expect(refusal.reason).toBe('insufficient_authentication');
      expect(refusal.challenges.map(renderChallenge)).toEqual([
        'Bearer realm="a2a", error="insufficient_user_authentication", scope="ask", acr_values="high", max_age="60"',
      ]);
    }
  });

  it('is challenged with the metadata of the resource', async () => {
    const refusal = denied(
      await securityOf({ verified: false, reason: 'invalid', detail: 'x' }, undefined, {
        resource: 'https://agent.example/a2a',
      }),
    );
    expect(refusal.challenges).toMatchObject([
      { params: { resource_metadata: 'https://agent.example/.well-known/oauth-protected-resource/a2a' } },
    ]);
  });

  it('tells the caller nothing of why a token is bad', async () => {
    const refusal = denied(await securityOf({ verified: false, reason: 'revoked', detail: 'secret reason' }));
    expect(JSON.stringify(refusal)).not.toContain('secret reason');
    expect(refusal.challenges).toMatchObject([{ params: { error: 'invalid_token' } }]);
  });
});

describe('warming up', () => {
  it('is what the verifier does, where it does anything', async () => {
    const warmUp = vi.fn(() => Promise.resolve());
    await scheme({ ...says(good()), warmUp }).warmUp?.();
    expect(warmUp).toHaveBeenCalledOnce();
    expect(scheme(says(good()))).not.toHaveProperty('warmUp');
  });

  it('of an agent is that of its schemes, and fails with them', async () => {
    const warmUp = vi.fn(() => Promise.resolve());
    const security = new AgentSecurity()
      .addSecurityScheme('a', scheme({ ...says(good()), warmUp }))
      .addSecurityScheme('b', scheme({ ...says(good()), warmUp }))
      .addSecurityScheme('c', scheme(says(good())))
      .addSecurityRequirement({ a: [] })
      .addSecurityRequirement({ b: [] })
      .addSecurityRequirement({ c: [] });
    await security.warmUp();
    expect(warmUp).toHaveBeenCalledTimes(2);
    warmUp.mockRejectedValueOnce(new VerifierUnavailable('down'));
    await expect(security.warmUp()).rejects.toThrow(VerifierUnavailable);
  });
});

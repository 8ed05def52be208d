import { httpBearer, type HttpBearerOptions, type Validator } from '@a2a-auth/server';
import { describe, expect, it, vi } from 'vitest';

import { renderChallenge } from '../../src/challenge.js';
import { decisionBy, denied, granted, securityOf } from '../support/agent.js';
import { authorization, authRequest } from '../support/auth-request.js';

/** Accepts every token, so that what is denied was denied before it was looked at. */
const anyToken = vi.fn<Validator<string>>((token) => ({ principal: token }));
const tokenOf = async (...fields: string[]) => {
  const decision = await decisionBy(httpBearer({ validator: anyToken }), authorization(...fields));
  return decision.granted ? decision.principal.subject : decision.reason;
};

describe('the token of a request', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer abc', 'abc'],
    ['BEARER abc', 'abc'],
    ['Bearer   abc', 'abc'],
    ['Bearer a.b-c_d~e+f/g', 'a.b-c_d~e+f/g'],
    ['Bearer YWJj==', 'YWJj=='],
  ])('in %j is %j', async (field, token) => {
    expect(await tokenOf(field)).toBe(token);
  });

  it.each([
    'Bearerx abc',
    'Bearer2 abc',
    'Bear abc',
    'Basic YTpi',
    'Digest realm="Bearer"',
    '',
    ' ',
    'abc',
    '__proto__ abc',
  ])('in %j is missing: it is for another scheme', async (field) => {
    expect(await tokenOf(field)).toBe('missing_credential');
  });

  it.each([
    ['no token', 'Bearer'],
    ['a space for a token', 'Bearer '],
    ['two tokens', 'Bearer abc def'],
    ['a list of credentials', 'Bearer abc, Bearer def'],
    ['a tab', 'Bearer\tabc'],
    ['a tab among spaces', 'Bearer \tabc'],
    ['a trailing space', 'Bearer abc '],
    ['a control character', 'Bearer abc\u0000'],
    ['a line break', 'Bearer abc\n'],
    ['a non-ASCII letter', 'Bearer abç'],
    ['quotes', 'Bearer "abc"'],
    ['padding inside', 'Bearer a=b'],
    ['padding alone', 'Bearer ='],
    ['a colon', 'Bearer a:b'],
    ['64 KiB', `Bearer ${'a'.repeat(65_536)}`],
  ])('with %s is malformed, and not verified', async (_what, field) => {
    anyToken.mockClear();
    expect(await tokenOf(field)).toBe('invalid_credential');
    expect(anyToken).not.toHaveBeenCalled();
  });

  it.each([
    ['of the same token', 'Bearer abc', 'Bearer abc'],
    ['of two tokens', 'Bearer abc', 'Bearer def'],
    ['of two schemes', 'Bearer abc', 'Basic YTpi'],
    ['of two other schemes', 'Digest a', 'Basic YTpi'],
  ])('in two Authorization headers, %s, is malformed', async (_what, ...fields) => {
    expect(await tokenOf(...fields)).toBe('invalid_credential');
  });

  it('is not looked for in the query or a cookie', async () => {
    const request = authRequest({ query: { access_token: 'abc' }, cookie: { access_token: 'abc' } });
    expect(denied(await decisionBy(httpBearer({ validator: anyToken }), request)).reason).toBe(
      'missing_credential',
    );
  });
});

describe('a bearer validator', () => {
  it('gets the token, the scheme and the request', async () => {
    const validator = vi.fn<Validator<string>>(() => ({ principal: 'alice', scopes: ['read'] }));
    const request = authorization('Bearer abc');
    const { principal } = granted(await decisionBy(httpBearer({ validator }), request));
    expect(validator).toHaveBeenCalledExactlyOnceWith(
      'abc',
      expect.objectContaining({ schemeId: 'it', request }),
    );
    expect(principal).toMatchObject({ id: 'scheme:it|alice', scopes: ['read'] });
  });
});

describe('httpBearer', () => {
  const verifier = { verify: () => ({ verified: false, reason: 'invalid', detail: '' }) as const };

  it('publishes its format and description', () => {
    const options = { bearerFormat: 'JWT', description: 'Ask us.', validator: anyToken };
    expect(httpBearer(options).declaration).toEqual({
      type: 'http',
      scheme: 'Bearer',
      ...options,
      validator: undefined,
    });
  });

  it.each([
    ['neither', {}],
    ['both', { validator: anyToken, verifier }],
    ['a validator that is no function', { validator: 'yes' }],
    ['a verifier that cannot verify', { verifier: {} }],
    ['a verifier that is null', { verifier: null }],
  ])('is refused at start-up with %s of validator and verifier', (_what, options) => {
    expect(() => httpBearer(options as unknown as HttpBearerOptions)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('validator(token') as string,
      }),
    );
  });
});

describe('the challenge for a bearer token', () => {
  const refuses: Validator<string> = () => undefined;
  const accepts: Validator<string> = () => ({ principal: 'alice' });
  const challengesTo = async (validator: Validator<string>, scopes: string[], ...fields: string[]) => {
    const security = securityOf({ it: httpBearer({ validator }) }, [{ it: scopes }]);
    return denied(await security.authenticate(authorization(...fields))).challenges.map(renderChallenge);
  };

  it('has no error when there was no token (RFC 6750 §3)', async () => {
    expect(await challengesTo(refuses, [])).toEqual(['Bearer realm="a2a"']);
  });

  it.each([
    ['invalid_request', 'two tokens', refuses, 'Bearer a b'],
    ['invalid_token', 'a refused token', refuses, 'Bearer a'],
    ['insufficient_scope', 'a token that lacks scopes', accepts, 'Bearer a'],
  ])('says %s of %s, and what is asked for', async (error, _what, validator, field) => {
    expect(await challengesTo(validator, ['read', 'write'], field)).toEqual([
      `Bearer realm="a2a", error="${error}", scope="read write"`,
    ]);
  });
});

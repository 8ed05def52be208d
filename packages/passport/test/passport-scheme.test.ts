import {
  AgentSecurity,
  ConfigurationError,
  TooManyAttempts,
  VerifierUnavailable,
  type AuthRequest,
  type DecisionEvent,
  type SecurityScheme,
  type Verification,
} from '@a2a-auth/server';
import { conformanceRequest, type RequestParts } from '@a2a-auth/server/conformance';
import {
  passportScheme,
  type PassportDeclaration,
  type PassportSchemeOptions,
  type PassportStrategy,
  type StrategyRequest,
} from '@a2a-auth/passport';
import { HeaderAPIKeyStrategy } from 'passport-headerapikey';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import { ExtractJwt, Strategy as JwtStrategy } from 'passport-jwt';
import OAuth2Strategy from 'passport-oauth2';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { strategyThat, type Actions } from './support/strategy.js';

const TOKEN = 'token-0123456789-abcdefghijkl';
const BEARER = { type: 'http', scheme: 'Bearer' } as const;
const bearer = (token = TOKEN) => conformanceRequest({ header: { authorization: `Bearer ${token}` } });

const verify = (
  strategy: PassportStrategy,
  { declaration = BEARER, request = bearer(), ...options }: Partial<Trial> = {},
): Promise<Verification> => {
  const scheme = passportScheme(strategy, declaration, options);
  const context = { schemeId: 'it', request, resource: undefined };
  return Promise.resolve(scheme.verify(scheme.extract(request) ?? 'nothing was extracted', context));
};
interface Trial extends PassportSchemeOptions {
  readonly declaration: PassportDeclaration;
  readonly request: AuthRequest;
}
const verifyBy = (act: (actions: Actions, request: StrategyRequest) => unknown, options?: Partial<Trial>) =>
  verify(strategyThat(act), options);
const succeed = (user?: unknown, info?: unknown, options?: Partial<Trial>) =>
  verifyBy((actions) => {
    actions.success(user, info);
  }, options);

const decide = (scheme: SecurityScheme<string>, request = bearer(), scopes: string[] = []) =>
  new AgentSecurity<string>()
    .addSecurityScheme('it', scheme)
    .addSecurityRequirement({ it: scopes })
    .authenticate(request);

const refusal = (detail: RegExp, reason = 'invalid') =>
  expect.objectContaining({
    verified: false,
    reason,
    detail: expect.stringMatching(detail) as string,
  }) as Verification;
const accepted = (subject: string) =>
  expect.objectContaining({
    verified: true,
    principal: expect.objectContaining({ subject }) as object,
  }) as Verification;

afterEach(() => {
  vi.restoreAllMocks();
});

describe('what a strategy does', () => {
  it.each([
    [
      'at once',
      (actions: Actions) => {
        actions.success({ id: 'alice' });
      },
    ],
    [
      'later',
      (actions: Actions) =>
        setImmediate(() => {
          actions.success({ id: 'alice' });
        }),
    ],
    [
      'in an asynchronous method',
      async (actions: Actions) => {
        await Promise.resolve();
        actions.success({ id: 'alice' });
      },
    ],
    [
      'and then fails',
      (actions: Actions) => {
        actions.success({ id: 'alice' });
        actions.fail('no');
        actions.error(new Error('no'));
      },
    ],
    [
      'and then throws',
      (actions: Actions) => {
        actions.success({ id: 'alice' });
        throw new Error('no');
      },
    ],
  ])('lets in whom it succeeds with %s', async (_, act) => {
    expect(await verifyBy(act)).toEqual(accepted('alice'));
  });

  it.each([
    [
      'fails with nothing',
      (actions: Actions) => {
        actions.fail();
      },
      /^The strategy refused\.$/,
    ],
    [
      'fails with a challenge',
      (actions: Actions) => {
        actions.fail('Bearer realm="x"', 401);
      },
      /refused: Bearer realm="x"/,
    ],
    [
      'fails with a status',
      (actions: Actions) => {
        actions.fail(400);
      },
      /^The strategy refused\.$/,
    ],
    [
      'fails with a message',
      (actions: Actions) => {
        actions.fail({ message: 'Blocked' });
      },
      /refused: Blocked/,
    ],
    [
      'fails with an error',
      (actions: Actions) => {
        actions.fail(new Error('jwt malformed'), null);
      },
      /refused: Error: jwt malformed/,
    ],
    [
      'fails with something odd',
      (actions: Actions) => {
        actions.fail({ message: 7 });
      },
      /^The strategy refused\.$/,
    ],
    [
      'fails, and then succeeds',
      (actions: Actions) => {
        actions.fail();
        actions.success({ id: 'alice' });
      },
      /refused/,
    ],
    [
      'passes',
      (actions: Actions) => {
        actions.pass();
      },
      /passed/,
    ],
    [
      'throws',
      () => {
        throw new TypeError('x of undefined');
      },
      /threw\. TypeError: x of undefined/,
    ],
    ['rejects', () => Promise.reject(new Error('late')), /threw\. Error: late/],
  ])('refuses when it %s', async (_, act, detail) => {
    expect(await verifyBy(act)).toEqual(refusal(detail));
  });

  it('is waited for as long as any verifier when it does nothing, whatever it returns', async () => {
    const scheme = passportScheme(
      strategyThat(() => ({ id: 'alice' })),
      BEARER,
    );
    const decision = await new AgentSecurity({ verificationTimeout: 20 })
      .addSecurityScheme('it', scheme)
      .addSecurityRequirement({ it: [] })
      .authenticate(bearer());
    expect(decision).toMatchObject({ granted: false, reason: 'unavailable' });
  });

  it('cannot tell when it reports an error', async () => {
    const unavailable = verifyBy((actions) => {
      actions.error(new Error('connect ECONNREFUSED'));
    });
    await expect(unavailable).rejects.toThrow(VerifierUnavailable);
    await expect(unavailable).rejects.toThrow('The strategy reported an error. Error: connect ECONNREFUSED');
  });

  it.each<[string, (actions: Actions, told: Error) => unknown]>([
    [
      'error',
      (actions, told) => {
        actions.error(told);
      },
    ],
    [
      'fail',
      (actions, told) => {
        actions.fail(told);
      },
    ],
    [
      'throw',
      (_, told) => {
        throw told;
      },
    ],
    ['a rejection', (_, told) => Promise.reject(told)],
  ])('is understood when it says unavailable, or too many attempts, by %s', async (_, act) => {
    for (const told of [
      new VerifierUnavailable('Down.'),
      new TooManyAttempts('Slowly.', { retryAfter: 9 }),
    ]) {
      await expect(verifyBy((actions) => act(actions, told))).rejects.toBe(told);
    }
  });

  it('is not permitted when it fails with 403, or for want of scope', async () => {
    const insufficient = 'Bearer realm="Users", error="insufficient_scope", scope="admin"';
    for (const fail of [
      (actions: Actions) => {
        actions.fail(403);
      },
      (actions: Actions) => {
        actions.fail('Forbidden', 403);
      },
      (actions: Actions) => {
        actions.fail(insufficient);
      },
      (actions: Actions) => {
        actions.fail(insufficient, 401);
      },
    ]) {
      expect(await verifyBy(fail)).toMatchObject({
        verified: false,
        reason: 'not_permitted',
        error: 'insufficient_scope',
      });
      const decision = await decide(passportScheme(strategyThat(fail), BEARER));
      expect(decision).toMatchObject({ granted: false, reason: 'not_permitted' });
    }
  });

  it('has its error code told', async () => {
    const code = async (challenge: string) =>
      (await verifyBy((actions) => {
        actions.fail(challenge);
      })) as { error?: string };
    expect(await code('Bearer realm="Users", error="invalid_token"')).toMatchObject({
      error: 'invalid_token',
    });
    expect(await code('Bearer error=invalid_request')).toMatchObject({ error: 'invalid_request' });
    expect((await code('Bearer error_description="x"')).error).toBeUndefined();
    expect((await code('Bearer error="a\r\nb"')).error).toBeUndefined();
    expect((await code('Bearer error="UPPER"')).error).toBeUndefined();
  });
});

describe('what a strategy sees', () => {
  const seenBy = async (declaration: PassportDeclaration, parts: RequestParts) => {
    let seen: StrategyRequest | undefined;
    await verifyBy(
      (actions, request) => {
        seen = request;
        actions.fail();
      },
      { declaration, request: conformanceRequest(parts) },
    );
    return seen as StrategyRequest;
  };
  const noise = {
    header: { 'x-other': 'a', 'x-key': TOKEN, authorization: `Bearer ${TOKEN}`, 'x-forwarded-user': 'admin' },
    query: { access_token: 'b', key: TOKEN },
    cookie: { session: 'c', key: TOKEN },
    url: 'https://agent.example/a2a/jsonrpc',
  };
  const none = { headers: {}, query: {}, cookies: {}, body: undefined, url: '/a2a/jsonrpc' };

  it.each<[string, PassportDeclaration, object]>([
    ['the Authorization header', BEARER, { ...none, headers: { authorization: `Bearer ${TOKEN}` } }],
    ['a header', { type: 'apiKey', in: 'header', name: 'X-Key' }, { ...none, headers: { 'x-key': TOKEN } }],
    [
      'a parameter',
      { type: 'apiKey', in: 'query', name: 'key' },
      { ...none, query: { key: TOKEN }, url: `/a2a/jsonrpc?key=${TOKEN}` },
    ],
    [
      'a cookie',
      { type: 'apiKey', in: 'cookie', name: 'key' },
      { ...none, headers: { cookie: `key=${TOKEN}` }, cookies: { key: TOKEN } },
    ],
  ])('is the credential in %s, and nothing else that was sent', async (_, declaration, expected) => {
    const { headers, query, cookies, body, url } = await seenBy(declaration, noise);
    expect({ headers, query, cookies, body, url }).toEqual(expected);
  });

  it('looks like a request of Express, and is frozen', async () => {
    const seen = await seenBy(BEARER, { ...noise, remoteAddress: '192.0.2.1', method: 'GET' });
    expect(seen).toMatchObject({
      method: 'GET',
      path: '/a2a/jsonrpc',
      originalUrl: '/a2a/jsonrpc',
      ip: '192.0.2.1',
    });
    expect(seen.get('AUTHORIZATION')).toBe(`Bearer ${TOKEN}`);
    expect(seen.header('constructor')).toBeUndefined();
    expect([seen, seen.headers, seen.query, seen.cookies].every(Object.isFrozen)).toBe(true);
  });

  it('has no path of a URL that is none', async () => {
    expect((await seenBy(BEARER, { ...noise, url: '::' })).url).toBe('/');
  });

  it('has a parameter that is named like a prototype', async () => {
    const { query } = await seenBy(
      { type: 'apiKey', in: 'query', name: '__proto__' },
      { query: Object.fromEntries([['__proto__', TOKEN]]) },
    );
    expect(Object.entries(query)).toEqual([['__proto__', TOKEN]]);
    expect(Object.getPrototypeOf(query)).toBe(Object.prototype);
  });
});

describe('a token in another place than the declared one', () => {
  const strategy = new BearerStrategy((token, done) => {
    done(null, token === TOKEN ? { id: 'alice' } : false);
  });

  it('is no way in, although the strategy would take it', async () => {
    const scheme = passportScheme(strategy, BEARER);
    const inQuery = await decide(scheme, conformanceRequest({ query: { access_token: TOKEN } }));
    expect(inQuery).toMatchObject({ granted: false, reason: 'missing_credential' });
    const both = conformanceRequest({
      header: { authorization: 'Bearer wrong' },
      query: { access_token: TOKEN },
    });
    expect(await decide(scheme, both)).toMatchObject({ granted: false, reason: 'invalid_credential' });
  });

  it('is no way in for a strategy that looks into the query alone', async () => {
    const jwt = new JwtStrategy(
      { jwtFromRequest: ExtractJwt.fromUrlQueryParameter('token'), secretOrKey: 'secret' },
      (payload: object, done) => {
        done(null, payload);
      },
    );
    const request = conformanceRequest({
      header: { authorization: `Bearer ${TOKEN}` },
      query: { token: TOKEN },
    });
    expect(await verify(jwt, { request })).toEqual(refusal(/No auth token/));
  });

  it('is no way in when it is repeated', async () => {
    const scheme = passportScheme(strategy, BEARER);
    const twice = conformanceRequest({ header: { authorization: ['Bearer wrong', `Bearer ${TOKEN}`] } });
    expect(await decide(scheme, twice)).toMatchObject({ granted: false, reason: 'invalid_credential' });
  });
});

describe('who a user is', () => {
  it.each([
    ['its id', { id: 'alice', sub: 'x', username: 'y' }, 'alice'],
    ['its id, a number', { id: 42 }, '42'],
    ['its id 0', { id: 0 }, '0'],
    ['its id, a large number', { id: 2n ** 70n }, '1180591620717411303424'],
    ['its sub', { sub: 'alice', username: 'y' }, 'alice'],
    ['its username', { username: 'alice' }, 'alice'],
    [
      'the id of its class',
      new (class User {
        readonly #id = 'alice';
        get id() {
          return this.#id;
        }
      })(),
      'alice',
    ],
    [
      'an id in an object without prototype',
      Object.assign(Object.create(null) as object, { id: 'alice' }),
      'alice',
    ],
  ])('is %s', async (_, user, subject) => {
    expect(await succeed(user)).toEqual(accepted(subject));
  });

  it('is its sub with its issuer', async () => {
    expect(await succeed({ sub: 'alice', iss: 'https://issuer.example' })).toMatchObject({
      principal: { subject: 'alice', issuer: 'https://issuer.example' },
    });
    expect(await succeed({ id: 'alice', iss: 'https://issuer.example' })).toMatchObject({
      verified: true,
      principal: { subject: 'alice' },
    });
    expect(await succeed({ sub: 'alice', iss: { toString: () => 'x' } })).toEqual(refusal(/iss .* no text/));
  });

  it.each<[what: string, user: unknown, detail: RegExp]>([
    ['nothing', undefined, /without a user/],
    ['null', null, /without a user/],
    ['false', false, /without a user/],
    ['true', true, /is a boolean/],
    ['a text', 'alice', /is a string/],
    ['a number', 42, /is a number/],
    ['a function', () => 'alice', /is a function/],
    ['an object that names nobody', {}, /neither id nor sub nor username/],
    ['a list', ['alice'], /neither id nor sub nor username/],
    ['a user with an empty id', { id: '', sub: 'alice' }, /The id .* neither a text nor a whole number/],
    ['a user with a blank id', { id: '  ' }, /neither a text/],
    ['a user with an id that is no number', { id: NaN }, /neither a text/],
    ['a user with an id that is half a number', { id: 1.5 }, /neither a text/],
    ['a user with an id that is rounded', { id: 2 ** 53 }, /neither a text/],
    ['a user with an object for an id', { id: { toString: () => 'admin' } }, /neither a text/],
    ['a user with a list for an id', { id: ['admin'] }, /neither a text/],
    ['a user with true for an id', { id: true }, /neither a text/],
    ['a user with toString() alone', { toString: () => 'admin' }, /neither id nor sub/],
    ['a promise of a user', Promise.resolve({ id: 'alice' }), /is a promise/],
    [
      'a thenable with an id',
      {
        id: 'alice',
        then: (resolve: (user: object) => void) => {
          resolve({ id: 'admin' });
        },
      },
      /is a promise/,
    ],
    ['a user with an odd scope', { id: 'alice', scope: { ask: true } }, /scope .* neither a text nor a list/],
    [
      'a user with a list of odd scopes',
      { id: 'alice', scope: ['ask', 7] },
      /scope .* neither a text nor a list/,
    ],
    ['a user who is named by the credential', { id: TOKEN }, /named by the credential/],
    ['a user whose name holds the credential', { username: `user of ${TOKEN}` }, /named by the credential/],
  ])('is nobody: %s', async (_, user, detail) => {
    const verification = await succeed(user);
    expect(verification).toEqual(refusal(detail));
    expect(JSON.stringify(verification)).not.toContain(TOKEN);
  });

  it('is nobody by a credential that is a name', async () => {
    expect(await succeed({ id: 'alice' }, undefined, { request: bearer('alice') })).toEqual(
      refusal(/named by the credential/),
    );
    // A short one may be a part of a name by chance.
    expect(await succeed({ id: 'alice' }, undefined, { request: bearer('a') })).toEqual(accepted('alice'));
  });

  it('is nobody when a getter throws', async () => {
    const user = {
      get id(): string {
        throw new Error('The document is deleted.');
      },
    };
    expect(await succeed(user)).toEqual(refusal(/The document is deleted/));
  });

  it('is nobody by what a polluted prototype says', async () => {
    const polluted = Object.prototype as Record<string, unknown>;
    try {
      polluted.id = 'admin';
      polluted.scope = 'admin';
      expect(await succeed({ name: 'alice' })).toEqual(refusal(/neither id nor sub nor username/));
      expect(await succeed({ username: 'alice' })).toMatchObject({
        principal: { subject: 'alice' },
        scopes: [],
      });
    } finally {
      delete polluted.id;
      delete polluted.scope;
    }
  });

  it('does not pollute a prototype, nor take more of a user than its name', async () => {
    const user = JSON.parse(
      '{"id":"alice","__proto__":{"admin":true},"passwordHash":"h","constructor":{"prototype":{"x":1}}}',
    ) as object;
    expect(await succeed(user)).toEqual({
      verified: true,
      principal: { subject: 'alice', expiresAt: undefined },
      scopes: [],
    });
    expect('admin' in {}).toBe(false);
  });

  it.each([
    ['a text', 'ask  admin', ['ask', 'admin']],
    ['a list', ['ask', 'admin'], ['ask', 'admin']],
    ['nothing', null, []],
  ])('has the scopes that are in %s', async (_, scope, scopes) => {
    expect(await succeed({ id: 'alice' }, { scope })).toMatchObject({ scopes });
    expect(await succeed({ id: 'alice', scope })).toMatchObject({ scopes });
  });

  it('has the scopes of the token rather than those of the user', async () => {
    expect(await succeed({ id: 'alice', scope: 'admin' }, { scope: 'ask' })).toMatchObject({
      scopes: ['ask'],
    });
  });

  it('lacks scopes as with any other scheme', async () => {
    const scheme = passportScheme(
      strategyThat((actions) => {
        actions.success({ id: 'a', scope: 'ask' });
      }),
      BEARER,
    );
    expect(await decide(scheme, bearer(), ['ask'])).toMatchObject({
      granted: true,
      principal: { scopes: ['ask'] },
    });
    const decision = await decide(scheme, bearer(), ['admin']);
    expect(decision).toMatchObject({ reason: 'insufficient_scope', missingScopes: ['admin'] });
  });
});

describe('principalOf', () => {
  interface User {
    readonly email: string;
  }
  const named = (principalOf: PassportSchemeOptions['principalOf']) =>
    succeed(
      { email: 'alice@example.org' },
      { tenant: 't' },
      principalOf === undefined ? {} : { principalOf },
    );

  it('says who a user is', async () => {
    const scheme = passportScheme(
      strategyThat((actions) => {
        actions.success({ email: 'alice@example.org' }, { tenant: 't' });
      }),
      BEARER,
      {
        principalOf: ({ email }: User, { tenant }: { tenant: string }) => ({
          principal: { subject: email, claims: { tenant } },
          scopes: ['ask'],
        }),
      },
    );
    expect(await decide(scheme)).toMatchObject({
      granted: true,
      principal: { id: 'scheme:it|alice@example.org', claims: { tenant: 't' }, scopes: ['ask'] },
    });
  });

  it('may wait, and give a name alone, and an end', async () => {
    expect(await named(() => Promise.resolve({ principal: 'alice', expiresAt: 4_000_000_000 }))).toEqual({
      verified: true,
      principal: { subject: 'alice', expiresAt: 4_000_000_000 },
      scopes: undefined,
    });
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['true', true],
    ['a text', 'alice'],
    ['no principal', {}],
    ['an empty principal', { principal: '' }],
    ['a principal without a subject', { principal: { name: 'alice' } }],
    ['an object for a subject', { principal: { subject: { toString: () => 'admin' } } }],
  ])('refuses by saying %s', async (_, answer) => {
    expect(await named(() => answer as never)).toEqual(refusal(/principalOf did not say/));
  });

  it('refuses by throwing, and cannot tell by throwing VerifierUnavailable', async () => {
    expect(
      await named(() => {
        throw new Error('no such tenant');
      }),
    ).toEqual(refusal(/principalOf threw\. Error: no such tenant/));
    await expect(named(() => Promise.reject(new VerifierUnavailable('Down.')))).rejects.toThrow(
      VerifierUnavailable,
    );
  });

  it('may say that a token is bound to its sender, which is then enforced', async () => {
    const bound = await named(() => ({
      principal: { subject: 'alice', claims: { cnf: { 'x5t#S256': 'abc' } } },
    }));
    expect(bound.verified).toBe(false);
  });
});

describe('what goes to the audit event', () => {
  it('holds no credential, no line break, and not too much', async () => {
    const events: DecisionEvent[] = [];
    const strategy = strategyThat((actions) => {
      actions.fail(
        `Bearer error_description="no ${TOKEN}\r\nSet-Cookie: a=b\u2028\u202e${'x'.repeat(1000)}"`,
      );
    });
    const security = new AgentSecurity({ onDecision: (event) => events.push(event) })
      .addSecurityScheme('it', passportScheme(strategy, BEARER))
      .addSecurityRequirement({ it: [] });
    const decision = await security.authenticate(bearer());
    await security.conclude(decision, { operation: 'GetTask', binding: 'JSONRPC' });
    const detail = events[0]?.schemes[0]?.detail ?? '';
    expect(detail).toContain('no [credential] Set-Cookie');
    expect(detail).not.toMatch(/[\r\n\u2028\u202e]/);
    expect(detail.length).toBeLessThan(400);
  });
});

describe('what the caller is told', () => {
  it('is phrased by this library, whatever the strategy says', async () => {
    const strategy = strategyThat((actions) => {
      actions.fail('Bearer realm="Users", error="invalid_token"\r\nSet-Cookie: a=b');
    });
    const decision = await decide(passportScheme(strategy, BEARER));
    expect(decision).toMatchObject({
      challenges: [{ scheme: 'Bearer', params: { realm: 'a2a', error: 'invalid_token' } }],
    });
    expect(JSON.stringify(decision)).not.toContain('Set-Cookie');
  });
});

describe('concurrent calls', () => {
  it('do not meet, although the strategy keeps them on itself', async () => {
    const strategy = strategyThat(function (actions, request) {
      const running = actions as Actions & { token?: string | undefined };
      running.token = request.headers.authorization;
      setImmediate(() => {
        actions.success({ id: running.token });
      });
    });
    const scheme = passportScheme(strategy, { type: 'http', scheme: 'Key' });
    const subjects = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const request = conformanceRequest({ header: { authorization: `Key ${String(index)}` } });
        const credential = scheme.extract(request) as string;
        return scheme.verify(credential, { schemeId: 'it', request, resource: undefined });
      }),
    );
    expect(subjects.map((answer) => answer.verified && answer.principal.subject)).toEqual(
      Array.from({ length: 50 }, (_, index) => `Key ${String(index)}`),
    );
  });

  it('run on a strategy that is frozen, or has actions of its own', async () => {
    const strategy = {
      ...strategyThat((actions) => {
        actions.success({ id: 'alice' });
      }),
      success: () => 'not this',
    };
    expect(await verify(Object.freeze(strategy))).toEqual(accepted('alice'));
    expect(strategy.success()).toBe('not this');
  });
});

describe('a login strategy', () => {
  const options = {
    authorizationURL: 'https://issuer.example/authorize',
    tokenURL: 'https://issuer.example/token',
    clientID: 'app',
    clientSecret: 'secret',
    callbackURL: 'https://app.example/callback',
  };

  it('is a configuration error', () => {
    const create = () => passportScheme(new OAuth2Strategy(options, () => undefined), BEARER);
    expect(create).toThrow(ConfigurationError);
    expect(create).toThrow(
      /"oauth2" logs people in by a redirect, which agents do not follow\. Use a strategy that verifies/,
    );
  });

  it('that shows itself only when it is used is refused, and reported once', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
    const strategy = strategyThat((actions) => {
      actions.redirect('https://issuer.example/authorize');
    });
    const scheme = passportScheme(strategy, BEARER);
    for (let time = 0; time < 3; time += 1) {
      expect(await decide(scheme)).toMatchObject({ granted: false, reason: 'invalid_credential' });
    }
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringContaining('"test" answered a call by a redirect'),
      {
        code: 'A2A_AUTH_PASSPORT_REDIRECT',
      },
    );
  });

  it('that shows itself late is refused like any other', async () => {
    vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
    const strategy: PassportStrategy = {
      authenticate(this: Actions) {
        setImmediate(() => {
          this.redirect('https://issuer.example');
        });
      },
    };
    expect(await verify(strategy)).toEqual(refusal(/redirect/));
  });
});

describe('a configuration error', () => {
  const strategy = strategyThat(() => undefined);
  it.each<[string, unknown, unknown, object | undefined, RegExp]>([
    ['the name of a strategy', 'bearer', BEARER, undefined, /needs an instance/],
    ['the class of a strategy', BearerStrategy, BEARER, undefined, /not its name or its class/],
    ['no strategy', undefined, BEARER, undefined, /needs an instance/],
    ['no declaration', strategy, undefined, undefined, /needs a declaration that says where/],
    ['a declaration of another type', strategy, { type: 'basic' }, undefined, /needs a declaration/],
    ['a client certificate', strategy, { type: 'mutualTLS' }, undefined, /Use mutualTls\(\)/],
    [
      'a scheme that begins with a challenge',
      strategy,
      { type: 'http', scheme: 'Digest' },
      undefined,
      /Digest begins with a challenge/,
    ],
    [
      'a misspelt option',
      strategy,
      BEARER,
      { principalof: () => undefined },
      /passportScheme\(\) has no option principalof/,
    ],
    [
      'no function for principalOf',
      strategy,
      BEARER,
      { principalOf: 'id' },
      /principalOf must be a function/,
    ],
    [
      'a strategy that lets in everybody',
      {
        authenticate(this: Actions) {
          this.success({ id: 'everybody' });
        },
      },
      BEARER,
      undefined,
      /lets in a caller without a credential/,
    ],
  ])('is %s', (_, given, declaration, options, message) => {
    const create = () =>
      passportScheme(
        given as PassportStrategy,
        declaration as PassportDeclaration,
        options as PassportSchemeOptions,
      );
    expect(create).toThrow(ConfigurationError);
    expect(create).toThrow(message);
  });

  it('is not what a strategy does otherwise without a credential', async () => {
    for (const act of [
      () => undefined,
      () => {
        throw new Error('no session');
      },
      () => Promise.reject(new Error('no session')),
      function (this: Actions) {
        this.error(new Error('no session'));
      },
      function (this: Actions) {
        this.pass();
      },
    ]) {
      expect(() => passportScheme({ authenticate: act }, BEARER)).not.toThrow();
    }
    // A rejection that nobody handles would end the process.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  });

  it('does not follow a declaration that is changed later', () => {
    const declaration = { type: 'apiKey' as const, in: 'header' as const, name: 'X-Key' };
    const scheme = passportScheme(
      new HeaderAPIKeyStrategy({ header: 'X-Key', prefix: '' }, false, () => undefined),
      declaration,
    );
    declaration.name = 'X-Other';
    expect(scheme.declaration).toMatchObject({ name: 'X-Key' });
    expect(scheme.extract(conformanceRequest({ header: { 'X-Other': 'abc' } }))).toBeUndefined();
  });

  it('has the scopes of its flow, unless told otherwise', () => {
    const flow = {
      type: 'clientCredentials',
      tokenUrl: 'https://as.example/token',
      scopes: { ask: 'Ask' },
    } as const;
    expect(passportScheme(strategy, { type: 'oauth2', flow }).scopes).toEqual(['ask']);
    expect(passportScheme(strategy, BEARER).scopes).toBeUndefined();
    expect(passportScheme(strategy, BEARER, { scopes: ['x'] }).scopes).toEqual(['x']);
  });
});

import {
  AgentSecurity,
  ConfigurationError,
  apiKey,
  httpBasic,
  httpBearer,
  jwt,
  type AgentSecurityOptions,
  type SecurityScheme,
  type StepUp,
} from '@a2a-auth/server';
import { describe, expect, it } from 'vitest';

import { agentCard, granted, headerScheme, securityOf } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

const nobody = () => undefined;
const handler = { getAgentCard: () => Promise.resolve(agentCard()) } as Parameters<
  AgentSecurity['protect']
>[0];

/** What is wrong with this configuration, by its first use. */
function problemsOf(security: AgentSecurity<string>) {
  try {
    security.validate();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

/** The codes, and the messages in one. */
function diagnosis(security: AgentSecurity<string>) {
  const problems = problemsOf(security);
  return {
    codes: problems.map(({ code }) => code),
    message: problems.map(({ message }) => message).join('\n'),
  };
}

describe('a scheme', () => {
  it('registered twice under one id: DUPLICATE_SCHEME', () => {
    const security = new AgentSecurity()
      .addSecurityScheme('partnerKey', headerScheme('x-a'))
      .addSecurityScheme('partnerKey', headerScheme('x-b'))
      .addSecurityRequirement({ partnerKey: [] });
    const { codes, message } = diagnosis(security);
    expect(codes).toEqual(['DUPLICATE_SCHEME']);
    expect(message).toMatch(/"partnerKey".*another id/);
  });

  it.each([
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '',
    ' ',
    'my key',
    'clé',
    'a|b',
    'a%b',
    'a:b',
  ])('with the id %j: INVALID_SCHEME_ID', (id) => {
    const security = new AgentSecurity<string>()
      .addSecurityScheme(id, headerScheme('x-a'))
      .addSecurityScheme('good', headerScheme('x-b'))
      .addSecurityRequirement({ good: [] });
    const { codes, message } = diagnosis(security);
    expect(codes).toEqual(['INVALID_SCHEME_ID']);
    expect(message).toContain(`"${id}"`);
    expect(message).toContain('Use letters, digits');
  });

  it.each([undefined, null, 5, Symbol('id')])(
    'with an id that is no string (%s): INVALID_SCHEME_ID',
    (id) => {
      const security = securityOf({ good: headerScheme('x-b') });
      security.addSecurityScheme(id as unknown as string, headerScheme('x-a'));
      expect(diagnosis(security).codes).toEqual(['INVALID_SCHEME_ID']);
    },
  );

  it.each(['a', 'A.b-c_9', 'proto', '0'])('with the id %j is registered', (id) => {
    expect(problemsOf(securityOf({ [id]: headerScheme('x-a') }))).toEqual([]);
  });

  it.each([
    ['of an unknown type', { type: 'kerberos' }],
    ['an API key in the body', { type: 'apiKey', in: 'body', name: 'key' }],
    ['an API key without a name', { type: 'apiKey', in: 'header', name: '' }],
    ['an HTTP scheme that is no token', { type: 'http', scheme: 'Bearer realm="x"' }],
    ['OAuth 2.0 without a flow', { type: 'oauth2' }],
    ['OpenID Connect without its URL', { type: 'openIdConnect' }],
    ['a string', 'apiKey'],
  ])('with a declaration that is %s: INVALID_SCHEME', (_what, declaration) => {
    const security = securityOf({
      bad: { ...headerScheme('x-a'), declaration } as unknown as SecurityScheme,
    });
    const { codes, message } = diagnosis(security);
    expect(codes).toEqual(['INVALID_SCHEME']);
    expect(message).toMatch(/"bad".*declaration/);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a function', nobody],
    ['an object without verify()', { extract: nobody }],
    ['an object without extract()', { verify: nobody }],
    ['an object whose verify is no function', { extract: nobody, verify: true }],
  ])('that is %s: INVALID_SCHEME', (_what, scheme) => {
    const security = securityOf({ good: headerScheme('x-b') });
    security.addSecurityScheme('bad', scheme as unknown as SecurityScheme);
    const { codes, message } = diagnosis(security);
    expect(codes).toEqual(['INVALID_SCHEME']);
    expect(message).toMatch(/"bad".*verify\(\)/);
  });

  it('that is a token verifier: INVALID_SCHEME, which says where it belongs', () => {
    const security = securityOf({ good: headerScheme('x-b') });
    const verifier = jwt({ issuer: 'https://issuer.example', audience: 'agent', secret: 's'.repeat(32) });
    security.addSecurityScheme('bad', verifier as unknown as SecurityScheme);
    const { codes, message } = diagnosis(security);
    expect(codes).toEqual(['INVALID_SCHEME']);
    expect(message).toMatch(/"bad".*httpBearer\({ verifier }\)/);
  });
});

describe('requirements', () => {
  it('that were forgotten: NO_REQUIREMENT', () => {
    const { codes, message } = diagnosis(new AgentSecurity().addSecurityScheme('key', headerScheme('x-a')));
    expect(codes).toEqual(['NO_REQUIREMENT']);
    expect(message).toMatch(/addSecurityRequirement.*allowAnonymous: true/);
  });

  it('are not needed with allowAnonymous: true', async () => {
    const decision = await new AgentSecurity({ allowAnonymous: true }).authenticate(authRequest());
    expect(granted(decision).principal.id).toBe('anonymous');
  });

  it('are still needed with allowAnonymous: false', () => {
    expect(diagnosis(new AgentSecurity({ allowAnonymous: false })).codes).toEqual(['NO_REQUIREMENT']);
  });

  it('are enforced although allowAnonymous is true', async () => {
    const security = securityOf({ key: headerScheme('x-a') }, [{ key: [] }], { allowAnonymous: true });
    expect((await security.authenticate(authRequest())).granted).toBe(false);
  });
});

describe('a requirement', () => {
  const withRequirement = (requirement: unknown, scheme: SecurityScheme = headerScheme('x-a')) =>
    diagnosis(securityOf({ key: scheme }, [requirement as Record<string, string[]>]));

  it('that names an id nobody registered: UNKNOWN_SCHEME', () => {
    const { codes, message } = withRequirement({ kye: [] });
    expect(codes).toEqual(['UNKNOWN_SCHEME']);
    expect(message).toMatch(/"kye".*registered: "key".*addSecurityScheme\("kye"/);
  });

  it('that names an id nobody registered does not compile', () => {
    const security = new AgentSecurity().addSecurityScheme('key', headerScheme('x-a'));
    // @ts-expect-error: "kye" is not among the registered ids
    expect(diagnosis(security.addSecurityRequirement({ kye: [] })).codes).toEqual(['UNKNOWN_SCHEME']);
  });

  it.each(['__proto__', 'constructor', 'toString'])('that names %j: UNKNOWN_SCHEME', (id) => {
    expect(withRequirement({ [id]: [] }).codes).toEqual(['UNKNOWN_SCHEME']);
  });

  it.each([
    ['null', null],
    ['nothing', undefined],
    ['a string', 'key'],
    ['a list', ['key']],
    ['a Map, which has no keys of its own', new Map([['key', []]])],
    ['a Set', new Set(['key'])],
    ['an object whose keys are inherited', Object.create({ key: [] })],
    ['a literal with __proto__ for an id', { __proto__: [] }],
  ])('that is %s, and so would have been anonymous: INVALID_REQUIREMENT', (_what, requirement) => {
    const { codes, message } = withRequirement(requirement);
    expect(codes).toEqual(['INVALID_REQUIREMENT']);
    expect(message).toContain('{ myKey: [] }');
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['true', true],
    ['a string', 'read'],
    ['an empty scope', ['']],
    ['two scopes in one', ['read write']],
    ['a scope with a quote', ['"read']],
    ['a number', [1]],
  ])('whose scopes are %s: INVALID_REQUIREMENT', (_what, scopes) => {
    const { codes, message } = withRequirement({ key: scopes });
    expect(codes).toEqual(['INVALID_REQUIREMENT']);
    expect(message).toMatch(/"key" a list of scopes, .*; write \[\] for none/);
  });

  it('that asks for a scope the scheme does not declare: UNDECLARED_SCOPE', () => {
    const scheme = headerScheme('x-a', undefined, { scopes: ['read'] });
    const { codes, message } = withRequirement({ key: ['wirte'] }, scheme);
    expect(codes).toEqual(['UNDECLARED_SCOPE']);
    expect(message).toMatch(/"key".*"wirte".*declared: "read".*Declare the scope/);
  });

  it('may ask a scheme that declares no scopes for any', () => {
    expect(withRequirement({ key: ['whatever'] }).codes).toEqual([]);
  });

  it('may be without a prototype', () => {
    expect(withRequirement(Object.assign(Object.create(null) as object, { key: [] })).codes).toEqual([]);
  });

  it.each<[string, unknown]>([
    ['nothing', {}],
    ['no acr at all', { acrValues: [] }],
    ['two acr values in one', { acrValues: ['a b'] }],
    ['an acr value that is no text', { acrValues: [1] }],
    ['a part of a second', { maxAge: 0.5 }],
    ['an age below zero', { maxAge: -1 }],
  ])('whose step-up asks for %s: INVALID_REQUIREMENT', (_what, stepUp) => {
    const security = securityOf({ token: httpBearer({ validator: nobody }) }, []);
    security.addSecurityRequirement({ token: [] }, stepUp as StepUp);
    expect(diagnosis(security).codes).toEqual(['INVALID_REQUIREMENT']);
  });

  const conflict = (one: SecurityScheme, other: SecurityScheme) =>
    diagnosis(securityOf({ one, other }, [{ one: [], other: [] }]));
  const key = (place: 'header' | 'query' | 'cookie', name: string) =>
    apiKey({ in: place, name, validator: nobody });

  it('for basic and bearer at once: CONFLICTING_PLACE', () => {
    const { codes, message } = conflict(httpBasic({ validator: nobody }), httpBearer({ validator: nobody }));
    expect(codes).toEqual(['CONFLICTING_PLACE']);
    expect(message).toMatch(/"one" and "other".*header authorization.*alternatives/);
  });

  it('for two API keys in one header, however written: CONFLICTING_PLACE', () => {
    expect(conflict(key('header', 'X-API-Key'), key('header', 'x-api-key')).codes).toEqual([
      'CONFLICTING_PLACE',
    ]);
  });

  it('for bearer and an API key in the Authorization header: CONFLICTING_PLACE', () => {
    const { codes } = conflict(httpBearer({ validator: nobody }), key('header', 'authorization'));
    expect(codes).toEqual(['CONFLICTING_PLACE']);
  });

  it.each([
    ['two cookies that differ in case', key('cookie', 'Key'), key('cookie', 'key')],
    ['two query parameters that differ in case', key('query', 'Key'), key('query', 'key')],
    ['a header and a query parameter that differ in case', key('header', 'Key'), key('query', 'key')],
    ['bearer and an API key', httpBearer({ validator: nobody }), key('header', 'x-api-key')],
  ])('for %s can be met', (_what, one, other) => {
    expect(conflict(one, other).codes).toEqual([]);
  });

  it('for a key in the Authorization header, beside another for bearer: CONFLICTING_PLACE', () => {
    const schemes = { one: key('header', 'Authorization'), other: httpBearer({ validator: nobody }) };
    const { codes, message } = diagnosis(securityOf(schemes));
    expect(codes).toEqual(['CONFLICTING_PLACE']);
    expect(message).toMatch(/"one" and "other".*Authorization.*header of its own/);
  });

  it('for a key in the Authorization header, beside a scheme for bearer that is not enforced, can be met', () => {
    const schemes = { one: key('header', 'Authorization'), other: httpBearer({ validator: nobody }) };
    expect(problemsOf(securityOf(schemes, [{ one: [] }]))).toEqual([]);
  });

  it('for basic, beside another for bearer, can be met', () => {
    const schemes = { one: httpBasic({ validator: nobody }), other: httpBearer({ validator: nobody }) };
    expect(problemsOf(securityOf(schemes))).toEqual([]);
  });
});

describe('options', () => {
  it.each([0, -1, Number.NaN, Infinity, 2 ** 31])(
    'with verificationTimeout %s: INVALID_OPTION',
    (verificationTimeout) => {
      expect(() => new AgentSecurity({ verificationTimeout })).toThrow(
        expect.objectContaining({
          code: 'INVALID_OPTION',
          message: expect.stringContaining('verificationTimeout') as string,
        }),
      );
    },
  );

  it.each([{ messages: 'https' }, { others: 'task' }, { messages: '' }])(
    'with denials %j: INVALID_OPTION',
    (denials) => {
      expect(() => new AgentSecurity({ denials } as AgentSecurityOptions)).toThrow(
        expect.objectContaining({
          code: 'INVALID_OPTION',
          message: expect.stringContaining("'task' | 'http'") as string,
        }),
      );
    },
  );

  it('may be left out', () => {
    expect(new AgentSecurity().denials).toEqual({ messages: 'task', others: 'http' });
  });
});

describe('a wrong configuration', () => {
  const wrong = () => new AgentSecurity<string>().addSecurityRequirement({ nobody: [] });

  it.each<[string, (security: AgentSecurity<string>) => unknown]>([
    ['validate()', (security) => security.validate()],
    ['authenticate()', (security) => security.authenticate(authRequest())],
    ['protect()', (security) => security.protect(handler)],
    ['publish()', (security) => security.publish(agentCard())],
    ['published', (security) => security.published],
    ['secretHeaders', (security) => security.secretHeaders],
  ])('is found by %s', (_use, use) => {
    expect(() => use(wrong())).toThrow(ConfigurationError);
  });

  it('is told in full, not only the first problem', () => {
    const security = new AgentSecurity<string>()
      .addSecurityScheme('a b', headerScheme('x-a'))
      .addSecurityRequirement({ c: [] })
      .addSecurityRequirement({ d: [] });
    expect(diagnosis(security).codes).toEqual(['INVALID_SCHEME_ID', 'UNKNOWN_SCHEME', 'UNKNOWN_SCHEME']);
  });

  it('has the code of its first problem, for programs', () => {
    expect(() => wrong().validate()).toThrow(
      expect.objectContaining({ name: 'ConfigurationError', code: 'UNKNOWN_SCHEME' }),
    );
  });

  it('can be mended and used', () => {
    const security = wrong();
    expect(() => security.validate()).toThrow(ConfigurationError);
    security.addSecurityScheme('nobody', headerScheme('x-a'));
    expect(problemsOf(security)).toEqual([]);
  });
});

describe('after its first use', () => {
  const uses: [string, (security: AgentSecurity<string>) => unknown][] = [
    ['validate()', (security) => security.validate()],
    ['authenticate()', (security) => security.authenticate(authRequest())],
    ['protect()', (security) => security.protect(handler)],
    ['publish()', (security) => security.publish(agentCard())],
    ['secretHeaders', (security) => security.secretHeaders],
  ];

  it.each(uses)('%s, a configuration takes no scheme: FROZEN', async (_use, use) => {
    const security = securityOf({ key: headerScheme('x-a') });
    await use(security);
    expect(() => security.addSecurityScheme('late', headerScheme('x-b'))).toThrow(
      expect.objectContaining({
        code: 'FROZEN',
        message: expect.stringContaining('addSecurityScheme') as string,
      }),
    );
  });

  it.each(uses)('%s, a configuration takes no requirement: FROZEN', async (_use, use) => {
    const security = securityOf({ key: headerScheme('x-a') });
    await use(security);
    expect(() => security.addSecurityRequirement({})).toThrow(
      expect.objectContaining({
        code: 'FROZEN',
        message: expect.stringContaining('addSecurityRequirement') as string,
      }),
    );
  });

  it('a configuration does not change with the objects it was given', async () => {
    const scopes = ['admin'];
    const requirement: Record<string, string[]> = { key: scopes };
    const security = securityOf({ key: headerScheme('x-a') }, [requirement]).validate();
    scopes.length = 0;
    delete requirement.key;
    const decision = await security.authenticate(authRequest({ header: { 'x-a': 'alice' } }));
    expect(decision.granted).toBe(false);
    expect(security.published.requirements).toEqual([{ key: ['admin'] }]);
  });
});

describe('secretHeaders', () => {
  it('are where the schemes expect secrets, and where HTTP does, in lower case', () => {
    const security = securityOf({
      one: apiKey({ in: 'header', name: 'X-API-Key', validator: nobody }),
      two: apiKey({ in: 'query', name: 'Token', validator: nobody }),
      hidden: headerScheme('x-hidden', undefined, { declaration: undefined }),
    });
    expect([...security.secretHeaders].sort()).toEqual([
      'authorization',
      'cookie',
      'proxy-authorization',
      'x-api-key',
    ]);
  });

  it('are as well those that a scheme names besides the declared one', () => {
    const security = securityOf({
      signed: headerScheme('x-key', undefined, { secretHeaders: ['X-Signature'] }),
    });
    expect([...security.secretHeaders]).toContain('x-signature');
  });
});

describe('a key in the header and one in the query of the same name', () => {
  const key = (place: 'header' | 'query', name: string) => apiKey({ in: place, name, keys: ['a-key'] });

  it('cannot both be met, also as alternatives', () => {
    const security = new AgentSecurity()
      .addSecurityScheme('h', key('header', 'api_key'))
      .addSecurityScheme('q', key('query', 'api_key'))
      .addSecurityRequirement({ h: [] })
      .addSecurityRequirement({ q: [] });
    expect(() => security.validate()).toThrow(
      expect.objectContaining({
        problems: [expect.objectContaining({ code: 'CONFLICTING_PLACE' })],
        message: expect.stringContaining('"h" and "q"') as string,
      }),
    );
  });
});

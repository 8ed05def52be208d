import {
  apiKey,
  basic,
  bearer,
  CLIENT_NOTICE_CHANNEL,
  planAuthentication,
  type Credentials,
} from '@a2a-auth/client';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it, onTestFinished } from 'vitest';

import {
  basicScheme,
  bearerScheme,
  cardJson,
  cookieKey,
  headerKey,
  mtlsScheme,
  oauthScheme,
} from './support/card.js';
import { countingSource } from './support/source.js';

const schemes = {
  key: headerKey(),
  otherKey: headerKey('X-Other'),
  token: bearerScheme,
  login: basicScheme,
  oauth: oauthScheme(),
  mtls: mtlsScheme,
};
const person = countingSource({ interactive: true }).source;
const token = bearer('token');

/** The requirement that is chosen. */
function chosen(requirements: Parameters<typeof cardJson>[1], credentials: Credentials, declared = schemes) {
  return planAuthentication(cardJson(declared, requirements), credentials).chosen?.requirement;
}

describe('the choice', () => {
  it('is the first alternative that can be met', () => {
    const requirements = [{ mtls: [] }, { key: [] }, { token: [] }];
    expect(chosen(requirements, { key: apiKey('k'), token })).toEqual({ key: [] });
  });

  it('is none when none can be met', () => {
    expect(chosen([{ mtls: [] }, { key: [], token: [] }], { key: apiKey('k') })).toBeUndefined();
  });

  it('needs all schemes of an alternative', () => {
    const requirements = [{ key: [], token: [] }, { token: [] }];
    expect(chosen(requirements, { token })).toEqual({ token: [] });
    expect(chosen(requirements, { token, key: apiKey('k') })).toEqual({ key: [], token: [] });
  });

  it('is rather one that needs no person', () => {
    expect(chosen([{ oauth: ['read'] }, { key: [] }], { oauth: person, key: apiKey('k') })).toEqual({
      key: [],
    });
  });

  it('is one that needs a person when there is no other', () => {
    expect(chosen([{ oauth: ['read'] }, { mtls: [] }], { oauth: person })).toEqual({ oauth: ['read'] });
  });

  it('is rather one that uses credentials than one that uses nothing', () => {
    expect(chosen([{}, { key: [] }], { key: apiKey('k') })).toEqual({ key: [] });
  });

  it('is rather one that uses nothing than one that needs a person', () => {
    expect(chosen([{ oauth: [] }, {}], { oauth: person })).toEqual({});
  });

  it('uses nothing with a card that requires nothing', () => {
    const plan = planAuthentication(cardJson(schemes), { key: apiKey('k') });
    expect(plan.chosen).toMatchObject({ requirement: {}, meetable: true, steps: [] });
  });
});

describe('credentials that are left unused', () => {
  const noticesOf = (requirements: Parameters<typeof cardJson>[1], credentials: Credentials) => {
    const notices: unknown[] = [];
    const listener = (notice: unknown) => notices.push(notice);
    subscribe(CLIENT_NOTICE_CHANNEL, listener);
    onTestFinished(() => {
      unsubscribe(CLIENT_NOTICE_CHANNEL, listener);
    });
    planAuthentication(cardJson(schemes, requirements), credentials);
    return notices;
  };

  it('under a misspelt id are told of, where calls are made without any', () => {
    const credentials = { Key: apiKey('k') };
    expect(chosen([{ key: [] }, {}], credentials)).toEqual({});
    expect(noticesOf([{ key: [] }, {}], credentials)).toEqual([
      {
        code: 'CREDENTIALS_UNUSED',
        message: expect.stringMatching(/"key": .* There is one for "Key"/) as string,
      },
    ]);
  });

  it.each<[string, Parameters<typeof cardJson>[1], Credentials]>([
    ['there are none', [{ key: [] }, {}], {}],
    ['they are used', [{ key: [] }, {}], { key: apiKey('k') }],
    ['the card requires nothing', [], { Key: apiKey('k') }],
    ['they would need a person', [{ oauth: [] }, {}], { oauth: person }],
    ['the card has nothing to call without', [{ key: [] }], { Key: apiKey('k') }],
  ])('are not told of when %s', (_what, requirements, credentials) => {
    expect(noticesOf(requirements, credentials)).toEqual([]);
  });
});

describe('a list of credentials', () => {
  it('gives each scheme the first source that fits', () => {
    const plan = planAuthentication(cardJson(schemes, [{ token: [], key: [] }]), [
      basic('a', 'b'),
      apiKey('k'),
      token,
    ]);
    expect(plan.chosen?.steps.map(({ schemeId, source }) => [schemeId, source === token])).toEqual([
      ['token', true],
      ['key', false],
    ]);
  });

  it('does not give two schemes of one alternative the same key', () => {
    expect(chosen([{ key: [], otherKey: [] }], [apiKey('k')])).toBeUndefined();
  });
});

describe('the reasons', () => {
  const reasons = (
    requirement: Record<string, string[]>,
    credentials: Credentials,
    declared: object = schemes,
  ) =>
    planAuthentication(cardJson(declared as typeof schemes, [requirement]), credentials).alternatives[0]
      ?.reasons;

  it('say that there is no credential', () => {
    expect(reasons({ key: [] }, {})).toEqual({ key: 'There is no credential for it.' });
  });

  it('say that what there is has a name that the card has not', () => {
    expect(reasons({ key: [] }, { Key: apiKey('k') })).toEqual({
      key: 'There is no credential for it. There is one for "Key", which the card does not declare.',
    });
  });

  it('say what the source says', () => {
    expect(reasons({ mtls: [] }, { mtls: token })).toEqual({
      mtls: 'A bearer token is no mutualTLS credential.',
    });
  });

  it('say that the card does not declare the scheme', () => {
    expect(reasons({ ghost: [] }, { ghost: token })).toEqual({ ghost: 'The card does not declare it.' });
  });

  it.each([
    [
      { token: [], login: [] },
      { token, login: basic('a', 'b') },
    ],
    [
      { token: [], oauth: [] },
      { token, oauth: token },
    ],
  ])('say that two credentials would collide: %j', (requirement, credentials) => {
    const [, second = ''] = Object.keys(requirement);
    expect(reasons(requirement, credentials)).toEqual({
      [second]: 'It goes into the same place as "token": "header authorization".',
    });
  });

  it('say that a key in the Authorization header collides with a token', () => {
    const declared = { key: headerKey('Authorization'), token: bearerScheme };
    expect(reasons({ key: [], token: [] }, { key: apiKey('k'), token }, declared)).toHaveProperty('token');
  });

  it('say which scopes policy does not allow', () => {
    const card = cardJson(schemes, [{ oauth: ['read', 'write'] }]);
    const plan = planAuthentication(card, { oauth: token }, { scopes: ['read'] });
    expect(plan.chosen).toBeUndefined();
    expect(plan.alternatives[0]?.reasons).toEqual({ oauth: 'policy.scopes does not allow: write.' });
  });

  it('say that a scope is none, so that one text cannot stand for two scopes', () => {
    expect(reasons({ oauth: ['read admin'] }, { oauth: token })).toHaveProperty('oauth');
  });

  it('hold for a source that fails', () => {
    const failing = countingSource({
      unfitFor: () => {
        throw new Error('Broken.');
      },
    }).source;
    expect(reasons({ token: [] }, { token: failing })).toHaveProperty('token');
  });
});

it.each([
  'Host',
  'Content-Length',
  'content-type',
  'Transfer-Encoding',
  'Connection',
  'Cookie',
  'Proxy-Authorization',
  'X-Forwarded-For',
  'A2A-Version',
  'Origin',
  'Referer',
  'User-Agent',
  'X-Key\r\nX-Evil: 1',
  'X Key',
  ':path',
])('does not put a key into the header %j', (name) => {
  expect(chosen([{ key: [] }], { key: apiKey('k') }, { ...schemes, key: headerKey(name) })).toBeUndefined();
});

it.each(['a=b', 'a; b', 'a\r\n', ''])('does not put a key into the cookie %j', (name) => {
  expect(chosen([{ key: [] }], { key: apiKey('k') }, { ...schemes, key: cookieKey(name) })).toBeUndefined();
});

it.each([undefined, null, 'key', { key: 'secret' }, [undefined], { key: { interactive: false } }])(
  'refuses %j as credentials',
  (credentials) => {
    expect(() => planAuthentication(cardJson(schemes), credentials as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  },
);

it.each<[string, unknown]>([
  ['key', { token, key: 'secret' }],
  ['1', [token, undefined]],
])('names %j, which is no credential source', (name, credentials) => {
  expect(() => planAuthentication(cardJson(schemes), credentials as never)).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(`"${name}"`) as string,
    }),
  );
});

it('finds no credential in what a record inherits', () => {
  const card = JSON.parse(
    '{"securitySchemes":{"constructor":{"type":"mutualTLS"}},"security":[{"constructor":[]}]}',
  ) as unknown;
  expect(planAuthentication(card, {}).alternatives[0]?.reasons).toEqual({
    constructor: 'There is no credential for it.',
  });
});

import { VerifierUnavailable } from '@a2a-auth/server';
import { conformanceRequest, schemeConformance, type SchemeFixture } from '@a2a-auth/server/conformance';
import { passportScheme, type StrategyRequest } from '@a2a-auth/passport';
import { HeaderAPIKeyStrategy } from 'passport-headerapikey';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import { ExtractJwt, Strategy as JwtStrategy } from 'passport-jwt';
import { describe, it } from 'vitest';

import { compact, hmac } from '../../server/test/support/token.js';
import { strategyThat } from './support/strategy.js';

const GOOD = 'good-key-0123456789-abcdefgh';
const OTHER = 'other-key-0123456789-abcdefg';
const BAD = 'bad-key-0123456789-abcdefghi';
const users = new Map([
  [GOOD, { id: 1, username: 'alice' }],
  [OTHER, { id: 2, username: 'bob' }],
]);

const authorization = (field: string) => conformanceRequest({ header: { authorization: field } });
const bearer = (token: string) => authorization(`Bearer ${token}`);

const bearerTokens: SchemeFixture<string> = {
  create: () =>
    passportScheme(
      new BearerStrategy((token, done) => {
        done(null, users.get(token) ?? false, { scope: 'ask', message: '' });
      }),
      { type: 'http', scheme: 'Bearer' },
    ),
  good: () => bearer(GOOD),
  other: () => bearer(OTHER),
  bad: () => bearer(BAD),
  malformed: () => [bearer('two tokens'), authorization('Bearer')],
  scopes: ['ask'],
  unavailable: {
    create: () =>
      passportScheme(
        new BearerStrategy((token, done) => {
          done(new Error(`SELECT * FROM tokens WHERE token = '${token}': connection refused`));
        }),
        { type: 'http', scheme: 'Bearer' },
      ),
    request: () => bearer(GOOD),
  },
};

const secret = 'a secret of at least thirty-two bytes';
const now = Math.floor(Date.now() / 1000);
const sign = (claims: object, key = secret) =>
  compact(
    { alg: 'HS256', typ: 'JWT' },
    { iss: 'https://issuer.example', scope: 'ask', exp: now + 3600, ...claims },
    hmac(key),
  );
const jwts = () =>
  new JwtStrategy(
    {
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKey: secret,
      algorithms: ['HS256'],
      issuer: 'https://issuer.example',
    },
    (payload: object, done) => {
      done(null, payload);
    },
  );

const jwtTokens: SchemeFixture<string> = {
  create: () => passportScheme(jwts(), { type: 'http', scheme: 'Bearer', bearerFormat: 'JWT' }),
  good: () => bearer(sign({ sub: 'alice' })),
  other: () => bearer(sign({ sub: 'bob' })),
  bad: () => bearer(sign({ sub: 'alice' }, 'another secret')),
  refused: { expired: () => bearer(sign({ sub: 'alice', exp: now - 1 })) },
  scopes: ['ask'],
};

const keys = (header: string, prefix = '') =>
  new HeaderAPIKeyStrategy({ header, prefix }, false, (key, done) => {
    done(null, users.get(key));
  });

const keyHeader: SchemeFixture<string> = {
  create: () => passportScheme(keys('X-API-Key'), { type: 'apiKey', in: 'header', name: 'X-API-Key' }),
  good: () => conformanceRequest({ header: { 'X-API-Key': GOOD } }),
  other: () => conformanceRequest({ header: { 'X-API-Key': OTHER } }),
  bad: () => conformanceRequest({ header: { 'X-API-Key': BAD } }),
  malformed: () => [conformanceRequest({ header: { 'X-API-Key': '' } })],
  scopes: [],
};

const ownAuthScheme: SchemeFixture<string> = {
  create: () => passportScheme(keys('Authorization', 'Api-Key '), { type: 'http', scheme: 'Api-Key' }),
  good: () => authorization(`Api-Key ${GOOD}`),
  other: () => authorization(`Api-Key ${OTHER}`),
  bad: () => authorization(`Api-Key ${BAD}`),
  malformed: () => [authorization('Api-Key'), authorization('Api-Key \u0000')],
};

const custom = (keyOf: (request: StrategyRequest) => string | undefined) =>
  strategyThat(
    (actions, request) => {
      const user = users.get(keyOf(request) ?? '');
      if (user === undefined) actions.fail({ message: `No such key: ${keyOf(request) ?? ''}` });
      else actions.success(user);
    },
    (request) => keyOf(request) !== undefined,
  );

const keyInQuery: SchemeFixture<string> = {
  create: () =>
    passportScheme(
      custom(({ query }) => query.key),
      { type: 'apiKey', in: 'query', name: 'key' },
    ),
  good: () => conformanceRequest({ query: { key: GOOD } }),
  other: () => conformanceRequest({ query: { key: OTHER } }),
  bad: () => conformanceRequest({ query: { key: BAD } }),
};

const keyInCookie: SchemeFixture<string> = {
  create: () =>
    passportScheme(
      custom(({ cookies }) => cookies.key),
      { type: 'apiKey', in: 'cookie', name: 'key' },
    ),
  good: () => conformanceRequest({ cookie: { key: GOOD } }),
  other: () => conformanceRequest({ cookie: { key: OTHER } }),
  bad: () => conformanceRequest({ cookie: { key: BAD } }),
};

const oauth2: SchemeFixture<string> = {
  ...jwtTokens,
  create: () =>
    passportScheme(jwts(), {
      type: 'oauth2',
      flow: {
        type: 'clientCredentials',
        tokenUrl: 'https://issuer.example/token',
        scopes: { ask: 'Ask', admin: 'Everything' },
      },
    }),
};

const openIdConnect: SchemeFixture<string> = {
  ...jwtTokens,
  create: () =>
    passportScheme(
      jwts(),
      {
        type: 'openIdConnect',
        openIdConnectUrl: 'https://issuer.example/.well-known/openid-configuration',
      },
      {
        principalOf: ({ sub, iss }: { sub: string; iss: string }) => ({
          principal: { subject: sub, issuer: iss },
        }),
      },
    ),
  scopes: [],
  unavailable: {
    create: () =>
      passportScheme(
        strategyThat((actions) => {
          actions.fail(new VerifierUnavailable('The issuer is down.'));
        }),
        { type: 'http', scheme: 'Bearer' },
      ),
    request: () => bearer(GOOD),
  },
};

describe.each<[string, SchemeFixture<string>]>([
  ['passport-http-bearer', bearerTokens],
  ['passport-jwt', jwtTokens],
  ['passport-headerapikey', keyHeader],
  ['passport-headerapikey with an auth-scheme of its own', ownAuthScheme],
  ['a strategy for keys in the query', keyInQuery],
  ['a strategy for keys in a cookie', keyInCookie],
  ['passport-jwt, declared as an OAuth flow', oauth2],
  ['passport-jwt, declared as OpenID Connect', openIdConnect],
])('passportScheme() with %s', (_, fixture) => {
  for (const { title, run } of schemeConformance(fixture)) it(title, run);
});

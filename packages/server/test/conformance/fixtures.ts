import {
  apiKey,
  apiKeyDigest,
  dpop,
  httpBasic,
  httpBearer,
  introspection,
  jwt,
  jwtFromIssuer,
  oauth2AuthorizationCode,
  oauth2ClientCredentials,
  oauth2DeviceCode,
  oauth2FromIssuer,
  openIdConnect,
  VerifierUnavailable,
  type ApiKeyRecord,
  type BasicCredential,
} from '@a2a-auth/server';
import { conformanceRequest, type SchemeFixture } from '@a2a-auth/server/conformance';

import { dpopKey } from '../support/dpop.js';
import { issuerNetwork, JWKS_URL, METADATA_URL, metadataOf, signingKey } from '../support/issuer.js';
import { down, network } from '../support/network.js';
import { AUDIENCE, ISSUER, SECRET, token } from '../support/token.js';

const GOOD = 'good-key-0123456789-abcdefgh';
const OTHER = 'other-key-0123456789-abcdefg';
const BAD = 'bad-key-0123456789-abcdefghi';
const ENDED = 'ended-key-0123456789-abcdefg';
const REVOKED = 'revoked-key-0123456789-abcde';
const past = 1_000_000_000;

const header = (key: string) => conformanceRequest({ header: { 'X-API-Key': key } });
const bearer = (value: string) => conformanceRequest({ header: { authorization: `Bearer ${value}` } });
const basic = (username: string, password: string) =>
  conformanceRequest({
    header: { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` },
  });

const malformedBearers = () => [
  bearer('two tokens'),
  bearer('a,b'),
  conformanceRequest({ header: { authorization: 'Bearer' } }),
];

const key = signingKey('k');
const bound = dpopKey();
const secret = 'a server secret of at least thirty-two bytes';
const hour = () => Math.floor(Date.now() / 1000) + 3600;
const long = { exp: Math.floor(Date.now() / 1000) + 3600 };

const records = new Map<string, ApiKeyRecord>([
  [apiKeyDigest(GOOD, secret), { id: 'k1', owner: 'alice', scopes: ['ask'] }],
  [apiKeyDigest(OTHER, secret), { id: 'k2', owner: 'bob' }],
  [apiKeyDigest(ENDED, secret), { id: 'k3', expiresAt: past }],
  [apiKeyDigest(REVOKED, secret), { id: 'k4', revoked: true }],
]);

const keyInHeader: SchemeFixture<string> = {
  create: () =>
    apiKey({
      in: 'header',
      name: 'X-API-Key',
      keys: [
        { key: GOOD, scopes: ['ask'] },
        { key: OTHER, scopes: ['admin'] },
        { key: ENDED, expiresAt: past },
        { key: REVOKED, revoked: true },
      ],
    }),
  good: () => header(GOOD),
  other: () => header(OTHER),
  bad: () => header(BAD),
  malformed: () => [header(''), header('two keys'), header('x'.repeat(5000))],
  refused: { expired: () => header(ENDED), revoked: () => header(REVOKED) },
  scopes: ['ask'],
};

const fromStore: SchemeFixture<string> = {
  ...keyInHeader,
  create: () =>
    apiKey({ in: 'header', name: 'X-API-Key', store: { find: (digest) => records.get(digest) }, secret }),
  unavailable: {
    create: () =>
      apiKey({
        in: 'header',
        name: 'X-API-Key',
        store: { find: () => Promise.reject(new Error('The database is down.')) },
        secret,
      }),
    request: () => header(GOOD),
  },
};

const byValidator: SchemeFixture<string> = {
  create: () =>
    apiKey({
      in: 'query',
      name: 'Key',
      validator: (given) =>
        given === GOOD
          ? { principal: 'alice', scopes: ['ask'] }
          : given === OTHER
            ? { principal: 'bob' }
            : undefined,
    }),
  good: () => conformanceRequest({ query: { Key: GOOD } }),
  other: () => conformanceRequest({ query: { Key: OTHER } }),
  bad: () => conformanceRequest({ query: { Key: BAD } }),
  malformed: () => [conformanceRequest({ query: { Key: '' } })],
  scopes: ['ask'],
};

const inCookie: SchemeFixture<string> = {
  create: () => apiKey({ in: 'cookie', name: 'key', keys: [GOOD, OTHER] }),
  good: () => conformanceRequest({ cookie: { key: GOOD } }),
  other: () => conformanceRequest({ cookie: { key: OTHER } }),
  bad: () => conformanceRequest({ cookie: { key: BAD } }),
  malformed: () => [conformanceRequest({ cookie: { key: '' } })],
  scopes: [],
};

const passwords: SchemeFixture<BasicCredential> = {
  create: () =>
    httpBasic({
      validator: ({ username, password }) =>
        ['alice', 'bob'].includes(username) && password === 'correct horse battery'
          ? { principal: username, scopes: ['ask'] }
          : undefined,
    }),
  good: () => basic('alice', 'correct horse battery'),
  other: () => basic('bob', 'correct horse battery'),
  bad: () => basic('alice', 'wrong horse battery'),
  malformed: () => [
    conformanceRequest({ header: { authorization: 'Basic no-base64' } }),
    basic('a\u0000', 'password'),
  ],
  scopes: ['ask'],
  secrets: ({ password }) => [password],
  unavailable: {
    create: () =>
      httpBasic({
        validator: () => {
          throw new VerifierUnavailable('The directory is down.');
        },
      }),
    request: () => basic('alice', 'correct horse battery'),
  },
};

const sharedSecret: SchemeFixture<string> = {
  create: () =>
    httpBearer({
      bearerFormat: 'JWT',
      verifier: jwt({ secret: SECRET, algorithms: ['HS256'], issuer: ISSUER, audience: AUDIENCE }),
    }),
  good: () => bearer(token({ scope: 'ask', ...long })),
  other: () => bearer(token({ sub: 'bob', ...long })),
  bad: () => bearer(token({ aud: 'somebody else', ...long })),
  malformed: malformedBearers,
  refused: { expired: () => bearer(token({ exp: past })) },
  scopes: ['ask'],
};

const verifier = () =>
  jwtFromIssuer({ issuer: ISSUER, audience: AUDIENCE, keys: { fetch: issuerNetwork(key).fetch } });
const nobody = () =>
  jwtFromIssuer({
    issuer: ISSUER,
    audience: AUDIENCE,
    keys: { fetch: network({ [METADATA_URL]: metadataOf(ISSUER), [JWKS_URL]: down }).fetch },
  });
const stranger = signingKey('k');

const fromIssuer: SchemeFixture<string> = {
  create: () => httpBearer({ verifier: verifier() }),
  good: () => bearer(key.token({ scope: 'ask', ...long })),
  other: () => bearer(key.token({ sub: 'bob', ...long })),
  bad: () => bearer(stranger.token(long)),
  malformed: malformedBearers,
  refused: { expired: () => bearer(key.token({ exp: past })) },
  scopes: ['ask'],
  unavailable: { create: () => httpBearer({ verifier: nobody() }), request: () => bearer(key.token(long)) },
};

const proven = (dpopToken: string) =>
  conformanceRequest({ header: { authorization: `DPoP ${dpopToken}`, dpop: bound.proof(dpopToken) } });
const boundToken = (claims = {}) => key.token({ cnf: { jkt: bound.thumbprint }, ...long, ...claims });

const senderConstrained: SchemeFixture<string> = {
  ...fromIssuer,
  create: () => httpBearer({ verifier: verifier(), dpop: dpop({ required: true }) }),
  good: () => proven(boundToken({ scope: 'ask' })),
  other: () => proven(boundToken({ sub: 'bob' })),
  bad: () => proven(key.token({ ...long, cnf: { jkt: 'another-key' } })),
  refused: {},
  unavailable: {
    create: () => httpBearer({ verifier: nobody(), dpop: dpop({ required: true }) }),
    request: () => proven(boundToken()),
  },
  singleUse: true,
};

const answers: Readonly<Record<string, object>> = {
  'opaque-token-of-alice': { active: true, sub: 'alice', scope: 'ask' },
  'opaque-token-of-bob': { active: true, sub: 'bob' },
};
const introspected = (isDown = false) =>
  httpBearer({
    verifier: introspection({
      issuer: ISSUER,
      endpoint: `${ISSUER}/introspect`,
      audience: AUDIENCE,
      clientId: 'agent',
      clientAuthentication: { method: 'client_secret_basic', clientSecret: 'agent-secret' },
      fetch: network({
        [`${ISSUER}/introspect`]: isDown
          ? down
          : ({ body }) => {
              const answer = answers[new URLSearchParams(body).get('token') ?? ''];
              return Response.json(
                answer === undefined
                  ? { active: false }
                  : {
                      iss: ISSUER,
                      aud: AUDIENCE,
                      client_id: 'cli',
                      token_type: 'Bearer',
                      exp: hour(),
                      ...answer,
                    },
              );
            },
      }).fetch,
    }),
  });

const opaque: SchemeFixture<string> = {
  create: () => introspected(),
  good: () => bearer('opaque-token-of-alice'),
  other: () => bearer('opaque-token-of-bob'),
  bad: () => bearer('opaque-token-of-nobody'),
  malformed: malformedBearers,
  scopes: ['ask'],
  unavailable: { create: () => introspected(true), request: () => bearer('opaque-token-of-alice') },
};

const urls = {
  tokenUrl: `${ISSUER}/token`,
  authorizationUrl: `${ISSUER}/authorize`,
  deviceAuthorizationUrl: `${ISSUER}/device`,
  scopes: { ask: 'Ask questions', admin: 'Everything' },
};

const idToken = (claims = {}) =>
  key.token({ aud: 'app', client_id: undefined, nonce: 'n', ...long, ...claims }, { typ: 'JWT' });
const identities = () =>
  openIdConnect({
    openIdConnectUrl: METADATA_URL,
    verifier: jwtFromIssuer({
      issuer: ISSUER,
      audience: 'app',
      accept: 'id_token',
      keys: { fetch: issuerNetwork(key).fetch },
    }),
  });

/** Every scheme of the package, each in its ways to verify. */
export const fixtures: Readonly<Record<string, SchemeFixture<never>>> = Object.fromEntries(
  Object.entries({
    'apiKey in a header, by keys': keyInHeader,
    'apiKey in a header, by a store': fromStore,
    'apiKey in the query, by a validator': byValidator,
    'apiKey in a cookie, by keys': inCookie,
    httpBasic: passwords,
    'httpBearer with jwt': sharedSecret,
    'httpBearer with jwtFromIssuer': fromIssuer,
    'httpBearer with jwtFromIssuer and dpop': senderConstrained,
    'httpBearer with introspection': opaque,
    'httpBearer with a validator': {
      ...byValidator,
      create: () =>
        httpBearer({
          validator: (given) => (given === GOOD ? { principal: 'alice', scopes: ['ask'] } : undefined),
        }),
      good: () => bearer(GOOD),
      other: undefined,
      bad: () => bearer(BAD),
      malformed: malformedBearers,
    },
    oauth2AuthorizationCode: {
      ...fromIssuer,
      create: () => oauth2AuthorizationCode({ ...urls, pkceRequired: true, verifier: verifier() }),
    },
    oauth2ClientCredentials: {
      ...fromIssuer,
      create: () => oauth2ClientCredentials({ ...urls, verifier: verifier() }),
    },
    oauth2DeviceCode: { ...fromIssuer, create: () => oauth2DeviceCode({ ...urls, verifier: verifier() }) },
    oauth2FromIssuer: {
      ...fromIssuer,
      create: async () => {
        const schemes = await oauth2FromIssuer({
          issuer: ISSUER,
          audience: AUDIENCE,
          flows: ['clientCredentials'],
          scopes: urls.scopes,
          keys: { fetch: issuerNetwork(key).fetch },
        });
        return schemes.clientCredentials;
      },
    },
    openIdConnect: {
      ...fromIssuer,
      create: identities,
      good: () => bearer(idToken()),
      other: () => bearer(idToken({ sub: 'bob' })),
      bad: () => bearer(idToken({ aud: 'another app' })),
      refused: { expired: () => bearer(idToken({ exp: past })) },
      scopes: [],
      unavailable: undefined,
    },
  }).map(([name, fixture]) => [
    name,
    Object.fromEntries(
      Object.entries(fixture).filter(([, part]) => part !== undefined),
    ) as unknown as SchemeFixture<never>,
  ]),
);

import { planAuthentication } from '@a2a-auth/client';
import { AgentCard } from '@a2a-js/sdk';
import { describe, expect, it } from 'vitest';

import { readCard } from '../../src/card/read-card.js';
import { cardJson, headerKey, mtlsScheme, oauthScheme } from '../support/card.js';

const flow = {
  type: 'clientCredentials',
  tokenUrl: 'https://issuer.example/token',
  scopes: { read: '' },
} as const;
const tokenUrl = flow.tokenUrl;
const scopes = flow.scopes;

/** The same agent in every spelling: a key, or a certificate and a token with the scope `read`. */
const spellings: Readonly<Record<string, Record<string, unknown>>> = {
  'A2A 1.0': cardJson({ key: headerKey('X-Key'), mtls: mtlsScheme, oauth: oauthScheme(scopes) }, [
    { key: [] },
    { mtls: [], oauth: ['read'] },
  ]),
  'A2A 0.3': {
    securitySchemes: {
      key: { type: 'apiKey', in: 'header', name: 'X-Key' },
      mtls: { type: 'mutualTLS' },
      oauth: { type: 'oauth2', flows: { clientCredentials: { tokenUrl, scopes } } },
    },
    security: [{ key: [] }, { mtls: [], oauth: ['read'] }],
  },
  'security with the shapes of 1.0': {
    securitySchemes: { key: headerKey('X-Key'), mtls: mtlsScheme, oauth: oauthScheme(scopes) },
    security: [{ schemes: { key: { list: [] } } }, { schemes: { mtls: {}, oauth: { list: ['read'] } } }],
  },
  'OpenAPI types in snake_case': {
    security_schemes: {
      key: { type: 'apiKey', in: 'header', name: 'X-Key' },
      mtls: { type: 'mutualTLS' },
      oauth: { type: 'oauth2', flows: { client_credentials: { token_url: tokenUrl, scopes } } },
    },
    security_requirements: [{ key: [] }, { mtls: [], oauth: ['read'] }],
  },
  '1.0 in snake_case': {
    security_schemes: {
      key: { api_key_security_scheme: { location: 'header', name: 'X-Key' } },
      mtls: { mtls_security_scheme: {} },
      oauth: { oauth2_security_scheme: { flows: { client_credentials: { token_url: tokenUrl, scopes } } } },
    },
    security_requirements: [
      { schemes: { key: { list: [] } } },
      { schemes: { mtls: { list: [] }, oauth: { list: ['read'] } } },
    ],
  },
  'both versions in one, as agents in Python serve it': {
    securitySchemes: {
      key: { ...headerKey('X-Key'), type: 'apiKey', in: 'header', name: 'X-Key' },
      mtls: { ...mtlsScheme, type: 'mutualTLS' },
      oauth: { ...oauthScheme(scopes), type: 'oauth2', flows: { clientCredentials: { tokenUrl, scopes } } },
    },
    securityRequirements: [{ schemes: { key: {} } }, { schemes: { mtls: {}, oauth: { list: ['read'] } } }],
    security: [{ key: [] }, { mtls: [], oauth: ['read'] }],
  },
  '1.0 with bare lists of scopes, as agents in Go serve it': {
    securitySchemes: { key: headerKey('X-Key'), mtls: mtlsScheme, oauth: oauthScheme(scopes) },
    securityRequirements: [{ schemes: { key: [] } }, { schemes: { mtls: [], oauth: ['read'] } }],
  },
  "the SDK's object": AgentCard.fromJSON(
    cardJson({ key: headerKey('X-Key'), mtls: mtlsScheme, oauth: oauthScheme(scopes) }, [
      { key: [] },
      { mtls: [], oauth: ['read'] },
    ]),
  ) as unknown as Record<string, unknown>,
};

it.each(Object.entries(spellings))('reads the security of a card in the spelling of %s', (_name, card) => {
  const { schemes, requirements } = readCard(card);
  expect(Object.fromEntries(schemes)).toMatchObject({
    key: { ways: [{ type: 'apiKey', in: 'header', name: 'X-Key' }] },
    mtls: { ways: [{ type: 'mutualTLS' }] },
    oauth: { ways: [{ type: 'oauth2', flow }] },
  });
  expect(requirements).toEqual([{ key: [] }, { mtls: [], oauth: ['read'] }]);
});

it('reads the card that mutual TLS with a biscuit has', () => {
  const { schemes, requirements } = readCard({
    security_schemes: {
      mtls: { type: 'mutualTLS' },
      biscuit: { type: 'http', scheme: 'bearer', bearerFormat: 'biscuit' },
    },
    security_requirements: [{ mtls: [], biscuit: [] }],
  });
  expect(schemes.get('biscuit')?.ways).toEqual([{ type: 'http', scheme: 'bearer', bearerFormat: 'biscuit' }]);
  expect(requirements).toEqual([{ mtls: [], biscuit: [] }]);
});

it('takes several flows of one scheme as several ways to meet it', () => {
  const deviceAuthorizationUrl = 'https://issuer.example/device';
  const authorizationUrl = 'https://issuer.example/authorize';
  const { schemes } = readCard({
    securitySchemes: {
      oauth: {
        type: 'oauth2',
        oauth2MetadataUrl: 'https://issuer.example/metadata',
        flows: {
          implicit: { authorizationUrl, scopes },
          authorizationCode: { authorizationUrl, tokenUrl, scopes },
          deviceCode: { deviceAuthorizationUrl, tokenUrl, scopes },
        },
      },
    },
    security: [{ oauth: [] }],
  });
  expect(schemes.get('oauth')?.ways).toEqual([
    {
      type: 'oauth2',
      oauth2MetadataUrl: 'https://issuer.example/metadata',
      flow: { type: 'authorizationCode', authorizationUrl, tokenUrl, scopes, pkceRequired: false },
    },
    {
      type: 'oauth2',
      oauth2MetadataUrl: 'https://issuer.example/metadata',
      flow: { type: 'deviceCode', deviceAuthorizationUrl, tokenUrl, scopes },
    },
  ]);
});

it('reads the 1.0 form of a scheme that is there in both, since that of 0.3 has no device code flow and no pkceRequired', () => {
  const device = { deviceAuthorizationUrl: 'https://issuer.example/device', tokenUrl, scopes };
  const code = { authorizationUrl: 'https://issuer.example/authorize', tokenUrl, scopes };
  const { schemes } = readCard({
    securitySchemes: {
      device: { oauth2SecurityScheme: { flows: { deviceCode: device } }, type: 'oauth2', flows: {} },
      code: {
        oauth2SecurityScheme: { flows: { authorizationCode: { ...code, pkceRequired: true } } },
        type: 'oauth2',
        flows: { authorizationCode: code },
      },
    },
  });
  expect(schemes.get('device')?.ways).toEqual([{ type: 'oauth2', flow: { type: 'deviceCode', ...device } }]);
  expect(schemes.get('code')?.ways).toMatchObject([{ flow: { pkceRequired: true } }]);
});

it('takes a scheme of which it knows no flow as one for a token from elsewhere', () => {
  const { schemes } = readCard({
    securitySchemes: { oauth: { type: 'oauth2', flows: { password: { tokenUrl, scopes } } } },
  });
  expect(schemes.get('oauth')?.ways).toEqual([{ type: 'http', scheme: 'Bearer' }]);
});

it.each([
  ['of an unknown type', { type: 'quantum' }],
  ['of an unknown 1.0 shape', { quantumSecurityScheme: {} }],
  ['of two kinds at once', { ...headerKey(), ...mtlsScheme }],
  ['of another kind in 0.3 than in 1.0', { ...mtlsScheme, type: 'apiKey', in: 'header', name: 'X-Key' }],
  ['that is no object', 'apiKey'],
  ['that is null', null],
  ['without a place for its key', { type: 'apiKey', name: 'X-Key' }],
  ['without a name for its key', { type: 'apiKey', in: 'header' }],
  ['of http without a scheme', { type: 'http' }],
])('keeps a scheme %s as one that cannot be met', (_name, scheme) => {
  const card = { securitySchemes: { odd: scheme, key: headerKey() }, security: [{ odd: [] }, { key: [] }] };
  expect(readCard(card).schemes.get('odd')).toMatchObject({
    ways: [],
    problem: expect.any(String) as string,
  });
  expect(planAuthentication(card, []).alternatives).toHaveLength(2);
});

describe('the interfaces', () => {
  it('are those of 1.0', () => {
    const { interfaces } = readCard({
      supportedInterfaces: [
        { url: 'https://a.example/rpc', protocolBinding: 'jsonrpc', protocolVersion: '1.0', tenant: 't' },
        { url: 'https://a.example/grpc', protocolBinding: 'GRPC', protocolVersion: '0.3' },
        { url: 7 },
        null,
      ],
      url: 'https://other.example',
    });
    expect(interfaces).toEqual([
      { url: 'https://a.example/rpc', binding: 'JSONRPC', version: '1.0', tenant: 't' },
      { url: 'https://a.example/grpc', binding: 'GRPC', version: '0.3', tenant: '' },
    ]);
  });

  it('are those of 0.3, each once', () => {
    const { interfaces } = readCard({
      protocolVersion: '0.3.0',
      url: 'https://a.example/rpc',
      additionalInterfaces: [
        { url: 'https://a.example/rpc', transport: 'JSONRPC' },
        { url: 'https://a.example/rest', transport: 'HTTP+JSON' },
      ],
    });
    expect(interfaces).toEqual([
      { url: 'https://a.example/rpc', binding: 'JSONRPC', version: '0.3.0', tenant: '' },
      { url: 'https://a.example/rest', binding: 'HTTP+JSON', version: '0.3.0', tenant: '' },
    ]);
  });
});

it.each([
  ['is no object', []],
  ['has requirements that are no list', { security: { key: [] } }],
  ['has a requirement that is no object', { security: ['key'] }],
  ['has scopes that are no list', { security: [{ key: 'read' }] }],
  ['has scopes that are no texts', { security: [{ key: [1] }] }],
])('refuses a card that %s', (_name, card) => {
  expect(() => readCard(card)).toThrow(expect.objectContaining({ code: 'CARD_INVALID' }));
});

it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
  'takes %s for an id like any other',
  (id) => {
    const card = JSON.parse(
      `{ "securitySchemes": { "${id}": { "type": "mutualTLS" } }, "security": [{ "${id}": [] }] }`,
    ) as unknown;
    const { schemes, requirements } = readCard(card);
    expect(schemes.get(id)?.ways).toEqual([{ type: 'mutualTLS' }]);
    expect(Object.entries(requirements[0] ?? {})).toEqual([[id, []]]);
    expect(planAuthentication(card, {}).chosen).toBeUndefined();
  },
);

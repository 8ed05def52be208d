import type { OAuthFlowDeclaration, SecuritySchemeDeclaration } from '@a2a-auth/server';
import { SecurityRequirement, SecurityScheme } from '@a2a-js/sdk';
import { describe, expect, it } from 'vitest';

import { toLegacySecurityScheme, toSecurityRequirement, toSecurityScheme } from '../../src/card/render.js';

const scopes = { read: 'Read tasks', write: 'Write tasks' };
const urls = { tokenUrl: 'https://as.example/token', refreshUrl: 'https://as.example/refresh' };
const authorizationUrl = 'https://as.example/authorize';
const deviceAuthorizationUrl = 'https://as.example/device';
const oauth2 = (flow: OAuthFlowDeclaration) => ({ type: 'oauth2', flow }) as const;

const cases: [string, SecuritySchemeDeclaration, object, object][] = [
  ...(['header', 'query', 'cookie'] as const).map(
    (place): [string, SecuritySchemeDeclaration, object, object] => [
      `an API key in the ${place}`,
      { type: 'apiKey', in: place, name: 'Key', description: 'Ask us.' },
      { apiKeySecurityScheme: { location: place, name: 'Key', description: 'Ask us.' } },
      { type: 'apiKey', in: place, name: 'Key', description: 'Ask us.' },
    ],
  ),
  [
    'HTTP bearer',
    { type: 'http', scheme: 'Bearer', bearerFormat: 'JWT' },
    { httpAuthSecurityScheme: { scheme: 'Bearer', bearerFormat: 'JWT' } },
    { type: 'http', scheme: 'Bearer', bearerFormat: 'JWT' },
  ],
  [
    'HTTP basic',
    { type: 'http', scheme: 'Basic', bearerFormat: undefined, description: undefined },
    { httpAuthSecurityScheme: { scheme: 'Basic' } },
    { type: 'http', scheme: 'Basic' },
  ],
  [
    'OAuth 2 with an authorization code',
    {
      ...oauth2({ type: 'authorizationCode', authorizationUrl, ...urls, scopes, pkceRequired: true }),
      oauth2MetadataUrl: 'https://as.example/.well-known/oauth-authorization-server',
      description: 'Log in.',
    },
    {
      oauth2SecurityScheme: {
        flows: { authorizationCode: { authorizationUrl, ...urls, scopes, pkceRequired: true } },
        oauth2MetadataUrl: 'https://as.example/.well-known/oauth-authorization-server',
        description: 'Log in.',
      },
    },
    {
      type: 'oauth2',
      flows: { authorizationCode: { authorizationUrl, ...urls, scopes } },
      oauth2MetadataUrl: 'https://as.example/.well-known/oauth-authorization-server',
      description: 'Log in.',
    },
  ],
  [
    'OAuth 2 with client credentials',
    oauth2({ type: 'clientCredentials', ...urls, scopes }),
    { oauth2SecurityScheme: { flows: { clientCredentials: { ...urls, scopes } } } },
    { type: 'oauth2', flows: { clientCredentials: { ...urls, scopes } } },
  ],
  [
    'OAuth 2 with a device code, which 0.3 has as flows.deviceCode',
    oauth2({ type: 'deviceCode', deviceAuthorizationUrl, ...urls, scopes }),
    { oauth2SecurityScheme: { flows: { deviceCode: { deviceAuthorizationUrl, ...urls, scopes } } } },
    { type: 'oauth2', flows: { deviceCode: { deviceAuthorizationUrl, ...urls, scopes } } },
  ],
  [
    'OAuth 2 without a refresh URL',
    oauth2({ type: 'clientCredentials', tokenUrl: urls.tokenUrl, refreshUrl: undefined, scopes: {} }),
    { oauth2SecurityScheme: { flows: { clientCredentials: { tokenUrl: urls.tokenUrl } } } },
    { type: 'oauth2', flows: { clientCredentials: { tokenUrl: urls.tokenUrl, scopes: {} } } },
  ],
  [
    'OpenID Connect',
    { type: 'openIdConnect', openIdConnectUrl: 'https://as.example/.well-known/openid-configuration' },
    {
      openIdConnectSecurityScheme: {
        openIdConnectUrl: 'https://as.example/.well-known/openid-configuration',
      },
    },
    { type: 'openIdConnect', openIdConnectUrl: 'https://as.example/.well-known/openid-configuration' },
  ],
  [
    'mutual TLS',
    { type: 'mutualTLS', description: 'Our CA.' },
    { mtlsSecurityScheme: { description: 'Our CA.' } },
    { type: 'mutualTLS', description: 'Our CA.' },
  ],
];

describe.each(cases)('%s', (_what, declaration, current, legacy) => {
  it('is rendered for A2A 1.0', () => {
    const json = SecurityScheme.toJSON(toSecurityScheme(declaration));
    expect(JSON.parse(JSON.stringify(json))).toEqual(current);
  });

  it('is what the SDK reads back from the 1.0 form', () => {
    const scheme = toSecurityScheme(declaration);
    expect(SecurityScheme.fromJSON(SecurityScheme.toJSON(scheme))).toEqual(scheme);
  });

  it('is rendered for A2A 0.3', () => {
    expect(toLegacySecurityScheme(declaration)).toStrictEqual(legacy);
  });
});

describe('a requirement', () => {
  it.each([
    ['with scopes', { key: [], oauth: ['read', 'write'] }],
    ['that is anonymous', {}],
  ])('%s is rendered for A2A 1.0', (_what, requirement) => {
    const rendered = toSecurityRequirement(requirement);
    const lists = Object.entries(rendered.schemes).map(([id, { list }]) => [id, list]);
    expect(Object.fromEntries(lists)).toEqual(requirement);
    expect(SecurityRequirement.fromJSON(SecurityRequirement.toJSON(rendered))).toEqual(rendered);
  });
});

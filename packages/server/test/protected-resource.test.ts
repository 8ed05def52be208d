import { AgentSecurity, apiKey, oauth2ClientCredentials, type SecurityScheme } from '@a2a-auth/server';
import { describe, expect, it } from 'vitest';

import { protectedResourceMetadata, protectedResourceMetadataUrl } from '../src/protected-resource.js';
import { headerScheme } from './support/agent.js';

const oauth = (issuer: string, ...scopes: string[]): SecurityScheme =>
  oauth2ClientCredentials({
    tokenUrl: `${issuer}/token`,
    scopes: Object.fromEntries(scopes.map((scope) => [scope, `May ${scope}.`])),
    verifier: {
      verify: (token) => ({ verified: true, principal: { subject: token } }),
      authorizationServers: [issuer],
    },
  });

describe('the address of the metadata (RFC 9728 §3.1)', () => {
  it.each([
    ['https://agent.example', 'https://agent.example/.well-known/oauth-protected-resource'],
    ['https://agent.example/', 'https://agent.example/.well-known/oauth-protected-resource'],
    ['https://agent.example/a2a', 'https://agent.example/.well-known/oauth-protected-resource/a2a'],
    ['https://agent.example/a2a/', 'https://agent.example/.well-known/oauth-protected-resource/a2a/'],
    ['https://agent.example:8443/a/b', 'https://agent.example:8443/.well-known/oauth-protected-resource/a/b'],
    [
      'https://agent.example/a2a?tenant=1',
      'https://agent.example/.well-known/oauth-protected-resource/a2a?tenant=1',
    ],
    [
      'https://agent.example/?tenant=1',
      'https://agent.example/.well-known/oauth-protected-resource?tenant=1',
    ],
    [
      'https://agent.example//evil.example',
      'https://agent.example/.well-known/oauth-protected-resource//evil.example',
    ],
    ['http://localhost:3000/a2a', 'http://localhost:3000/.well-known/oauth-protected-resource/a2a'],
  ])('of %s is %s', (resource, url) => {
    expect(protectedResourceMetadataUrl(resource)).toBe(url);
  });
});

describe('the metadata (RFC 9728 §2)', () => {
  const metadataOf = (...schemes: SecurityScheme[]) =>
    protectedResourceMetadata(
      'https://agent.example/a2a',
      schemes.map((scheme, index) => ({ id: `s${String(index)}`, scheme })),
    );

  it('names the authorization servers and the scopes of all schemes, once each', () => {
    expect(
      metadataOf(
        oauth('https://a.example', 'ask', 'admin'),
        oauth('https://a.example', 'ask'),
        oauth('https://b.example', 'read'),
      ),
    ).toEqual({
      resource: 'https://agent.example/a2a',
      authorization_servers: ['https://a.example', 'https://b.example'],
      scopes_supported: ['ask', 'admin', 'read'],
      bearer_methods_supported: ['header'],
    });
  });

  it('leaves out what nobody says, and the scopes of schemes that no authorization server serves', () => {
    expect(metadataOf(headerScheme('X-Key', undefined, { scopes: ['internal'] }))).toEqual({
      resource: 'https://agent.example/a2a',
      bearer_methods_supported: ['header'],
    });
  });

  it('is the agent’s when it has a resource, spelt as it was given', () => {
    const security = (resource?: string) =>
      new AgentSecurity(resource === undefined ? {} : { resource })
        .addSecurityScheme('oauth', oauth('https://a.example', 'ask'))
        .addSecurityScheme('unused', oauth('https://unused.example'))
        .addSecurityRequirement({ oauth: ['ask'] });
    expect(security('https://AGENT.example').protectedResource).toMatchObject({
      resource: 'https://AGENT.example',
      authorization_servers: ['https://a.example'],
    });
    expect(security().protectedResource).toBeUndefined();
  });

  it.each(['agent.example', '/a2a', 'urn:agent', 'https://agent.example/#a', ''])(
    'is not that of %j, which is no resource',
    (resource) => {
      const security = new AgentSecurity({ resource })
        .addSecurityScheme('key', apiKey({ in: 'header', name: 'X-Key', keys: ['key-0123456789abcdef'] }))
        .addSecurityRequirement({ key: [] });
      expect(() => security.validate()).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    },
  );
});

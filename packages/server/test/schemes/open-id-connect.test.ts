import {
  AgentSecurity,
  dpop,
  jwtFromIssuer,
  openIdConnect,
  type OpenIdConnectOptions,
} from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authorization } from '../support/auth-request.js';
import { issuerNetwork, METADATA_URL, signingKey } from '../support/issuer.js';
import { ISSUER } from '../support/token.js';

const key = signingKey('k');
const scheme = (options: Partial<OpenIdConnectOptions> = {}) =>
  openIdConnect({
    openIdConnectUrl: METADATA_URL,
    verifier: jwtFromIssuer({
      issuer: ISSUER,
      audience: 'app',
      accept: 'id_token',
      keys: { fetch: issuerNetwork(key).fetch },
    }),
    ...options,
  });
const decide = (token: string, options?: Partial<OpenIdConnectOptions>) =>
  new AgentSecurity()
    .addSecurityScheme('it', scheme(options))
    .addSecurityRequirement({ it: [] })
    .authenticate(authorization(`Bearer ${token}`));

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('openIdConnect()', () => {
  it('publishes where the provider’s document is', () => {
    expect(scheme({ description: 'Staff', scopes: ['openid'] })).toMatchObject({
      declaration: { type: 'openIdConnect', openIdConnectUrl: METADATA_URL, description: 'Staff' },
      scopes: ['openid'],
      authorizationServers: [ISSUER],
    });
  });

  it('accepts ID tokens where its verifier says so, and no access tokens then', async () => {
    const idToken = key.token({ aud: 'app', client_id: undefined, nonce: 'n' }, { typ: 'JWT' });
    expect(await decide(idToken)).toMatchObject({ granted: true, principal: { subject: 'alice' } });
    expect((await decide(key.token({ aud: 'app' }))).granted).toBe(false);
  });

  it('accepts access tokens by default, and no ID tokens then', async () => {
    const verifier = jwtFromIssuer({
      issuer: ISSUER,
      audience: 'app',
      keys: { fetch: issuerNetwork(key).fetch },
    });
    expect((await decide(key.token({ aud: 'app' }), { verifier })).granted).toBe(true);
    const idToken = key.token({ aud: 'app', client_id: undefined, nonce: 'n' }, { typ: 'JWT' });
    expect((await decide(idToken, { verifier })).granted).toBe(false);
  });

  it('warms up its verifier', async () => {
    const net = issuerNetwork(key);
    const verifier = jwtFromIssuer({ issuer: ISSUER, audience: 'app', keys: { fetch: net.fetch } });
    await scheme({ verifier }).warmUp?.();
    expect(net.count()).toBe(2);
  });

  it('takes DPoP where it is given', () => {
    expect(scheme({ dpop: dpop() }).extract(authorization('DPoP abc'))).toBe('abc');
    expect(scheme().extract(authorization('DPoP abc'))).toBeUndefined();
  });

  it.each<[string, Record<string, unknown>]>([
    ['no verifier', { verifier: undefined }],
    ['a verifier that verifies nothing', { verifier: {} }],
    ['no URL', { openIdConnectUrl: undefined }],
    ['a URL that is none', { openIdConnectUrl: '/.well-known/openid-configuration' }],
  ])('is refused at start-up with %s', (_what, options) => {
    expect(() => scheme(options as Partial<OpenIdConnectOptions>)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });
});

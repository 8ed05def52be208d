import { subscribe, unsubscribe } from 'node:diagnostics_channel';

import { CLIENT_NOTICE_CHANNEL, clientCredentials, authorizationCode, type Trust } from '@a2a-auth/client';
import type { SecuritySchemeDeclaration } from '@a2a-auth/server/card';
import { describe, expect, it } from 'vitest';

import { closeServersAfterTests } from '../support/oauth/servers.js';
import { failure, oauthScheme, requestFor, scriptedServer, tokenAnswer, tokenOf } from './support.js';

closeServersAfterTests();

const source = (options: { trust?: Trust; issuer?: string }) =>
  clientCredentials({ clientId: 'a', clientSecret: 'b', ...options });
const server = () => scriptedServer({ '/token': tokenAnswer() });
const wanted = (scheme: SecuritySchemeDeclaration) => requestFor('https://agent.example', { scheme });
const openIdConnect = (openIdConnectUrl: string) => ({ type: 'openIdConnect', openIdConnectUrl }) as const;
const withMetadata = (url: string) => ({
  ...(oauthScheme() as Extract<SecuritySchemeDeclaration, { type: 'oauth2' }>),
  oauth2MetadataUrl: url,
});

describe('a server that a card names', () => {
  it.each<[string, (url: string) => SecuritySchemeDeclaration]>([
    ['by OpenID Connect', (url) => openIdConnect(`${url}/.well-known/openid-configuration`)],
    ['by its metadata', (url) => withMetadata(`${url}/.well-known/oauth-authorization-server`)],
    ['by a token endpoint', (url) => oauthScheme('clientCredentials', url)],
  ])(
    '%s is used when its issuer is trusted',
    async (_, schemeAt) => {
      const { url } = await server();
      const trusting = source({ trust: ['https://other.example', url] });
      const scheme = schemeAt(url);
      expect(trusting.unfitFor(scheme)).toBeUndefined();
      // Whether the others of the list can be reached plays no part.
      expect(await tokenOf(trusting, wanted(scheme))).toBe('an-access-token');
    },
    20_000,
  );

  it.each<[string, (url: string) => SecuritySchemeDeclaration]>([
    ['by OpenID Connect', (url) => openIdConnect(`${url}/.well-known/openid-configuration`)],
    ['by its metadata', (url) => withMetadata(`${url}/.well-known/oauth-authorization-server`)],
    ['by a token endpoint', (url) => oauthScheme('clientCredentials', url)],
    ['by an address that names no issuer', (url) => openIdConnect(`${url}/config`)],
  ])('%s is not called when nobody trusts it', async (_, schemeAt) => {
    const [evil, good] = [await server(), await server()];
    for (const trust of [
      [good.url],
      (url: string) => url === good.url,
      () => Promise.resolve(true) as never,
    ]) {
      const error = await failure(tokenOf(source({ trust }), wanted(schemeAt(evil.url))));
      expect(error).toMatchObject({ code: 'ISSUER_NOT_TRUSTED' });
    }
    expect(evil.calls).toEqual([]);
    expect(good.callsOf('/token')).toEqual([]);
  });

  it('by a token endpoint of another server than its metadata names is not called', async () => {
    const [evil, good] = [await server(), await server()];
    const scheme = withMetadata(`${good.url}/.well-known/oauth-authorization-server`);
    const mixed = { ...scheme, flow: { ...scheme.flow, tokenUrl: `${evil.url}/token` } };
    expect(await tokenOf(source({ trust: [good.url] }), wanted(mixed))).toBe('an-access-token');
    expect(evil.calls).toEqual([]);
  });

  it('may be allowed by a function, for each endpoint', async () => {
    const { url } = await server();
    const asked: string[] = [];
    const trusting = source({
      trust: (candidate) => {
        asked.push(candidate);
        return candidate.startsWith(url);
      },
    });
    expect(await tokenOf(trusting, wanted(oauthScheme('clientCredentials', url)))).toBe('an-access-token');
    expect(asked).toEqual([`${url}/token`]);
  });

  it('has tokens of its own', async () => {
    const [one, two] = [await server(), await server()];
    two.on('/token', tokenAnswer({ access_token: 'of-two' }));
    const trusting = source({ trust: [one.url, two.url] });
    const at = (url: string) => wanted(openIdConnect(`${url}/.well-known/openid-configuration`));
    expect(await tokenOf(trusting, at(one.url))).toBe('an-access-token');
    expect(await tokenOf(trusting, at(two.url))).toBe('of-two');
  });

  it('has to have an issuer where a browser brings its answer', async () => {
    const { url } = await server();
    const login = authorizationCode({ clientId: 'a', trust: () => true, openBrowser: () => undefined });
    const scheme = oauthScheme('authorizationCode', url);
    expect(await failure(tokenOf(login, wanted(scheme)))).toMatchObject({ code: 'ISSUER_NOT_TRUSTED' });
  });

  it('cannot be trusted by an address that is none', () => {
    expect(() => source({ trust: ['login.example'] })).toThrow(/trust/);
  });

  it('is trusted by nobody who gives neither issuer nor trust', () => {
    expect(() => source({})).toThrow(/issuer/);
  });
});

it('the configured issuer is asked, whatever token endpoint the card has, and the difference is told', async () => {
  const [good, evil] = [await server(), await server()];
  const notices: unknown[] = [];
  const listen = (message: unknown) => notices.push(message);
  subscribe(CLIENT_NOTICE_CHANNEL, listen);
  const scheme = oauthScheme('clientCredentials', evil.url);
  expect(await tokenOf(source({ issuer: good.url }), wanted(scheme))).toBe('an-access-token');
  unsubscribe(CLIENT_NOTICE_CHANNEL, listen);
  expect(evil.calls).toEqual([]);
  expect(notices).toMatchObject([{ code: 'OTHER_TOKEN_ENDPOINT' }]);
});

it.each([
  ['https://a.example/.well-known/openid-configuration', 'https://a.example', true],
  ['https://a.example/.well-known/openid-configuration', 'https://a.example/', true],
  ['https://a.example/t/.well-known/openid-configuration', 'https://a.example/t', true],
  ['https://a.example/.well-known/oauth-authorization-server/t', 'https://a.example/t', true],
  ['https://a.example/t/.well-known/openid-configuration', 'https://a.example', false],
  ['https://a.example/.well-known/openid-configuration?x=https://b.example', 'https://b.example', false],
  ['https://b.example@a.example/.well-known/openid-configuration', 'https://b.example', false],
  ['https://a.example:444/.well-known/openid-configuration', 'https://a.example', false],
])('%s stands for %s: %s', (url, issuer, same) => {
  expect(source({ issuer }).unfitFor(openIdConnect(url)) === undefined).toBe(same);
});

import { readFileSync } from 'node:fs';

import {
  auth0,
  cognito,
  entraId,
  google,
  jwtFromIssuer,
  keycloak,
  okta,
  VerifierUnavailable,
  type TrustedIssuer,
} from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { signingKey } from '../support/issuer.js';
import { network } from '../support/network.js';
import { compact } from '../support/token.js';

type Json = Record<string, unknown>;

interface TokenShape {
  readonly header: Json;
  readonly claims: Json;
}

/** What a provider publishes, and what its tokens are like. Keys and times are filled in by the test. */
interface Provider {
  readonly metadata_url: string;
  readonly metadata: Json & { readonly issuer: string; readonly jwks_uri: string };
  readonly jwks: readonly (Json & { readonly kid: string; readonly use: string })[];
  readonly access_token?: TokenShape;
  readonly id_token: TokenShape;
  readonly refused: Readonly<Record<string, TokenShape>>;
}

const read = (name: string) =>
  JSON.parse(
    readFileSync(new URL(`../fixtures/providers/${name}.json`, import.meta.url), 'utf8'),
  ) as Provider;

const providers: readonly [string, string, TrustedIssuer][] = [
  ['Keycloak', 'keycloak', keycloak({ url: 'https://login.example.com', realm: 'agents' })],
  ['Auth0', 'auth0', auth0({ domain: 'example.eu.auth0.com' })],
  ['Microsoft Entra ID', 'entra-id', entraId({ tenantId: '7a3f1c9e-2b4d-4f6a-8e0c-1d2e3f4a5b6c' })],
  ['Okta', 'okta', okta({ domain: 'example.okta.com' })],
  ['Google', 'google', google({ clientId: '407408718192-abcdefgh.apps.googleusercontent.com' })],
  [
    'AWS Cognito',
    'cognito',
    cognito({
      region: 'eu-central-1',
      userPoolId: 'eu-central-1_Ab12Cd34E',
      clientIds: ['5h2k8n1q4t7w0z3c6f9j2m5p8s', 'another-of-ours'],
    }),
  ],
];

const key = signingKey('any', 'RS256');
const otherKey = signingKey('any', 'RS256');
const context = { schemeId: 'it', request: authRequest(), resource: undefined };
const now = () => Math.floor(Date.now() / 1000);

/** A token of this shape, issued now and good for five minutes. */
function tokenOf({ header, claims }: TokenShape, more: Json = {}, by = key): string {
  const times: Json = { iat: now(), nbf: now(), auth_time: now(), exp: now() + 300 };
  const filled = Object.entries(claims).map(([name, value]) => [name, times[name] ?? value]);
  return compact(header, { ...(Object.fromEntries(filled) as Json), ...more }, by.signer);
}

/** The network with the provider in it: the first of its signing keys is ours. */
function networkOf({ metadata_url, metadata, jwks }: Provider) {
  const signing = jwks.find(({ use }) => use === 'sig');
  const keys = jwks.map((shape) => {
    const { n, e } = (shape === signing ? key : otherKey).jwk;
    return { ...shape, n, e };
  });
  return network({ [metadata_url]: metadata, [metadata.jwks_uri]: { keys } });
}

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z'), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe.each(providers)('%s', (_name, fixture, issuer) => {
  const provider = read(fixture);
  const accepted = provider.access_token ?? provider.id_token;
  const verifierOf = (net = networkOf(provider), trusted: TrustedIssuer = issuer) =>
    jwtFromIssuer({
      issuer: trusted,
      audience: 'https://agent.example',
      cache: false,
      keys: { fetch: net.fetch },
    });
  const verify = async (token: string, trusted?: TrustedIssuer) =>
    verifierOf(undefined, trusted).verify(token, context);

  it('is found by its metadata, and its keys with it', async () => {
    const net = networkOf(provider);
    await verifierOf(net).warmUp();
    expect(net.calls.map(({ url }) => url)).toEqual([provider.metadata_url, provider.metadata.jwks_uri]);
    expect(issuer.issuer).toBe(provider.metadata.issuer);
  });

  it('has tokens that are accepted', async () => {
    expect(await verify(tokenOf(accepted))).toMatchObject({
      verified: true,
      principal: { subject: accepted.claims.sub, issuer: provider.metadata.issuer },
    });
  });

  it.each(Object.entries(provider.refused))('has also %s, which is refused', async (_what, shape) => {
    expect(await verify(tokenOf(shape))).toMatchObject({ verified: false, reason: 'invalid' });
  });

  it.each<[string, (token: TokenShape) => string]>([
    ['for another audience', (shape) => tokenOf(shape, { aud: 'other', client_id: 'other' })],
    ['for nobody', (shape) => tokenOf(shape, { aud: undefined, client_id: undefined })],
    ['of another tenant', (shape) => tokenOf(shape, { iss: `${provider.metadata.issuer}-other` })],
    [
      'of the issuer without its path',
      (shape) => tokenOf(shape, { iss: `${new URL(provider.metadata.issuer).origin}//` }),
    ],
    ['signed by another key', (shape) => tokenOf(shape, {}, otherKey)],
    ['without a subject', (shape) => tokenOf(shape, { sub: undefined })],
    ['without an expiry', (shape) => tokenOf(shape, { exp: undefined })],
  ])('refuses such a token %s', async (_what, make) => {
    expect(await verify(make(accepted))).toMatchObject({ verified: false, reason: 'invalid' });
  });

  it('refuses such a token when it is over', async () => {
    expect(await verify(tokenOf(accepted, { exp: now() - 5 }))).toMatchObject({ reason: 'expired' });
  });

  it.each(provider.access_token === undefined ? [] : ['has ID tokens, which are no access tokens'])(
    '%s',
    async () => {
      expect(await verify(tokenOf(provider.id_token))).toMatchObject({ verified: false, reason: 'invalid' });
      // Nor for whoever takes the audience of an ID token for that of an agent.
      const { aud } = provider.id_token.claims;
      const careless: TrustedIssuer = { ...issuer, audience: aud as string, audienceClaim: 'aud' };
      expect(await verify(tokenOf(provider.id_token), careless)).toMatchObject({
        verified: false,
        reason: 'invalid',
      });
    },
  );

  it('has no tokens while its metadata names another', async () => {
    const net = networkOf(provider);
    net.answer(provider.metadata_url, { ...provider.metadata, issuer: 'https://evil.example' });
    await expect(verifierOf(net).verify(tokenOf(accepted), context)).rejects.toThrow(VerifierUnavailable);
  });

  it('is published as an authorization server', () => {
    expect(verifierOf().authorizationServers).toEqual([provider.metadata.issuer]);
  });
});

describe('who called, and what for', () => {
  const verificationOf = async (fixture: string, issuer: TrustedIssuer, more: Json = {}) => {
    const provider = read(fixture);
    const { fetch } = networkOf(provider);
    return jwtFromIssuer({ issuer, audience: 'https://agent.example', keys: { fetch } }).verify(
      tokenOf(provider.access_token ?? provider.id_token, more),
      context,
    );
  };
  const of = (name: string) =>
    (providers.find(([, fixture]) => fixture === name) as (typeof providers)[number])[2];

  it.each<[string, string, readonly string[]]>([
    ['keycloak', 'caller', ['email', 'profile', 'ask']],
    ['auth0', 'c1i3ntI4c1i3ntI4c1i3ntI4c1i3ntI4', ['openid', 'profile', 'ask']],
    ['entra-id', '5d6e7f80-9a1b-4c2d-8e3f-4a5b6c7d8e9f', ['ask', 'Agent.Admin']],
    ['okta', '0oabucvyc38HLL1ef0h7', ['openid', 'ask']],
    ['google', '407408718192-abcdefgh.apps.googleusercontent.com', []],
    ['cognito', '5h2k8n1q4t7w0z3c6f9j2m5p8s', ['agent/ask', 'openid']],
  ])('%s says by client and scopes', async (fixture, clientId, scopes) => {
    expect(await verificationOf(fixture, of(fixture))).toMatchObject({ principal: { clientId }, scopes });
  });

  it('Entra ID says by roles alone for an application', async () => {
    expect(await verificationOf('entra-id', of('entra-id'), { scp: undefined })).toMatchObject({
      verified: true,
      scopes: ['Agent.Admin'],
    });
  });

  it.each<[string, Json]>([
    ['auth0', { permissions: 'admin' }],
    ['auth0', { permissions: { admin: true } }],
    ['entra-id', { roles: 'admin' }],
    ['entra-id', { roles: [{ admin: true }, 5, null] }],
  ])('%s has no scopes of odd shape: %j', async (fixture, more) => {
    const verification = await verificationOf(fixture, of(fixture), more);
    expect(verification).toMatchObject({ verified: true });
    expect(verification).not.toMatchObject({ scopes: expect.arrayContaining(['admin']) as string[] });
  });

  it('Auth0 says the same in the token profile of RFC 9068', async () => {
    const provider = read('auth0');
    const { fetch } = networkOf(provider);
    const shape = provider.access_token as TokenShape;
    const token = tokenOf(
      { ...shape, header: { ...shape.header, typ: 'at+jwt' } },
      { client_id: 'cli', jti: 'j' },
    );
    const verifier = jwtFromIssuer({
      issuer: of('auth0'),
      audience: 'https://agent.example',
      keys: { fetch },
    });
    expect(await verifier.verify(token, context)).toMatchObject({ principal: { clientId: 'cli' } });
  });

  it('Keycloak’s DPoP tokens say what they are, and are access tokens', async () => {
    expect(
      await verificationOf('keycloak', of('keycloak'), { typ: 'DPoP', cnf: { jkt: 'x' } }),
    ).toMatchObject({
      verified: true,
      principal: { claims: { cnf: { jkt: 'x' } } },
    });
  });
});

describe('the issuers that presets stand for', () => {
  it.each<[string, TrustedIssuer, string]>([
    [
      'Keycloak with a path and a slash',
      keycloak({ url: 'https://a.example/auth/', realm: 'my realm' }),
      'https://a.example/auth/realms/my%20realm',
    ],
    [
      'Okta with an id',
      okta({ domain: 'a.okta.com', authorizationServerId: 'aus1' }),
      'https://a.okta.com/oauth2/aus1',
    ],
    [
      'Okta with an id that is a path',
      okta({ domain: 'a.okta.com', authorizationServerId: '../x' }),
      'https://a.okta.com/oauth2/..%2Fx',
    ],
    [
      'Entra ID with a tenant that is a path',
      entraId({ tenantId: 'a/../b' }),
      'https://login.microsoftonline.com/a%2F..%2Fb/v2.0',
    ],
  ])('%s', (_what, { issuer }, expected) => {
    expect(issuer).toBe(expected);
  });

  const missing = undefined as unknown as string;
  it.each<[string, () => TrustedIssuer, RegExp]>([
    ['Keycloak without a url', () => keycloak({ url: missing, realm: 'r' }), /keycloak\(\): url/],
    [
      'Keycloak without a realm',
      () => keycloak({ url: 'https://a.example', realm: '' }),
      /keycloak\(\): realm/,
    ],
    ['Auth0 without a domain', () => auth0({ domain: missing }), /auth0\(\): domain/],
    ['Auth0 with a URL for a domain', () => auth0({ domain: 'https://a.auth0.com/' }), /host name alone/],
    ['Okta with a path in its domain', () => okta({ domain: 'a.okta.com/x' }), /host name alone/],
    ['Entra ID without a tenant', () => entraId({ tenantId: missing }), /entraId\(\): tenantId/],
    ['Google without a client', () => google({ clientId: missing }), /google\(\): clientId/],
    [
      'Cognito without clients',
      () => cognito({ region: 'eu-central-1', userPoolId: 'p', clientIds: [] }),
      /cognito\(\): clientIds/,
    ],
  ])('%s is a configuration error', (_what, make, message) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) as unknown }),
    );
  });

  it.each(['common', 'organizations', 'consumers'])(
    'Entra ID’s %s endpoint is none: whose tokens would that be?',
    (tenantId) => {
      expect(() => entraId({ tenantId })).toThrow(
        expect.objectContaining({
          code: 'INVALID_OPTION',
          message: expect.stringContaining(tenantId) as unknown,
        }),
      );
    },
  );

  it('Google’s is for clients, one or several, and its ID tokens alone', async () => {
    const provider = read('google');
    const { fetch } = networkOf(provider);
    const trusted = google({ clientId: ['a', provider.id_token.claims.aud as string] });
    const verifier = jwtFromIssuer({ issuer: trusted, keys: { fetch } });
    expect(await verifier.verify(tokenOf(provider.id_token), context)).toMatchObject({ verified: true });
    const asAccessToken = tokenOf({
      ...provider.id_token,
      header: { ...provider.id_token.header, typ: 'at+jwt' },
    });
    expect(await verifier.verify(asAccessToken, context)).toMatchObject({ verified: false });
  });
});

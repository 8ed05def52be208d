import {
  AgentSecurity,
  oauth2AuthorizationCode,
  oauth2ClientCredentials,
  oauth2DeviceCode,
  oauth2FromIssuer,
  type OAuth2AuthorizationCodeOptions,
  type OAuth2DeviceCodeOptions,
  type OAuth2FromIssuerOptions,
  type OAuth2Options,
  type SecurityScheme,
  type TokenVerifier,
} from '@a2a-auth/server';
import { describe, expect, it, vi } from 'vitest';

import { METADATA_URL, metadataOf } from '../support/issuer.js';
import { down, network } from '../support/network.js';
import { authorization } from '../support/auth-request.js';
import { AUDIENCE, ISSUER } from '../support/token.js';

const verifier: TokenVerifier = {
  verify: (token) => ({ verified: true, principal: { subject: token }, scopes: ['ask'] }),
  authorizationServers: [ISSUER],
};
const common = { tokenUrl: `${ISSUER}/token`, scopes: { ask: 'Ask the agent.' }, verifier };
const urls = { authorizationUrl: `${ISSUER}/authorize`, deviceAuthorizationUrl: `${ISSUER}/device` };

const makers: readonly [
  string,
  (options: OAuth2AuthorizationCodeOptions & OAuth2DeviceCodeOptions) => SecurityScheme<string>,
  readonly string[],
][] = [
  ['oauth2AuthorizationCode', oauth2AuthorizationCode, ['authorizationUrl']],
  ['oauth2ClientCredentials', oauth2ClientCredentials, []],
  ['oauth2DeviceCode', oauth2DeviceCode, ['deviceAuthorizationUrl']],
];

describe('what is published', () => {
  it('of the authorization code flow, with PKCE unless it is turned off', () => {
    const { declaration } = oauth2AuthorizationCode({ ...common, ...urls, description: 'People' });
    expect(declaration).toMatchObject({
      type: 'oauth2',
      description: 'People',
      flow: {
        type: 'authorizationCode',
        authorizationUrl: `${ISSUER}/authorize`,
        tokenUrl: `${ISSUER}/token`,
        pkceRequired: true,
        scopes: { ask: 'Ask the agent.' },
      },
    });
    expect(oauth2AuthorizationCode({ ...common, ...urls, pkceRequired: false }).declaration).toMatchObject({
      flow: { pkceRequired: false },
    });
  });

  it('of the client credentials flow', () => {
    const options = { ...common, refreshUrl: `${ISSUER}/refresh`, oauth2MetadataUrl: `${ISSUER}/metadata` };
    expect(oauth2ClientCredentials(options).declaration).toMatchObject({
      type: 'oauth2',
      oauth2MetadataUrl: `${ISSUER}/metadata`,
      flow: { type: 'clientCredentials', tokenUrl: `${ISSUER}/token`, refreshUrl: `${ISSUER}/refresh` },
    });
  });

  it('of the device code flow', () => {
    expect(oauth2DeviceCode({ ...common, ...urls }).declaration).toMatchObject({
      flow: { type: 'deviceCode', deviceAuthorizationUrl: `${ISSUER}/device`, tokenUrl: `${ISSUER}/token` },
    });
  });
});

describe.each(makers)('%s', (name, make, needed) => {
  const options = { ...common, ...urls };

  it('verifies bearer tokens, and asks for declared scopes alone', async () => {
    const security = new AgentSecurity()
      .addSecurityScheme('it', make(options))
      .addSecurityRequirement({ it: ['ask'] });
    const decision = await security.authenticate(authorization('Bearer alice'));
    expect(decision).toMatchObject({ granted: true, principal: { subject: 'alice' } });
    const undeclared = new AgentSecurity()
      .addSecurityScheme('it', make(options))
      .addSecurityRequirement({ it: ['admin'] });
    expect(() => undeclared.validate()).toThrow(expect.objectContaining({ code: 'UNDECLARED_SCOPE' }));
    expect(make(options).authorizationServers).toEqual([ISSUER]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['no verifier', { verifier: undefined }],
    ['a verifier that verifies nothing', { verifier: {} }],
    ['no token endpoint', { tokenUrl: undefined }],
    ['a token endpoint that is no URL', { tokenUrl: '/token' }],
    ['a refresh endpoint that is no URL', { refreshUrl: 'refresh' }],
    ['metadata at no URL', { oauth2MetadataUrl: 5 }],
    ['no scopes', { scopes: undefined }],
    ['scopes without descriptions', { scopes: { ask: true } }],
    ['scopes as a list', { scopes: ['ask'] }],
    ...needed.flatMap((option): [string, Record<string, unknown>][] => [
      [`no ${option}`, { [option]: undefined }],
      [`a ${option} that is no URL`, { [option]: 'nowhere' }],
    ]),
  ])('is refused at start-up with %s', (_what, more) => {
    expect(() => make({ ...options, ...more })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(name) as string }),
    );
  });
});

describe('oauth2FromIssuer()', () => {
  it.each([
    ['without an issuer', { issuer: undefined }, /issuer must be its URL/],
    ['without a flow', { flows: [] }, /flows/],
  ])('is refused at start-up %s', async (_what, options, message) => {
    const given = { issuer: ISSUER, flows: ['clientCredentials'], scopes: {}, audience: 'a', ...options };
    await expect(oauth2FromIssuer(given as never)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(message) as unknown,
    });
  });

  type Flow = 'authorizationCode' | 'clientCredentials' | 'deviceCode';
  const full = metadataOf(ISSUER, {
    device_authorization_endpoint: `${ISSUER}/device`,
    grant_types_supported: [
      'authorization_code',
      'client_credentials',
      'urn:ietf:params:oauth:grant-type:device_code',
    ],
    code_challenge_methods_supported: ['S256'],
  });
  const fromIssuer = (metadata: object, options: Partial<OAuth2FromIssuerOptions<Flow>> = {}) => {
    const net = network({ [METADATA_URL]: metadata });
    return oauth2FromIssuer<Flow>({
      issuer: ISSUER,
      flows: ['authorizationCode', 'clientCredentials', 'deviceCode'],
      scopes: { ask: 'Ask the agent.' },
      audience: AUDIENCE,
      keys: { fetch: net.fetch },
      ...options,
    });
  };

  it('fills in what the issuer says', async () => {
    const schemes = await fromIssuer(full, { description: 'Ours' });
    expect(schemes.authorizationCode.declaration).toMatchObject({
      description: 'Ours',
      oauth2MetadataUrl: `${ISSUER}/.well-known/openid-configuration`,
      flow: { authorizationUrl: `${ISSUER}/authorize`, tokenUrl: `${ISSUER}/token`, pkceRequired: true },
    });
    expect(schemes.deviceCode.declaration).toMatchObject({
      flow: { deviceAuthorizationUrl: `${ISSUER}/device` },
    });
    expect(schemes.clientCredentials).toMatchObject({ scopes: ['ask'], authorizationServers: [ISSUER] });
  });

  it('takes an issuer that leaves its grant types out by its endpoints', async () => {
    const { grant_types_supported: _types, code_challenge_methods_supported: _pkce, ...silent } = full;
    expect(Object.keys(await fromIssuer(silent))).toEqual([
      'authorizationCode',
      'clientCredentials',
      'deviceCode',
    ]);
  });

  it('uses the verifier it is given', async () => {
    const verify = vi.fn<TokenVerifier['verify']>(() => ({
      verified: true,
      principal: { subject: 'alice' },
    }));
    const { clientCredentials } = await fromIssuer(full, {
      flows: ['clientCredentials'],
      verifier: { verify },
    });
    await new AgentSecurity()
      .addSecurityScheme('it', clientCredentials)
      .addSecurityRequirement({ it: [] })
      .authenticate(authorization('Bearer abc'));
    expect(verify).toHaveBeenCalledOnce();
  });

  it.each<[string, object, Partial<OAuth2FromIssuerOptions<Flow>>, RegExp]>([
    [
      'a flow that the issuer does not offer',
      { ...full, grant_types_supported: ['authorization_code'] },
      {},
      /does not offer the flow clientCredentials/,
    ],
    ['an issuer without PKCE', { ...full, code_challenge_methods_supported: ['plain'] }, {}, /PKCE/],
    [
      'an issuer without a device endpoint',
      { ...full, device_authorization_endpoint: undefined },
      {},
      /device_authorization_endpoint/,
    ],
    ['an issuer without a token endpoint', { ...full, token_endpoint: undefined }, {}, /token_endpoint/],
    ['an issuer that lies', { ...full, issuer: `${ISSUER}/` }, {}, /instead of/],
    ['an issuer that cannot be reached', down, {}, /cannot be had/],
    ['an issuer over plain http', full, { issuer: 'http://issuer.example' }, /https/],
    ['a flow that is none', full, { flows: ['implicit' as Flow] }, /no flow/],
    ['a flow with the name of a prototype', full, { flows: ['constructor' as Flow] }, /no flow/],
    ['no audience', full, { audience: [] }, /audience/],
  ])('is refused at start-up with %s', async (_what, metadata, options, message) => {
    await expect(fromIssuer(metadata, options)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(message) as string,
    });
  });
});

it('the options of all flows are one', () => {
  const options: OAuth2Options = common;
  expect(oauth2ClientCredentials(options).scopes).toEqual(['ask']);
});

import {
  agentServiceConfig,
  AgentSecurity,
  albClientCertificate,
  apiKey,
  auth0,
  certificateTrust,
  cognito,
  createDevelopmentPki,
  dpop,
  entraId,
  envoyClientCertificate,
  google,
  httpBasic,
  httpBearer,
  introspection,
  jwt,
  jwtFromIssuer,
  keycloak,
  mutualTls,
  nginxClientCertificate,
  oauth2AuthorizationCode,
  oauth2ClientCredentials,
  oauth2DeviceCode,
  oauth2FromIssuer,
  okta,
  openIdConnect,
  serveMutualTls,
} from '@a2a-auth/server';
import { conformanceRequest, schemeConformance } from '@a2a-auth/server/conformance';
import { agentCardRoute, agentRouter, authenticate } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import { agentServices } from '@a2a-auth/server/grpc';
import { guardedPushStore, pushKeys, pushNotificationSender } from '@a2a-auth/server/push';
import { InMemoryPushNotificationStore } from '@a2a-js/sdk/server';
import { describe, expect, it } from 'vitest';

const common = { issuer: 'https://issuer.example', audience: 'https://agent.example' };
const url = 'https://issuer.example/token';
const verifier = jwt({ ...common, secret: 'a'.repeat(32) });
const anonymous = new AgentSecurity({ allowAnonymous: true });
const handler = anonymous.protect({ getAgentCard: () => Promise.resolve({}) } as never);
const accepted = { verified: true, principal: { subject: 'alice' } } as const;
const secured = { security: anonymous, requestHandler: handler };

type Make = (more: Record<string, unknown>) => unknown;

/** Each with options that are right but for what is added. */
const makers: Readonly<Record<string, Make>> = {
  AgentSecurity: (more) => new AgentSecurity(more),
  'AgentSecurity, denials': (more) => new AgentSecurity({ denials: more }),
  forwardedCertificate: (more) => new AgentSecurity({ forwardedCertificate: more as never }),
  'apiKey()': (more) => apiKey({ in: 'header', name: 'X-Key', keys: ['a-key'], ...more }),
  'httpBearer()': (more) => httpBearer({ verifier, ...more }),
  'httpBasic()': (more) => httpBasic({ validator: () => undefined, ...more }),
  'jwt()': (more) => jwt({ ...common, secret: 'a'.repeat(32), ...more }),
  'jwtFromIssuer()': (more) => jwtFromIssuer({ ...common, ...more }),
  'jwtFromIssuer(), issuer': (more) => jwtFromIssuer({ issuer: { ...common, ...more } }),
  keys: (more) => jwtFromIssuer({ ...common, keys: more }),
  cache: (more) => jwtFromIssuer({ ...common, cache: more }),
  'introspection()': (more) =>
    introspection({
      ...common,
      clientId: 'agent',
      clientAuthentication: { method: 'client_secret_basic', clientSecret: 's' },
      ...more,
    }),
  circuit: (more) =>
    introspection({
      ...common,
      clientId: 'agent',
      clientAuthentication: { method: 'client_secret_basic', clientSecret: 's' },
      circuit: more,
    }),
  'dpop()': (more) => dpop(more),
  'mutualTls()': (more) => mutualTls({ trust: { fingerprints: ['ab'.repeat(32)] }, ...more }),
  'The trust in client certificates': (more) =>
    certificateTrust({ fingerprints: ['ab'.repeat(32)], ...more }),
  'serveMutualTls()': (more) =>
    serveMutualTls(() => undefined, { certificate: '', key: '', trust: {}, port: 0, ...more }),
  'oauth2AuthorizationCode()': (more) =>
    oauth2AuthorizationCode({ authorizationUrl: url, tokenUrl: url, scopes: {}, verifier, ...more }),
  'oauth2ClientCredentials()': (more) =>
    oauth2ClientCredentials({ tokenUrl: url, scopes: {}, verifier, ...more }),
  'oauth2DeviceCode()': (more) =>
    oauth2DeviceCode({ deviceAuthorizationUrl: url, tokenUrl: url, scopes: {}, verifier, ...more }),
  'openIdConnect()': (more) => openIdConnect({ openIdConnectUrl: url, verifier, ...more }),
  'oauth2FromIssuer()': (more) =>
    oauth2FromIssuer({
      ...common,
      flows: ['clientCredentials'],
      scopes: {},
      verifier,
      keys: { fetch: () => Promise.reject(new Error('down')) },
      ...more,
    }),
  'agentRouter()': (more) => agentRouter({ ...secured, ...more }),
  'authenticate()': (more) => authenticate({ ...secured, binding: 'JSONRPC', ...more } as never),
  'agentFetchHandler()': (more) => agentFetchHandler({ ...secured, ...more }),
  'guardedPushStore()': (more) => guardedPushStore(new InMemoryPushNotificationStore(), more),
  'pushNotificationSender()': (more) => pushNotificationSender(new InMemoryPushNotificationStore(), more),
  'pushKeys()': (more) => pushKeys({ issuer: 'https://agent.example', keys: [], ...more }),
  'introspection(), clientAuthentication': (more) =>
    introspection({
      ...common,
      clientId: 'agent',
      clientAuthentication: { method: 'client_secret_basic', clientSecret: 's', ...more },
    }),
  'schemeConformance()': (more) =>
    schemeConformance({
      create: () => undefined,
      good: () => undefined,
      bad: () => undefined,
      ...more,
    } as never),
  'conformanceRequest()': (more) => conformanceRequest(more),
  'okta()': (more) => okta({ domain: 'example.okta.com', ...more }),
  'keycloak()': (more) => keycloak({ url: 'https://login.example', realm: 'agents', ...more }),
  'auth0()': (more) => auth0({ domain: 'example.auth0.com', ...more }),
  'entraId()': (more) => entraId({ tenantId: 'a-tenant', ...more }),
  'google()': (more) => google({ clientId: 'a-client', ...more }),
  'cognito()': (more) => cognito({ region: 'eu', userPoolId: 'p', clientIds: ['c'], ...more }),
  'albClientCertificate()': (more) => albClientCertificate({ mode: 'verify', ...more }),
  'nginxClientCertificate()': (more) => nginxClientCertificate(more),
  'envoyClientCertificate()': (more) => envoyClientCertificate(more),
  'createDevelopmentPki()': (more) => createDevelopmentPki({ days: 0, ...more }),
  'agentServiceConfig()': (more) => agentServiceConfig({ ...more } as never),
  'agentCardRoute()': (more) => agentCardRoute({ ...secured, ...more }),
  'agentServices()': (more) => agentServices({ ...secured, ...more }),
};

const failure = (make: Make, more: Record<string, unknown>): unknown => {
  try {
    const made = make(more);
    return made instanceof Promise ? made.catch((error: unknown) => error) : undefined;
  } catch (error) {
    return error;
  }
};

describe.each(Object.entries(makers))('%s', (culprit, make) => {
  it('has no misspelt option, and says which there are', async () => {
    const error = await failure(make, { misspelt: true });
    expect(error).toMatchObject({ name: 'ConfigurationError', code: 'INVALID_OPTION' });
    expect(String(error)).toContain(`${culprit} has no option misspelt. There are `);
  });

  it('tells nothing of a name that may be a secret', async () => {
    expect(String(await failure(make, { 'sk_12345-secret': true }))).not.toContain('12345');
  });

  it('takes what is undefined for left out', async () => {
    expect(String(await failure(make, { misspelt: undefined }))).not.toContain('has no option');
  });
});

it.each<[string, Make, Record<string, unknown>]>([
  ['a text for a boolean', makers['dpop()'] as Make, { required: 'true' }],
  ['a text for a boolean of an issuer', makers['jwtFromIssuer(), issuer'] as Make, { anyJwt: 'false' }],
  ['a Set for a function', makers['jwt()'] as Make, { revoked: new Set(['id']) }],
  ['a text for a list', makers['jwt()'] as Make, { requiredClaims: 'tenant' }],
  ['a text for a list of algorithms', makers['dpop()'] as Make, { algorithms: 'ES256' }],
  ['a text for an object', makers.AgentSecurity as Make, { denials: 'http' }],
  ['a number for a text', makers.AgentSecurity as Make, { realm: 1 }],
  ['a text for a number', makers['introspection()'] as Make, { timeout: '5000' }],
  ['a text for a number of keys', makers.keys as Make, { timeout: '5000' }],
  ['a text for a number of seconds', makers['jwt()'] as Make, { maxLifetime: '3600' }],
  ['an object without add() for a replay store', makers['dpop()'] as Make, { replayStore: {} }],
  ['a misspelt name in snake case', makers['jwtFromIssuer()'] as Make, { jwks_uri: 'https://a.example' }],
  ['an age of the card below 0', makers['agentCardRoute()'] as Make, { maxAge: -1 }],
  ['no port', makers['serveMutualTls()'] as Make, { port: undefined }],
  ['a port that is none', makers['serveMutualTls()'] as Make, { port: 'abc' }],
  ['a port beyond the last', makers['serveMutualTls()'] as Make, { port: 65_536 }],
  ['a path for a URL', makers.AgentSecurity as Make, { agentCardUrl: '/card' }],
  ['an unknown claim', makers['jwtFromIssuer(), issuer'] as Make, { audienceClaim: 'clientId' }],
  ['a list for an object', makers.AgentSecurity as Make, { denials: [] }],
  ['one path for two bindings', makers['agentRouter()'] as Make, { jsonRpcPath: '/a', httpJsonPath: '/a' }],
  ['a list for an object', makers['oauth2FromIssuer()'] as Make, { scopes: ['ask'] }],
  ['no AgentSecurity', makers['agentRouter()'] as Make, { security: {} }],
  ['no AgentSecurity', makers['agentFetchHandler()'] as Make, { security: {} }],
  ['no AgentSecurity', makers['agentServices()'] as Make, { security: {} }],
  ['no AgentSecurity', makers['agentCardRoute()'] as Make, { security: {} }],
  ['a text for a list of clients', makers['createDevelopmentPki()'] as Make, { clients: 'billing' }],
])('%s is refused', async (_, make, more) => {
  const [name = ''] = Object.keys(more);
  const error = await failure(make, more);
  expect(error).toMatchObject({ name: 'ConfigurationError', code: 'INVALID_OPTION' });
  expect(String(error)).toContain(name);
});

it('options that are none are refused', () => {
  for (const options of [undefined, null, 'jwt', []]) {
    expect(() => jwt(options as never)).toThrow(/jwt\(\) needs an object with its options/);
  }
});

it.each(['1 megabyte', 'lots', -1, 0, 1.5, NaN])('bodyLimit: %j is refused', async (bodyLimit) => {
  expect(() => authenticate({ ...secured, binding: 'JSONRPC', bodyLimit })).toThrow(/bodyLimit must be/);
});

it('httpBearer() takes null for no validator, beside a verifier', async () => {
  const scheme = httpBearer({ verifier: { verify: () => accepted }, validator: null as never });
  const context = { schemeId: 'it', request: {} as never, resource: undefined };
  expect(await scheme.verify('token', context)).toBe(accepted);
});

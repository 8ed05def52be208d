import {
  authenticatingFetch,
  authenticationHandler,
  authorizationCode,
  clientCredentials,
  connect,
  DelegationClient,
  deviceCode,
  DeviceFlowClient,
  dpop,
  fileTokenStore,
  jwtBearer,
  keychainTokenStore,
  mutualTls,
  mutualTlsFetch,
  planAuthentication,
  refreshing,
  ServiceDiscovery,
  tokenExchange,
  verifyCard,
} from '@a2a-auth/client';
import { authenticatingInterceptor, grpcAuthentication } from '@a2a-auth/client/grpc';
import { pushNotificationReceiver } from '@a2a-auth/client/push';
import { describe, expect, it } from 'vitest';

const url = 'https://agent.example';
const client = { issuer: 'https://issuer.example', clientId: 'me' };
const confidential = { ...client, clientSecret: 'secret' };
const files = { certificate: 'cert.pem', key: 'key.pem' };
const token = () => 'token';
const target = { subjectToken: 'token', audience: url };
const receiver = { url: `${url}/push`, onNotification: () => undefined };

type Make = (more: Record<string, unknown>) => unknown;

/** Each with options that are right but for what is added. */
const makers: Readonly<Record<string, Make>> = {
  'connect()': (more) => connect(url, { credentials: [], ...more }),
  policy: (more) => connect(url, { credentials: [], policy: more }),
  'policy, of a plan': (more) => planAuthentication({}, {}, more),
  'The trust in signed cards': (more) => verifyCard({}, { keys: [], ...more }),
  'authenticatingFetch()': (more) => authenticatingFetch({ url, ...more }),
  'authenticationHandler()': (more) => authenticationHandler({ url, endpoint: url, ...more }),
  'authenticatingInterceptor()': (more) => authenticatingInterceptor({ url, endpoint: url, ...more }),
  'grpcAuthentication()': (more) => grpcAuthentication({ url, endpoint: url, ...more }),
  'clientCredentials()': (more) => clientCredentials({ ...confidential, ...more }),
  'authorizationCode()': (more) => authorizationCode({ ...client, ...more }),
  'authorizationCode(), redirect': (more) => authorizationCode({ ...client, redirect: more }),
  'deviceCode()': (more) => deviceCode({ ...client, show: () => undefined, ...more }),
  'refreshing()': (more) => refreshing({ ...client, refreshToken: 'token', ...more }),
  'jwtBearer()': (more) => jwtBearer({ ...client, assertion: token, ...more }),
  'tokenExchange()': (more) => tokenExchange({ ...client, subjectToken: token, ...more }),
  'dpop()': (more) => dpop(clientCredentials(confidential), more),
  'mutualTls() with TLS files': (more) => mutualTls({ ...files, ...more }),
  'mutualTlsFetch() with TLS files': (more) => mutualTlsFetch({ ...files, ...more }),
  'clientCredentials() with TLS files': (more) =>
    clientCredentials({ ...client, tls: { ...files, ...more } }),
  'fileTokenStore()': (more) => fileTokenStore({ folder: 'logins', ...more }),
  'keychainTokenStore()': (more) => keychainTokenStore({ service: 'test', ...more }),
  DeviceFlowClient: (more) =>
    new DeviceFlowClient({ deviceAuthorizationUrl: url, tokenUrl: url, clientId: 'me', ...more }),
  ServiceDiscovery: (more) => new ServiceDiscovery(more),
  'ServiceDiscovery, tls': (more) => new ServiceDiscovery({ tls: { ...files, ...more } }),
  'the alias "billing"': (more) => new ServiceDiscovery({ aliases: { billing: { url, ...more } } }),
  'DelegationClient()': (more) => new DelegationClient({ ...confidential, ...more }),
  'exchange()': (more) => new DelegationClient(confidential).exchange({ ...target, ...more }),
  'source()': (more) => new DelegationClient(confidential).source({ ...target, ...more }),
  'pushNotificationReceiver()': (more) => pushNotificationReceiver({ ...receiver, ...more }),
  'register()': (more) => pushNotificationReceiver(receiver).register(more),
};

const failure = (make: Make, more: Record<string, unknown>): unknown => {
  try {
    const made = make(more);
    return made instanceof Promise ? made.catch((error: unknown) => error) : undefined;
  } catch (error) {
    return error;
  }
};

describe.each(Object.entries(makers))('%s', (name, make) => {
  const [culprit = ''] = name.split(', of');
  it('has no misspelt option, and says which there are', async () => {
    const error = await failure(make, { misspelt: true });
    expect(error).toMatchObject({ name: 'ClientError', code: 'INVALID_OPTION' });
    expect(String(error)).toContain(`${culprit} has no option misspelt. There are `);
  });

  it('is told of a misspelling in snake case', async () => {
    expect(String(await failure(make, { client_identifier: true }))).toContain(
      'no option client_identifier.',
    );
  });

  it('tells nothing of a name that may be a secret', async () => {
    expect(String(await failure(make, { 'sk_12345-secret': true }))).not.toContain('12345');
  });
});

it('a delegated connection has no misspelt option', async () => {
  const connecting = new DelegationClient(confidential).connect(url, {
    ...target,
    requireSignedcard: { keys: [] },
  } as never);
  await expect(connecting).rejects.toThrow('connect() has no option requireSignedcard.');
});

it('what is undefined counts as left out', () => {
  expect(clientCredentials({ ...confidential, misspelt: undefined } as never)).toBeDefined();
});

import {
  apiKey,
  authenticatingFetch,
  authorizationCode,
  bearer,
  clientCredentials,
  connect,
  deviceCode,
  DeviceFlowClient,
  dpop,
  fileTokenStore,
  jwtBearer,
  memoryTokenStore,
  planAuthentication,
  refreshing,
  tokenExchange,
} from '@a2a-auth/client';
import { grpcAuthentication, grpcTransport } from '@a2a-auth/client/grpc';
import { status } from '@grpc/grpc-js';
import type { RequestListener } from 'node:http';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';

import { closeGrpcAfterTests } from '../../../../test/support/grpc.js';
import { json, scriptedFetch } from '../support/agent.js';
import { bearerScheme, cardJson, queryKey } from '../support/card.js';
import { tokenAgent } from '../support/grpc-agent.js';
import { serve } from '../support/serve.js';

closeGrpcAfterTests();

const secret = 'S3CRET';
const issuer = 'https://login.example';
const client = { issuer, clientId: 'c', clientSecret: secret };
const card = cardJson({ token: bearerScheme }, [{ token: [] }]);

/** Everything that a log could make of a value. */
function expectNoSecret(value: unknown) {
  const inspected = inspect(value, { depth: Infinity, showHidden: true, getters: true, showProxy: true });
  const stack = value instanceof Error ? (value.stack ?? '') : '';
  expect(`${inspected}\n${JSON.stringify(value)}\n${String(value)}\n${stack}`).not.toContain(secret);
}

function connectGrpc() {
  const supportedInterfaces = [{ url: 'agent.example', protocolBinding: 'GRPC', protocolVersion: '1.0' }];
  const { fetch } = scriptedFetch(json({ ...card, supportedInterfaces }));
  const transports = [grpcTransport()];
  return connect('https://agent.example', { credentials: [bearer(secret)], transports, fetch });
}

const store = memoryTokenStore();
await store.set('key', secret);

it.each<[string, unknown]>([
  ['clientCredentials', clientCredentials(client)],
  ['authorizationCode', authorizationCode({ ...client, store })],
  ['deviceCode', deviceCode({ ...client, store, show: () => undefined })],
  ['refreshing', refreshing({ ...client, refreshToken: secret })],
  ['tokenExchange', tokenExchange({ ...client, subjectToken: () => secret })],
  ['jwtBearer', jwtBearer({ ...client, assertion: () => secret })],
  ['dpop', dpop(clientCredentials(client))],
  ['memoryTokenStore', store],
  ['fileTokenStore', fileTokenStore({ folder: '/nowhere' })],
  [
    'DeviceFlowClient',
    new DeviceFlowClient({
      deviceAuthorizationUrl: `${issuer}/device`,
      tokenUrl: `${issuer}/token`,
      clientId: 'c',
      clientSecret: secret,
    }),
  ],
  [
    'grpcAuthentication',
    await grpcAuthentication({
      url: 'https://agent.example',
      endpoint: 'agent.example',
      card,
      credentials: [bearer(secret)],
    }),
  ],
  ['a client over gRPC', await connectGrpc()],
])('%s shows no secret', (_name, value) => {
  expectNoSecret(value);
});

it('a failed call over gRPC shows no secret', async () => {
  const { client: failing } = await tokenAgent([{ code: status.UNAUTHENTICATED }], {
    plan: planAuthentication(card, [bearer(secret)]),
  });
  const failure: unknown = await failing.getTask({ tenant: '', id: 't' }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Error);
  expectNoSecret(failure);
});

describe('a key that goes into the query', () => {
  const query = cardJson({ key: queryKey() }, [{ key: [] }]);
  const call = async (listener: RequestListener) => {
    const url = await serve(listener);
    const fetch = authenticatingFetch({ url, card: query, credentials: [apiKey(secret)] });
    return { url, response: await fetch(`${url}/rpc`, { method: 'POST', body: '{}' }) };
  };
  const answers: readonly [string, RequestListener][] = [
    ['an error', (_request, response) => response.writeHead(500).end('{}')],
    ['a denial', (_request, response) => response.writeHead(401).end('{}')],
    [
      'JSON',
      (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
    ],
    [
      'a stream',
      (_request, response) =>
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {}\n\n'),
    ],
  ];
  it.each(answers)('is seen neither in %s nor in a clone of it', async (_name, listener) => {
    const { url, response } = await call(listener);
    expect(response.url).toBe(`${url}/rpc`);
    expectNoSecret(response);
    expectNoSecret(response.clone());
    expect(response.clone().url).not.toContain(secret);
  });

  it('is not seen when the agent hangs up', async () => {
    const calling = call((request) => request.socket.destroy());
    expectNoSecret(await calling.catch((error: unknown) => error));
  });

  it('is not seen after a redirect', async () => {
    const calling = call((request, response) =>
      response.writeHead(302, { location: request.url ?? '' }).end(),
    );
    expectNoSecret(await calling.catch((error: unknown) => error));
  });
});

it('an agent that sends back what it was sent shows it in no error of ours', async () => {
  const url = await serve((request, response) => {
    const echo = request.headers.authorization ?? '';
    if (request.url === '/rpc')
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${echo}"` }).end(echo);
    else
      response.end(
        JSON.stringify({
          ...card,
          supportedInterfaces: [{ url: `${url}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
        }),
      );
  });
  const source = {
    ...bearer(secret),
    renew: () => Promise.reject(new Error('No other token.')),
  };
  const connected = await connect(url, { credentials: [source] });
  const failure: unknown = await connected.getTask({ tenant: '', id: 't' }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ message: 'No other token.' });
  expectNoSecret(failure);
});

it('a store that fails with what it was given shows it in no error', async () => {
  const { fetch } = scriptedFetch(json({}));
  const source = refreshing({
    ...client,
    refreshToken: 'r',
    store: {
      get: () => Promise.reject(new Error(`cannot read ${secret}`, { cause: secret })),
      set: () => Promise.resolve(),
      delete: () => Promise.resolve(),
    },
  });
  const calling = authenticatingFetch({ url: 'https://agent.example', card, credentials: [source], fetch })(
    'https://agent.example/rpc',
  );
  const failure: unknown = await calling.catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expectNoSecret(failure);
});

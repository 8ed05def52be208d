import {
  apiKey,
  authenticatingFetch,
  authenticationHandler,
  basic,
  bearer,
  connect,
  planAuthentication,
} from '@a2a-auth/client';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';

import { json, scriptedFetch, unauthorized } from './support/agent.js';
import { basicScheme, bearerScheme, cardJson, cookieKey, headerKey, queryKey } from './support/card.js';

const secret = 'S3CRET';
const url = 'https://agent.example';
const endpoint = 'https://agent.example/rpc';
const basicSecret = Buffer.from(`user:${secret}`).toString('base64');

/** Everything that a log could make of a value. */
function shown(value: unknown): string {
  const inspected = inspect(value, { depth: Infinity, showHidden: true, getters: true });
  return `${inspected}\n${JSON.stringify(value)}\n${String(value)}`;
}

function expectNoSecret(value: unknown) {
  expect(shown(value)).not.toContain(secret);
  expect(shown(value)).not.toContain(basicSecret);
}

const card = cardJson({ key: headerKey(), token: bearerScheme, query: queryKey(), cookie: cookieKey() }, [
  { key: [], token: [], query: [], cookie: [] },
]);
const credentials = {
  key: apiKey(secret),
  token: bearer(secret),
  query: apiKey(secret),
  cookie: apiKey(secret),
};

it.each([
  ['apiKey', apiKey(secret)],
  ['bearer', bearer(secret)],
  ['basic', basic('user', secret)],
  ['planAuthentication', planAuthentication(card, credentials)],
  ['authenticatingFetch', authenticatingFetch({ url, card, credentials })],
  [
    'authenticationHandler',
    authenticationHandler({
      url,
      endpoint,
      card: cardJson({ login: basicScheme }, [{ login: [] }]),
      credentials: [basic('user', secret)],
    }),
  ],
])('%s shows no secret', (_name, value) => {
  expectNoSecret(value);
});

it('an SDK client, its answers and errors show no secret', async () => {
  const agent = scriptedFetch(json(card), unauthorized());
  const client = await connect(url, { credentials, fetch: agent.fetch });
  expectNoSecret(client);
  const failure: unknown = await client.getTask({ tenant: '', id: 't' }).catch((error: unknown) => error);
  expect(agent.seen[1]?.url).toContain(secret);
  expectNoSecret(failure);
});

it('a response shows no key that went into the query', async () => {
  const query = cardJson({ query: queryKey() }, [{ query: [] }]);
  const fetch = (async (input) => {
    const response = json({})();
    Object.defineProperty(response, 'url', { value: input, configurable: true });
    return response;
  }) satisfies typeof globalThis.fetch;
  const response = await authenticatingFetch({ url, card: query, credentials: [apiKey(secret)], fetch })(
    endpoint,
  );
  expect(response.url).toBe(endpoint);
  expectNoSecret(response);
});

it('a call that cannot be made shows no secret', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  const nobody = `http://127.0.0.1:${String(port)}`;
  const calling = authenticatingFetch({ url: nobody, card, credentials })(`${nobody}/rpc`);
  const failure: unknown = await calling.catch((error: unknown) => error);
  expect(inspect(failure)).toContain('ECONNREFUSED');
  expectNoSecret(failure);
});

it.each([
  ['apiKey', () => apiKey(`${secret}\n`)],
  ['bearer', () => bearer(`${secret} `)],
  ['basic', () => basic('user', `${secret}\n`)],
  ['credentials', () => planAuthentication(card, { key: secret } as never)],
  ['url', () => authenticatingFetch({ url: `https://user:${secret}@agent.example`, card, credentials })],
])('an error about %s shows no secret', (_name, make) => {
  let failure: unknown;
  try {
    make();
  } catch (error) {
    failure = error;
  }
  expect(failure).toBeInstanceOf(Error);
  expectNoSecret(failure);
});

import { apiKey, authenticationHandler, bearer } from '@a2a-auth/client';
import { createAuthenticatingFetchWithRetry } from '@a2a-js/sdk/client';
import { describe, expect, it } from 'vitest';

import {
  event,
  json,
  rpc,
  scriptedFetch,
  sendMessage,
  stream,
  unauthorized,
  waitingTask,
  type Answer,
} from './support/agent.js';
import { bearerScheme, cardJson, headerKey, mtlsScheme, oauthScheme, queryKey } from './support/card.js';
import { countingSource } from './support/source.js';

const url = 'https://agent.example';
const endpoint = 'https://agent.example/rpc';
const done = json(rpc({ task: { id: 't', status: { state: 'TASK_STATE_COMPLETED' } } }));
const card = cardJson({ token: bearerScheme, key: headerKey('X-Key') }, [{ token: [], key: [] }]);

function start(...answers: readonly Answer[]) {
  const agent = scriptedFetch(...answers);
  const token = countingSource();
  const handler = authenticationHandler({
    url,
    endpoint,
    card,
    credentials: { token: token.source, key: apiKey('k') },
  });
  return { agent, token, handler, fetch: createAuthenticatingFetchWithRetry(agent.fetch, handler) };
}

it('meets all schemes of the alternative', async () => {
  const { fetch, agent } = start(done);
  await fetch(endpoint, sendMessage());
  expect(Object.fromEntries(agent.seen[0]?.headers ?? [])).toMatchObject({
    authorization: 'Bearer token-1',
    'x-key': 'k',
  });
});

it.each([
  ['HTTP 401', unauthorized()],
  ['a task', json(rpc({ task: waitingTask() }))],
  ['the first event of a stream', stream([event(rpc({ task: waitingTask() }))])],
])('renews after a denial by %s, and sends the same request once more', async (_name, denial) => {
  const { fetch, agent, token } = start(denial, done);
  expect(await (await fetch(endpoint, sendMessage())).json()).toMatchObject({
    result: { task: { id: 't' } },
  });
  expect(agent.seen.map(({ headers }) => headers.get('authorization'))).toEqual([
    'Bearer token-1',
    'Bearer token-2',
  ]);
  expect(agent.seen[1]?.body).toBe(agent.seen[0]?.body);
  expect(token.refusals).toHaveLength(1);
});

it('leaves what is no denial as it came', async () => {
  const { fetch, agent } = start(stream([event({ task: { id: 't' } }), event({ more: 1 })]));
  expect(await (await fetch(endpoint, sendMessage())).text()).toBe(
    event({ task: { id: 't' } }) + event({ more: 1 }),
  );
  expect(agent.seen).toHaveLength(1);
});

it('steps up', async () => {
  const lacking = json({}, { 'www-authenticate': 'Bearer error="insufficient_scope", scope="write"' }, 403);
  const agent = scriptedFetch(lacking, done);
  const { source, requests } = countingSource({
    credential: async (request) => {
      requests.push(request);
      return { headers: { authorization: `Bearer ${request.scopes.join('.')}` } };
    },
  });
  const handler = authenticationHandler({
    url,
    endpoint,
    card: cardJson({ oauth: oauthScheme() }, [{ oauth: ['read'] }]),
    credentials: [source],
    policy: { stepUpScopes: ['write'] },
  });
  await createAuthenticatingFetchWithRetry(agent.fetch, handler)(endpoint, sendMessage());
  expect(requests.map(({ scopes }) => scopes)).toEqual([['read'], ['read', 'write']]);
});

describe('it cannot be set up', () => {
  it.each(['https://evil.example/rpc', 'http://agent.example/rpc'])('for the endpoint %s', (evil) => {
    expect(() =>
      authenticationHandler({ url, endpoint: evil, card, credentials: [bearer('t'), apiKey('k')] }),
    ).toThrow(expect.objectContaining({ code: 'ADDRESS_REFUSED' }));
  });

  it.each([
    ['a query parameter', { key: queryKey() }],
    ['a client certificate', { key: mtlsScheme }],
  ])('with an alternative that needs %s', (_name, schemes) => {
    const { source } = countingSource({ unfitFor: () => undefined });
    expect(() =>
      authenticationHandler({ url, endpoint, card: cardJson(schemes, [{ key: [] }]), credentials: [source] }),
    ).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

import {
  apiKey,
  authenticatingFetch,
  basic,
  bearer,
  planAuthentication,
  type AgentResponse,
  type Credential,
} from '@a2a-auth/client';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';

import {
  type Answer,
  event,
  json,
  rpc,
  scriptedFetch,
  sendMessage,
  stream,
  unauthorized,
  waitingTask,
} from './support/agent.js';
import {
  basicScheme,
  bearerScheme,
  cardJson,
  cookieKey,
  headerKey,
  mtlsScheme,
  oauthScheme,
  queryKey,
} from './support/card.js';
import { countingSource } from './support/source.js';

const url = 'https://agent.example';
const endpoint = 'https://agent.example/rpc';
const done = json(rpc({ task: { id: 't', status: { state: 'TASK_STATE_COMPLETED' } } }));

const tokenCard = cardJson({ token: bearerScheme }, [{ token: [] }]);

/** A fetch for an agent with a bearer scheme, the agent's answers, and the source of its tokens. */
function tokenFetch(...answers: readonly Answer[]) {
  const agent = scriptedFetch(...answers);
  const source = countingSource();
  const tasks: unknown[] = [];
  const fetch = authenticatingFetch({
    url,
    card: tokenCard,
    credentials: { token: source.source },
    fetch: agent.fetch,
    onAuthRequired: (task) => tasks.push(task),
  });
  return { fetch, agent, source, tasks };
}

const tokensOf = ({ seen }: ReturnType<typeof scriptedFetch>) =>
  seen.map(({ headers }) => headers.get('authorization')?.replace('Bearer ', ''));

describe('what is sent', () => {
  it('meets all schemes of the alternative at once', async () => {
    const { fetch, seen } = scriptedFetch(done);
    const card = cardJson(
      {
        header: headerKey('X-Key'),
        query: queryKey('api key'),
        cookie: cookieKey('sid'),
        token: bearerScheme,
      },
      [{ header: [], query: [], cookie: [], token: [] }],
    );
    const credentials = {
      header: apiKey('h'),
      query: apiKey('q&q=1'),
      cookie: apiKey('c;c'),
      token: bearer('t'),
    };
    await authenticatingFetch({ url, card, credentials, fetch })(`${endpoint}?a=1#top`, {
      headers: { cookie: 'theme=dark', 'x-trace': '1' },
    });
    expect(seen).toHaveLength(1);
    expect(Object.fromEntries(seen[0]?.headers ?? [])).toEqual({
      authorization: 'Bearer t',
      cookie: 'theme=dark; sid=c%3Bc',
      'x-key': 'h',
      'x-trace': '1',
    });
    expect([...new URL(seen[0]?.url ?? '').searchParams]).toEqual([
      ['a', '1'],
      ['api key', 'q&q=1'],
    ]);
  });

  it('says Basic as RFC 7617 has it', async () => {
    const { fetch, seen } = scriptedFetch(done);
    const card = cardJson({ login: basicScheme }, [{ login: [] }]);
    await authenticatingFetch({ url, card, credentials: [basic('Ada', 'ü:p')], fetch })(endpoint);
    expect(seen[0]?.headers.get('authorization')).toBe(`Basic ${Buffer.from('Ada:ü:p').toString('base64')}`);
  });

  it('replaces what the caller put into the same header', async () => {
    const { fetch, agent } = tokenFetch(done);
    await fetch(endpoint, { headers: { Authorization: 'Bearer mine' } });
    expect(tokensOf(agent)).toEqual(['token-1']);
  });

  it('asks functions for each request', async () => {
    const { fetch, seen } = scriptedFetch(done);
    const card = cardJson({ token: bearerScheme, key: headerKey('X-Key') }, [{ token: [], key: [] }]);
    let number = 0;
    const authenticated = authenticatingFetch({
      url,
      card,
      fetch,
      credentials: {
        token: bearer(async ({ schemeId }) => `${schemeId}-${String(++number)}`),
        key: apiKey(() => 'k'),
      },
    });
    await authenticated(endpoint);
    await authenticated(endpoint);
    expect(seen.map(({ headers }) => headers.get('authorization'))).toEqual([
      'Bearer token-1',
      'Bearer token-2',
    ]);
  });

  it('takes a plan, and a Request', async () => {
    const { fetch, seen } = scriptedFetch(done);
    const plan = planAuthentication(tokenCard, { token: bearer('t') });
    await authenticatingFetch({ url, plan, fetch })(new Request(endpoint, { method: 'POST', body: 'hi' }));
    expect(seen[0]).toMatchObject({ url: endpoint, method: 'POST' });
    expect(new TextDecoder().decode(seen[0]?.body as ArrayBuffer)).toBe('hi');
  });

  it('tells sources what is asked and of whom', async () => {
    const { fetch } = scriptedFetch(done);
    const { source, requests } = countingSource();
    const card = cardJson({ oauth: oauthScheme() }, [{ oauth: ['read'] }]);
    const { signal } = new AbortController();
    await authenticatingFetch({
      url,
      card,
      credentials: [source],
      fetch,
      resource: 'https://agent.example/a2a',
    })(endpoint, { method: 'POST', signal });
    expect(requests).toMatchObject([
      {
        schemeId: 'oauth',
        scheme: { type: 'oauth2', flow: { type: 'clientCredentials' } },
        scopes: ['read'],
        resource: 'https://agent.example/a2a',
        http: { method: 'POST', url: endpoint },
        signal,
      },
    ]);
  });

  it.each([
    ['two for one header', [{ headers: { 'x-a': '1' } }, { headers: { 'X-A': '2' } }]],
    ['two for one query parameter', [{ query: { a: '1' } }, { query: { a: '2' } }]],
    ['two certificates', [{ tls: { certificate: 'c', key: 'k' } }, { tls: { certificate: 'd', key: 'l' } }]],
    ['a line break', [{ headers: { 'x-a': 'secret\r\nx-evil: 1' } }]],
    ['a reserved header', [{ headers: { host: 'secret' } }]],
    ['a name that is none', [{ headers: { 'x a': 'secret' } }]],
  ] satisfies [string, Credential[]][])(
    'sends nothing when the credentials have %s',
    async (_name, given) => {
      const { fetch, seen } = scriptedFetch(done);
      const sources = given.map(
        (credential) =>
          countingSource({ unfitFor: () => undefined, credential: async () => credential }).source,
      );
      const ids = given.map((_, index) => `s${String(index)}`);
      const card = cardJson(Object.fromEntries(ids.map((id) => [id, headerKey(`x-${id}`)])), [
        Object.fromEntries(ids.map((id) => [id, []])),
      ]);
      const calling = authenticatingFetch({ url, card, credentials: sources, fetch })(endpoint);
      await expect(calling).rejects.toMatchObject({
        code: 'CREDENTIAL_UNUSABLE',
        message: expect.not.stringContaining('secret') as string,
      });
      expect(seen).toEqual([]);
    },
  );
});

describe('where it is sent', () => {
  it.each([
    'https://evil.example/rpc',
    'https://agent.example:8443/rpc',
    'http://agent.example/rpc',
    'https://agent.example.evil.example/rpc',
    'https://user@agent.example/rpc',
    'https://user:password@agent.example/rpc',
  ])('is not %s', async (target) => {
    const { fetch, agent, source } = tokenFetch(done);
    await expect(fetch(target)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(agent.seen).toEqual([]);
    expect(source.requests).toEqual([]);
  });

  it('is another origin that policy names', async () => {
    const { fetch, seen } = scriptedFetch(done);
    const policy = { origins: ['https://api.example'] };
    const authenticated = authenticatingFetch({
      url,
      card: tokenCard,
      credentials: [bearer('t')],
      policy,
      fetch,
    });
    await authenticated('https://api.example/rpc');
    expect(seen).toHaveLength(1);
    await expect(authenticated('https://api.example:444/rpc')).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
  });

  it('is anywhere when nothing secret is sent', async () => {
    const { fetch, seen } = scriptedFetch(done);
    const authenticated = authenticatingFetch({ url, card: cardJson({}), credentials: [], fetch });
    await authenticated('https://api.example/rpc');
    expect(seen).toHaveLength(1);
  });

  it.each(['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000'])(
    'is the loopback in plain: %s',
    async (local) => {
      const { fetch, seen } = scriptedFetch(done);
      await authenticatingFetch({ url: local, card: tokenCard, credentials: [bearer('t')], fetch })(
        `${local}/rpc`,
      );
      expect(seen).toHaveLength(1);
    },
  );

  it.each([301, 302, 303, 307, 308])('is not where a redirect %s leads', async (status) => {
    const { fetch, agent } = tokenFetch(
      () => new Response(null, { status, headers: { location: 'https://evil.example/' } }),
    );
    await expect(fetch(endpoint)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(agent.seen.map(({ redirect }) => redirect)).toEqual(['manual']);
  });

  it.each([
    ['an http url', { url: 'http://agent.example' }],
    ['a url with a password', { url: 'https://a:b@agent.example' }],
    ['a url that is none', { url: 'agent.example' }],
    ['an origin with a path', { policy: { origins: ['https://api.example/path'] } }],
    ['an http origin', { policy: { origins: ['http://api.example'] } }],
    ['an origin that is none', { policy: { origins: ['*'] } }],
    ['scopes that are none', { policy: { scopes: ['a b'] } }],
    ['neither card nor plan', { card: undefined, credentials: undefined }],
    ['a plan and a card', { plan: planAuthentication(tokenCard, [bearer('t')]) }],
    [
      'a fetch of its own and a client certificate',
      {
        card: cardJson({ m: mtlsScheme }, [{ m: [] }]),
        credentials: [countingSource({ unfitFor: () => undefined }).source],
      },
    ],
  ])('cannot be set up with %s', (_name, options) => {
    const { fetch } = scriptedFetch(done);
    expect(() =>
      authenticatingFetch({ url, card: tokenCard, credentials: [bearer('t')], fetch, ...options }),
    ).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });

  it('is nowhere when no alternative can be met, and the error says why', () => {
    const card = cardJson({ m: mtlsScheme, token: bearerScheme }, [{ m: [], token: [] }]);
    expect(() => authenticatingFetch({ url, card, credentials: [bearer('t')] })).toThrow(
      expect.objectContaining({
        code: 'NO_ALTERNATIVE',
        message: expect.stringContaining('"m": A bearer token is no mutualTLS') as string,
      }),
    );
  });
});

const denials = {
  'HTTP 401': unauthorized(),
  'HTTP 401 without a challenge': json({}, {}, 401),
  'a task, with a challenge': json(rpc({ task: waitingTask() }), { 'www-authenticate': 'Bearer' }),
  'a task with a history of the message alone, with a challenge': json(
    rpc({ task: waitingTask({ history: [{ messageId: 'm-1' }] }) }),
    { 'www-authenticate': 'Bearer' },
  ),
  'a task, with the data of a denial': json(
    rpc({ task: waitingTask({}, { reason: 'invalid_credential', alternatives: [] }) }),
  ),
  'a new and empty task': json(rpc({ task: waitingTask() })),
  'a task of HTTP+JSON': json(
    { task: waitingTask() },
    { 'content-type': 'application/a2a+json; charset=utf-8', 'www-authenticate': 'Bearer' },
  ),
  'a task of 0.3': json(
    rpc({
      kind: 'task',
      id: 't-1',
      contextId: 'c-1',
      status: { state: 'auth-required', message: { parts: [{ kind: 'text', text: 'No.' }] } },
    }),
  ),
  'a JSON-RPC error with a challenge': json(
    { jsonrpc: '2.0', id: 1, error: { code: -32600, message: 'no' } },
    { 'www-authenticate': 'Bearer' },
  ),
  'the first event of a stream': stream([event(rpc({ task: waitingTask() }))]),
  'the first event after comments, in small pieces': stream([
    ': ping\n',
    '\n',
    ...(event(rpc({ task: waitingTask() })).match(/.{1,7}|\n/g) ?? []),
  ]),
  'a final status-update of 0.3': stream([
    event(
      rpc({
        kind: 'status-update',
        taskId: 't-1',
        contextId: 'c-1',
        final: true,
        status: { state: 'auth-required' },
      }),
    ),
  ]),
  'a status-update with a challenge': stream(
    [event({ statusUpdate: { taskId: 't-1', status: { state: 'TASK_STATE_AUTH_REQUIRED' } } })],
    {
      'www-authenticate': 'Bearer',
    },
  ),
  'an event with CRLF': stream([event(rpc({ task: waitingTask() })).replaceAll('\n', '\r\n')]),
};

describe.each(Object.entries(denials))('after a denial by %s', (_name, denial) => {
  it('renews, and sends the same request once more', async () => {
    const { fetch, agent, source, tasks } = tokenFetch(denial, done);
    const response = await fetch(endpoint, sendMessage());
    expect(await response.json()).toMatchObject({ result: { task: { id: 't' } } });
    expect(tokensOf(agent)).toEqual(['token-1', 'token-2']);
    expect(agent.seen[1]?.body).toBe(agent.seen[0]?.body);
    expect(source.refusals).toMatchObject([
      { schemeId: 'token', refused: { headers: { authorization: 'Bearer token-1' } } },
    ]);
    expect(tasks).toEqual([]);
  });

  it('returns a second denial as it came', async () => {
    const { fetch, agent, source, tasks } = tokenFetch(denial);
    const response = await fetch(endpoint, sendMessage());
    const [received, sent] = [response, denial()];
    expect(received.status).toBe(sent.status);
    expect([...received.headers]).toEqual([...sent.headers]);
    expect(await received.text()).toBe(await sent.text());
    expect(agent.seen).toHaveLength(2);
    expect(source.refusals).toHaveLength(1);
    expect(tasks).toEqual([]);
  });
});

const history = [{ messageId: 'm-1' }, { messageId: 'm-2' }];
const inTask = {
  'a task with a history': [json(rpc({ task: waitingTask({ history }) })), sendMessage()],
  'a task with a history, and a challenge': [
    json(rpc({ task: waitingTask({ history }) }), { 'www-authenticate': 'Bearer' }),
    sendMessage(),
  ],
  "a task with a history, and the data of somebody else's denial": [
    json(
      rpc({
        task: waitingTask({ history: history.slice(1) }, { reason: 'missing_credential', alternatives: [] }),
      }),
    ),
    sendMessage(),
  ],
  'a task with a history of the message alone': [
    json(rpc({ task: waitingTask({ history: history.slice(0, 1) }) })),
    sendMessage(),
  ],
  'a task with artifacts': [
    json(rpc({ task: waitingTask({ artifacts: [{ artifactId: 'a' }] }) }), { 'www-authenticate': 'Bearer' }),
    sendMessage(),
  ],
  'the task that the message names, with the data of a denial': [
    json(rpc({ task: waitingTask({}, { reason: 'missing_credential', alternatives: [] }) })),
    sendMessage({ taskId: 't-1' }),
  ],
  'the task that the message names': [json(rpc({ task: waitingTask() })), sendMessage({ taskId: 't-1' })],
  'a task without history, of which none was wanted': [
    json(rpc({ task: waitingTask() })),
    sendMessage({}, { historyLength: 0 }),
  ],
  'a status-update as first event': [
    stream([event({ statusUpdate: { taskId: 't-1', contextId: 'c-1', status: waitingTask().status } })]),
    sendMessage(),
  ],
  'a later event of a stream': [
    stream([
      event({ task: { id: 't-1', status: { state: 'TASK_STATE_WORKING' } } }),
      event({ statusUpdate: { taskId: 't-1', contextId: 'c-1', status: waitingTask().status } }),
    ]),
    sendMessage(),
  ],
  'a later event of a resubscribed stream': [
    stream([event(rpc({ statusUpdate: { taskId: 't-1', contextId: 'c-1', status: waitingTask().status } }))]),
    sendMessage({}, undefined, 'SubscribeToTask'),
  ],
} satisfies Record<string, [() => Response, RequestInit]>;

it.each(Object.entries(inTask))(
  'hands %s to onAuthRequired, and repeats nothing',
  async (_name, [answer, message]) => {
    const { fetch, agent, source, tasks } = tokenFetch(answer);
    const response = await fetch(endpoint, message);
    expect(await response.text()).toBe(await answer().text());
    expect(agent.seen).toHaveLength(1);
    expect(source.refusals).toEqual([]);
    expect(tasks).toEqual([
      {
        taskId: 't-1',
        contextId: 'c-1',
        text: 'Log in.',
        status: expect.objectContaining({ state: 'TASK_STATE_AUTH_REQUIRED' }) as unknown,
      },
    ]);
  },
);

it('hands on the answer also where onAuthRequired fails', async () => {
  const warnings = vi.spyOn(process, 'emitWarning').mockReturnValue();
  const [answer, message] = Object.values(inTask)[0] ?? [];
  const fetch = authenticatingFetch({
    url,
    card: tokenCard,
    credentials: [bearer('t')],
    fetch: scriptedFetch(answer as Answer).fetch,
    onAuthRequired: () => {
      throw new Error('no screen');
    },
  });
  expect((await fetch(endpoint, message)).status).toBe(200);
  expect(warnings).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('no screen'), expect.anything());
  warnings.mockRestore();
});

describe('what is no denial', () => {
  it.each([
    ['a completed task', done],
    ['HTTP 503', json({}, { 'retry-after': '5' }, 503)],
    ['HTTP 429', json({}, { 'retry-after': '5' }, 429)],
    ['HTTP 403', json({}, {}, 403)],
    [
      'a refusal that other credentials would not help',
      json(rpc({ task: waitingTask({}, { reason: 'not_permitted', alternatives: [] }) })),
    ],
    [
      'broken JSON',
      () => new Response('{"auth-required', { headers: { 'content-type': 'application/json' } }),
    ],
    ['a text about it', json({ text: 'TASK_STATE_AUTH_REQUIRED' })],
    ['an empty stream', stream([])],
    ['an unended event', stream(['data: {"task"'])],
    ['no content', () => new Response(null, { status: 204 })],
  ])('passes: %s', async (_name, answer) => {
    const { fetch, agent } = tokenFetch(answer);
    const response = await fetch(endpoint, sendMessage());
    const expected = answer();
    expect([response.status, await response.text()]).toEqual([expected.status, await expected.text()]);
    expect(agent.seen).toHaveLength(1);
  });

  it('passes: a waiting task that was asked for', async () => {
    const { fetch, agent, tasks } = tokenFetch(json(rpc(waitingTask())));
    await fetch(endpoint, sendMessage({}, undefined, 'GetTask'));
    expect(agent.seen).toHaveLength(1);
    expect(tasks).toEqual([]);
  });

  it('passes through while it is written: a stream', async () => {
    let push: (text: string) => void = () => undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = (text) => {
          controller.enqueue(new TextEncoder().encode(text));
        };
      },
    });
    const answer = () => new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    const { fetch } = tokenFetch(answer);
    const calling = fetch(endpoint, sendMessage());
    push(event({ task: { id: 't', status: { state: 'TASK_STATE_WORKING' } } }));
    const reader = (await calling).body?.getReader();
    const read = async () => new TextDecoder().decode((await reader?.read())?.value as Uint8Array);
    expect(await read()).toContain('WORKING');
    push('data: second\n\n');
    expect(await read()).toBe('data: second\n\n');
    await reader?.cancel();
  });

  it('passes when it is larger than any denial: a JSON text, and an event', async () => {
    const long = `${'x'.repeat(3 * 1024 * 1024)} auth-required`;
    for (const answer of [
      json({ long }),
      stream([event({ long })]),
      stream(Array(64).fill(`: ${long.slice(0, 65_536)}\n`)),
    ]) {
      const { fetch, agent } = tokenFetch(answer);
      const response = await fetch(endpoint, sendMessage());
      expect((await response.text()) === (await answer().text())).toBe(true);
      expect(agent.seen).toHaveLength(1);
    }
  });

  it('stops the agent when the caller cancels the stream', async () => {
    const cancel = vi.fn();
    const answer = () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode('data: 1\n\n'));
          },
          cancel,
        }),
        { headers: { 'content-type': 'text/event-stream' } },
      );
    const { fetch } = tokenFetch(answer);
    const response = await fetch(endpoint, sendMessage());
    await response.body?.cancel('enough');
    expect(cancel).toHaveBeenCalled();
  });
});

describe('renewal', () => {
  it('is not tried when no source has another credential', async () => {
    const { fetch, seen } = scriptedFetch(unauthorized());
    const response = await authenticatingFetch({ url, card: tokenCard, credentials: [bearer('t')], fetch })(
      endpoint,
      sendMessage(),
    );
    expect(response.status).toBe(401);
    expect(seen).toHaveLength(1);
  });

  it('repeats nothing when the credential stays the same', async () => {
    const { fetch, seen } = scriptedFetch(unauthorized());
    const token = vi.fn(() => 'same');
    const response = await authenticatingFetch({ url, card: tokenCard, credentials: [bearer(token)], fetch })(
      endpoint,
      sendMessage(),
    );
    expect(response.status).toBe(401);
    expect(token).toHaveBeenCalledTimes(2);
    expect(seen).toHaveLength(1);
  });

  it('repeats no body that can be read once only', async () => {
    const { fetch, agent } = tokenFetch(unauthorized(), done);
    const body = new Response('hello').body;
    const response = await fetch(endpoint, { method: 'POST', body, duplex: 'half' });
    expect(response.status).toBe(401);
    expect(agent.seen).toHaveLength(1);
  });

  it('is told the challenge that is about the credential', async () => {
    const agent = scriptedFetch(
      unauthorized('ApiKey name="X-Key", Bearer error="invalid_token", DPoP algs="ES256"'),
      done,
    );
    const [token, key] = [
      countingSource(),
      countingSource({ unfitFor: () => undefined, credential: async () => ({ headers: { 'x-key': 'k' } }) }),
    ];
    const card = cardJson({ token: bearerScheme, key: headerKey('X-Key') }, [{ token: [], key: [] }]);
    await authenticatingFetch({
      url,
      card,
      credentials: { token: token.source, key: key.source },
      fetch: agent.fetch,
    })(endpoint, sendMessage());
    expect(token.refusals[0]?.challenge).toEqual({ scheme: 'bearer', params: { error: 'invalid_token' } });
    expect(key.refusals[0]?.challenge).toEqual({ scheme: 'apikey', params: { name: 'X-Key' } });
  });

  it('is told the challenge that says what is wrong, where there are several of one name', async () => {
    const { fetch, source } = tokenFetch(
      unauthorized('Bearer realm="partners", Bearer realm="a2a", error="insufficient_user_authentication"'),
      done,
    );
    await fetch(endpoint, sendMessage());
    expect(source.refusals[0]?.challenge?.params).toMatchObject({ realm: 'a2a' });
  });

  it('throws what the source throws', async () => {
    const failure = new Error('The provider is down.');
    const agent = scriptedFetch(unauthorized());
    const { source } = countingSource({ renew: () => Promise.reject(failure) });
    const calling = authenticatingFetch({ url, card: tokenCard, credentials: [source], fetch: agent.fetch })(
      endpoint,
      sendMessage(),
    );
    await expect(calling).rejects.toBe(failure);
  });

  it('happens once for a thousand calls that are refused at once', async () => {
    const agent = scriptedFetch(unauthorized());
    const { source, ...counted } = countingSource();
    const accepting = (async (input, init) => {
      const { authorization } = Object.fromEntries(new Headers(init?.headers));
      return authorization === 'Bearer token-2' ? done() : agent.fetch(input, init);
    }) satisfies typeof fetch;
    const authenticated = authenticatingFetch({
      url,
      card: tokenCard,
      credentials: [source],
      fetch: accepting,
    });
    const responses = await Promise.all(
      Array.from({ length: 1000 }, () => authenticated(endpoint, sendMessage())),
    );
    expect(responses.every(({ status }) => status === 200)).toBe(true);
    expect(agent.seen).toHaveLength(1000);
    expect(counted.refusals).toHaveLength(1000);
    expect(source).toBeDefined();
  });

  it('tells sources of every response', async () => {
    const observe = vi.fn<(response: AgentResponse) => void>();
    const agent = scriptedFetch(unauthorized(), done);
    const { source } = countingSource({ observe });
    await authenticatingFetch({ url, card: tokenCard, credentials: [source], fetch: agent.fetch })(
      endpoint,
      sendMessage(),
    );
    expect(observe.mock.calls.map(([{ status }]) => status)).toEqual([401, 200]);
  });
});

describe('a call that is given up', () => {
  it('asks no source when that was before', async () => {
    const { fetch, source } = tokenFetch(done);
    const signal = AbortSignal.abort(new Error('Enough.'));
    await expect(fetch(endpoint, { signal })).rejects.toThrow('Enough.');
    expect(source.requests).toEqual([]);
  });

  it.each(['credential', 'renew'] as const)('does not wait for a source that hangs in %s', async (method) => {
    const controller = new AbortController();
    const hang = () => {
      setImmediate(() => {
        controller.abort(new Error('Enough.'));
      });
      return new Promise<never>(() => undefined);
    };
    const { fetch } = scriptedFetch(unauthorized());
    const { source } = countingSource({ [method]: hang });
    const { signal } = controller;
    const calling = authenticatingFetch({ url, card: tokenCard, credentials: [source], fetch })(endpoint, {
      signal,
    });
    await expect(calling).rejects.toThrow('Enough.');
  });
});

describe('a step-up', () => {
  const card = cardJson({ oauth: oauthScheme() }, [{ oauth: ['read'] }]);
  const lacking = json(
    {},
    { 'www-authenticate': 'Bearer error="insufficient_scope", scope="read write"' },
    403,
  );
  const start = (stepUpScopes: string[] | undefined, ...answers: readonly Answer[]) => {
    const agent = scriptedFetch(...answers);
    const requests: (readonly string[])[] = [];
    const source = countingSource({
      credential: async ({ scopes }) => {
        requests.push(scopes);
        return { headers: { authorization: `Bearer ${scopes.join('.')}` } };
      },
    });
    const policy = { stepUpScopes };
    return {
      agent,
      requests,
      source,
      fetch: authenticatingFetch({ url, card, credentials: [source.source], policy, fetch: agent.fetch }),
    };
  };

  it.each([
    ['HTTP 403', lacking],
    [
      'a task',
      json(
        rpc({
          task: waitingTask({}, { reason: 'insufficient_scope', alternatives: [], missingScopes: ['write'] }),
        }),
      ),
    ],
    [
      'a task with a challenge',
      json(rpc({ task: waitingTask() }), {
        'www-authenticate': 'Bearer error="insufficient_scope", scope="write"',
      }),
    ],
  ])('asks for the scopes that %s names, now and from then on', async (_name, refusal) => {
    const { fetch, agent, requests, source } = start(['write'], refusal, done);
    expect((await fetch(endpoint, sendMessage())).status).toBe(200);
    await fetch(endpoint, sendMessage());
    expect(requests).toEqual([['read'], ['read', 'write'], ['read', 'write']]);
    expect(agent.seen).toHaveLength(3);
    expect(source.refusals).toEqual([]);
  });

  it.each([
    ['without leave', undefined],
    ['without leave for all of them', ['other']],
  ])('is not made %s', async (_name, stepUpScopes) => {
    const { fetch, agent } = start(stepUpScopes, lacking);
    expect((await fetch(endpoint, sendMessage())).status).toBe(403);
    expect(agent.seen).toHaveLength(1);
  });

  it('is forgotten when it was not enough', async () => {
    const { fetch, requests } = start(['write'], lacking);
    await fetch(endpoint, sendMessage());
    await fetch(endpoint, sendMessage());
    expect(requests).toEqual([['read'], ['read', 'write'], ['read'], ['read', 'write']]);
  });

  it('is not made for what is no scope', async () => {
    const odd = json({}, { 'www-authenticate': 'Bearer error="insufficient_scope", scope="wri\\"te"' }, 403);
    const { fetch, agent } = start(['write'], odd);
    expect((await fetch(endpoint, sendMessage())).status).toBe(403);
    expect(agent.seen).toHaveLength(1);
  });
});

it('reads a denial that was compressed', async () => {
  // As fetch gives it: the text is plain, the header still says how it came.
  const text = JSON.stringify(rpc({ task: waitingTask() }));
  const answer = () =>
    new Response(text, {
      headers: {
        'content-type': 'application/json',
        'content-encoding': 'gzip',
        'content-length': String(gzipSync(text).length),
      },
    });
  const { fetch, agent } = tokenFetch(answer, done);
  expect((await fetch(endpoint, sendMessage())).status).toBe(200);
  expect(agent.seen).toHaveLength(2);
});

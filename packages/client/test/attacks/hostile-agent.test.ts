import { apiKey, authenticatingFetch, bearer, connect, type ClientPolicy } from '@a2a-auth/client';
import type { RequestListener, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';

import { event, rpc, sendMessage, waitingTask } from '../support/agent.js';
import { bearerScheme, cardJson, headerKey, oauthScheme } from '../support/card.js';
import { serve } from '../support/serve.js';
import { countingSource } from '../support/source.js';

const MiB = 1024 * 1024;

/** An agent on a real HTTP server that counts what it is sent. */
async function startAgent(answer: RequestListener) {
  const tokens: (string | undefined)[] = [];
  const url = await serve((request, response) => {
    tokens.push(request.headers.authorization?.replace('Bearer ', ''));
    request.resume();
    answer(request, response);
  });
  return { url, tokens };
}

const tokenCard = cardJson({ token: bearerScheme }, [{ token: [] }]);

function fetchFor(url: string, policy: ClientPolicy = {}, card: unknown = tokenCard) {
  const source = countingSource();
  return {
    source,
    fetch: authenticatingFetch({ url, card, credentials: { token: source.source }, policy }),
  };
}

/** Writes as long as somebody reads; tells how much that was. */
function flood(response: ServerResponse, chunk: string | Buffer) {
  const written = { bytes: 0, isClosed: false };
  response.on('close', () => (written.isClosed = true));
  const more = () => {
    while (!written.isClosed && response.write(chunk)) written.bytes += chunk.length;
    if (!written.isClosed) response.once('drain', more);
  };
  more();
  return written;
}

describe('an agent that refuses everything', () => {
  const answers: readonly [string, RequestListener][] = [
    [
      'by HTTP 401',
      (_request, response) => response.writeHead(401, { 'www-authenticate': 'Bearer' }).end('{}'),
    ],
    ['by HTTP 401 without a challenge', (_request, response) => response.writeHead(401).end()],
    [
      'by a task',
      (_request, response) =>
        response
          .writeHead(200, { 'content-type': 'application/json', 'www-authenticate': 'Bearer' })
          .end(JSON.stringify(rpc({ task: waitingTask() }))),
    ],
    [
      'by a JSON-RPC error',
      (_request, response) =>
        response
          .writeHead(200, { 'content-type': 'application/json', 'www-authenticate': 'Bearer' })
          .end('{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}'),
    ],
    [
      'by a stream',
      (_request, response) =>
        response
          .writeHead(200, { 'content-type': 'text/event-stream', 'www-authenticate': 'Bearer' })
          .end(event(rpc({ task: waitingTask() }))),
    ],
    [
      'now so, now so',
      (request, response) => {
        if (request.headers.authorization?.endsWith('1') === true) response.writeHead(401).end();
        else response.writeHead(403, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
      },
    ],
  ];
  it.each(answers)('is asked twice at most: %s', async (_name, answer) => {
    const agent = await startAgent(answer);
    const { fetch, source } = fetchFor(agent.url);
    const response = await fetch(`${agent.url}/rpc`, sendMessage());
    await response.text();
    expect(agent.tokens).toEqual(['token-1', 'token-2']);
    expect(source.fetched).toBe(2);
  });

  it('gets a key once that cannot change', async () => {
    const agent = await startAgent((_request, response) => response.writeHead(401).end());
    const card = cardJson({ key: headerKey() }, [{ key: [] }]);
    const fetch = authenticatingFetch({ url: agent.url, card, credentials: [apiKey(() => 'k')] });
    expect((await fetch(`${agent.url}/rpc`, sendMessage())).status).toBe(401);
    expect(agent.tokens).toHaveLength(1);
  });
});

describe('an agent that never ends', () => {
  it('its 401: is cut off before the second call', async () => {
    let written = { bytes: 0, isClosed: false };
    const agent = await startAgent((request, response) => {
      if (request.headers.authorization === 'Bearer token-2') {
        response.end('{}');
        return;
      }
      response.writeHead(401, { 'www-authenticate': 'Bearer' });
      written = flood(response, Buffer.alloc(65_536));
    });
    const response = await fetchFor(agent.url).fetch(`${agent.url}/rpc`, sendMessage());
    expect(response.status).toBe(200);
    await expect.poll(() => written.isClosed).toBe(true);
    expect(written.bytes).toBeLessThan(64 * MiB);
  });

  it.each([
    ['a first event', 'text/event-stream', 'data: '],
    ['comments before the first event', 'text/event-stream', ': \n'],
    ['empty lines before the first event', 'text/event-stream', '\n'],
    ['JSON', 'application/json', '['],
  ])('%s: is passed on after a MiB, as it came', async (_name, type, start) => {
    const agent = await startAgent((_request, response) => {
      response.writeHead(200, { 'content-type': type, 'www-authenticate': 'Bearer' });
      flood(response, start.repeat(16_384));
    });
    const controller = new AbortController();
    const { fetch } = fetchFor(agent.url);
    const response = await fetch(`${agent.url}/rpc`, { ...sendMessage(), signal: controller.signal });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(new TextDecoder().decode((first?.value as Uint8Array | undefined)?.slice(0, 16))).toBe(
      start.repeat(16).slice(0, 16),
    );
    await reader?.cancel();
    expect(agent.tokens).toHaveLength(1);
  });

  it('a bomb of gzip: is unpacked no further than a MiB', async () => {
    const bomb = gzipSync(Buffer.alloc(256 * MiB, ' '));
    const agent = await startAgent((_request, response) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-encoding': 'gzip',
        'content-length': String(bomb.length),
      });
      response.end(bomb);
    });
    const before = process.memoryUsage().arrayBuffers;
    const response = await fetchFor(agent.url).fetch(`${agent.url}/rpc`, sendMessage());
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MiB);
    await response.body?.cancel();
  });

  it('a card that is a bomb of gzip: is refused before it is unpacked', async () => {
    const bomb = gzipSync(Buffer.concat([Buffer.alloc(64 * MiB, ' '), Buffer.from('{}')]));
    const agent = await startAgent((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    });
    await expect(connect(agent.url, { credentials: [bearer('t')] })).rejects.toMatchObject({
      code: 'CARD_INVALID',
      message: expect.stringContaining('is larger than') as string,
    });
  });

  it('an answer that does not come: can be given up', async () => {
    const agent = await startAgent((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{');
    });
    const controller = new AbortController();
    const { fetch } = fetchFor(agent.url);
    const calling = fetch(`${agent.url}/rpc`, { ...sendMessage(), signal: controller.signal });
    await expect.poll(() => agent.tokens.length).toBe(1);
    controller.abort(new Error('Enough.'));
    await expect(calling).rejects.toThrow('Enough.');
  });
});

describe('an agent that asks for other scopes', () => {
  const card = cardJson({ token: oauthScheme() }, [{ token: ['read'] }]);
  const challenges = [
    'Bearer error="insufficient_scope", scope="admin"',
    'Bearer error="insufficient_scope", scope="write admin"',
    'Bearer error="insufficient_scope", scope="write" , Bearer error="insufficient_scope", scope="admin"',
    'DPoP error="insufficient_scope", scope="write\tadmin"',
    'Bearer error="insufficient_scope"',
    `Bearer error="insufficient_scope", scope="${'write '.repeat(101)}"`,
  ];
  it.each(challenges)('gets none but those that policy allows: %s', async (challenge) => {
    for (const status of [401, 403]) {
      const agent = await startAgent((_request, response) =>
        response.writeHead(status, { 'www-authenticate': challenge }).end(),
      );
      const { fetch, source } = fetchFor(agent.url, { stepUpScopes: ['write'] }, card);
      const response = await fetch(`${agent.url}/rpc`, sendMessage());
      expect(response.status).toBe(status);
      expect(agent.tokens).toHaveLength(1);
      expect(source.requests.map(({ scopes }) => scopes)).toEqual([['read']]);
    }
  });

  it('gets none by a task either', async () => {
    const data = { reason: 'insufficient_scope', alternatives: [], missingScopes: ['write', 'admin'] };
    const agent = await startAgent((_request, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify(rpc({ task: waitingTask({}, data) }))),
    );
    const { fetch, source } = fetchFor(agent.url, { stepUpScopes: ['write'] }, card);
    await fetch(`${agent.url}/rpc`, sendMessage());
    expect(source.requests.map(({ scopes }) => scopes)).toEqual([['read']]);
  });
});

it.each([
  ['quotation marks', 'Bearer ' + 'a="\\"",'.repeat(2_000)],
  ['backslashes', `Bearer a="${'\\'.repeat(15_000)}`],
  ['commas', ','.repeat(15_000)],
  ['spaces', `Bearer ${' '.repeat(15_000)}x`],
  ['names', 'Bearer '.repeat(2_000)],
  ['equals signs', `Bearer ${'='.repeat(15_000)}`],
  ['parameters', `Bearer ${Array.from({ length: 1_000 }, (_, index) => `p${String(index)}=1`).join(', ')}`],
  ['a name that all objects have', 'Bearer __proto__="x", constructor="y", error="invalid_token"'],
])('a challenge full of %s is a denial like any other', async (_name, challenge) => {
  const agent = await startAgent((request, response) => {
    if (request.headers.authorization === 'Bearer token-2') response.end('{}');
    else response.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  const response = await fetchFor(agent.url).fetch(`${agent.url}/rpc`, sendMessage());
  expect(response.status).toBe(200);
  expect(agent.tokens).toHaveLength(2);
});

it('a thousand calls of which each is refused share one renewal, and none rejects beside', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => {
    process.off('unhandledRejection', note);
  });
  const agent = await startAgent((_request, response) => response.writeHead(401).end());
  const failing = countingSource({ renew: () => Promise.reject(new Error('No more.')) });
  const fetch = authenticatingFetch({
    url: agent.url,
    card: tokenCard,
    credentials: { token: failing.source },
  });
  const results = await Promise.allSettled(
    Array.from({ length: 1_000 }, () => fetch(`${agent.url}/rpc`, sendMessage())),
  );
  expect(new Set(results.map((result) => result.status))).toEqual(new Set(['rejected']));
  expect(failing.fetched).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});

import { authenticatingFetch, clientCredentials, fileTokenStore, refreshing } from '@a2a-auth/client';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';

import {
  bearerScheme,
  refuse,
  requestFor,
  scriptedServer,
  sendJson,
  tokenAnswer,
  tokenOf,
} from '../../../../test/client-oauth/support.js';
import { closeServersAfterTests } from '../../../../test/support/oauth/servers.js';
import { json, scriptedFetch } from '../support/agent.js';
import { bearerScheme as bearerCard, cardJson } from '../support/card.js';

closeServersAfterTests();

const wanted = (changes = {}) => requestFor(undefined, { scheme: bearerScheme, ...changes });
const source = (issuer: string) => clientCredentials({ issuer, clientId: 'c', clientSecret: 'S3CRET' });

function watchRejections(): unknown[] {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => {
    process.off('unhandledRejection', note);
  });
  return unhandled;
}

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  onTestFinished(() => rm(made, { recursive: true }));
  return join(made, 'tokens');
}

describe('a thousand calls at once', () => {
  it('that get no token fail by one request, and the next call gets one', async () => {
    const unhandled = watchRejections();
    const server = await scriptedServer({
      '/token': (response) => {
        sendJson(response, 503, { error: 'temporarily_unavailable' });
      },
    });
    const tokens = source(server.url);
    const results = await Promise.allSettled(Array.from({ length: 1_000 }, () => tokenOf(tokens, wanted())));
    expect(
      new Set(results.map((result) => result.status === 'rejected' && (result.reason as Error).message)).size,
    ).toBe(1);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1_000);
    expect(server.callsOf('/token')).toHaveLength(1);
    server.on('/token', tokenAnswer());
    expect(await tokenOf(tokens, wanted())).toBe('an-access-token');
    expect(unhandled).toEqual([]);
  });

  it('of which every second is given up, the first among them, get it by one request', async () => {
    const unhandled = watchRejections();
    let answer: () => void = () => undefined;
    const server = await scriptedServer({
      '/token': (response, call) => {
        answer = () => {
          tokenAnswer()(response, call);
        };
      },
    });
    const tokens = source(server.url);
    const controllers = Array.from({ length: 1_000 }, () => new AbortController());
    const calls = controllers.map(({ signal }) => tokenOf(tokens, wanted({ signal })));
    const settled = Promise.allSettled(calls);
    await expect.poll(() => server.callsOf('/token').length).toBe(1);
    for (const [index, controller] of controllers.entries()) {
      if (index % 2 === 0) controller.abort(new Error('Enough.'));
    }
    answer();
    const results = await settled;
    for (const [index, { status }] of results.entries()) {
      expect(status).toBe(index % 2 === 0 ? 'rejected' : 'fulfilled');
    }
    expect(server.callsOf('/token')).toHaveLength(1);
    expect(unhandled).toEqual([]);
  });

  it('whose refresh fails all fail, and lose no refresh token', async () => {
    const unhandled = watchRejections();
    const server = await scriptedServer({
      '/token': (response) => {
        response.writeHead(500).end();
      },
    });
    const store = fileTokenStore({ folder: await folder() });
    const make = () =>
      refreshing({ issuer: server.url, clientId: 'c', refreshToken: 'the-refresh-token', store });
    const tokens = make();
    const results = await Promise.allSettled(Array.from({ length: 1_000 }, () => tokenOf(tokens, wanted())));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1_000);
    expect(server.callsOf('/token')).toHaveLength(1);
    server.on('/token', (response, call) => {
      expect(call.form.get('refresh_token')).toBe('the-refresh-token');
      tokenAnswer({ refresh_token: 'the-next-one' })(response, call);
    });
    expect(await tokenOf(make(), wanted())).toBe('an-access-token');
    expect(unhandled).toEqual([]);
  });
});

describe('one source for two agents', () => {
  const card = cardJson({ token: bearerCard }, [{ token: [] }]);
  /** Two connections that share a source, and what each agent was sent. */
  async function twoAgents(resource: boolean) {
    let count = 0;
    const server = await scriptedServer({
      '/token': (response, call) => {
        const token = `${String(++count)}-for-${call.form.get('resource') ?? 'anybody'}`;
        tokenAnswer({ access_token: token.replaceAll(/[^\w-]/g, '-') })(response, call);
      },
    });
    const shared = source(server.url);
    return ['https://a.example', 'https://b.example'].map((url) => {
      const { fetch, seen } = scriptedFetch(json({}));
      const call = authenticatingFetch({
        url,
        card,
        credentials: { token: shared },
        fetch,
        ...(resource ? { resource: url } : {}),
      });
      return {
        call: () => call(`${url}/rpc`),
        tokens: () => seen.map(({ headers }) => headers.get('authorization')),
      };
    });
  }

  it('gives each a token of its own where each has a resource', async () => {
    const [a, b] = await twoAgents(true);
    await Promise.all([a?.call(), b?.call(), a?.call()]);
    expect(new Set(a?.tokens())).toEqual(new Set(['Bearer 1-for-https---a-example']));
    expect(b?.tokens()).toEqual(['Bearer 2-for-https---b-example']);
  });

  it('gives both the same where neither has: what the guide warns of', async () => {
    const [a, b] = await twoAgents(false);
    await a?.call();
    await b?.call();
    expect(a?.tokens()).toEqual(b?.tokens());
  });
});

describe('a token response', () => {
  it.each([
    [
      'that would change all objects',
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},',
    ],
    ['with a token twice', '{"access_token":"first",'],
  ])('%s does not', async (_name, start) => {
    const server = await scriptedServer({
      '/token': (response) => {
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(`${start}"access_token":"last","token_type":"Bearer"}`);
      },
    });
    expect(await tokenOf(source(server.url), wanted())).toBe('last');
    expect('polluted' in {}).toBe(false);
  });

  it.each([1e308, Number.MAX_SAFE_INTEGER])('of a token that lasts %d seconds is kept', async (expires) => {
    const server = await scriptedServer({
      '/token': tokenAnswer({ expires_in: expires, refresh_token: 'r-2' }),
    });
    const store = fileTokenStore({ folder: await folder() });
    const make = () => refreshing({ issuer: server.url, clientId: 'c', refreshToken: 'r-1', store });
    await tokenOf(make(), wanted());
    expect(await tokenOf(make(), wanted())).toBe('an-access-token');
    expect(server.callsOf('/token')).toHaveLength(1);
  });

  it.each([
    { expires_in: -1 },
    { expires_in: '600' },
    { access_token: {} },
    { scope: 7 },
    { refresh_token: 1 },
  ])('that is malformed is an error of ours: %j', async (changes) => {
    const server = await scriptedServer({ '/token': tokenAnswer(changes) });
    await tokenOf(source(server.url), wanted()).then(
      (token) => {
        expect(token).toBe('an-access-token');
      },
      (error: unknown) => {
        expect(error).toMatchObject({ name: 'ClientError' });
      },
    );
  });
});

it('an agent cannot have a token asked for with each call, whatever it refuses by', async () => {
  const server = await scriptedServer({ '/token': tokenAnswer() });
  let count = 0;
  server.on('/token', (response, call) => {
    tokenAnswer({ access_token: `t-${String(++count)}` })(response, call);
  });
  const tokens = source(server.url);
  for (let call = 0; call < 50; call++) {
    const token = await tokenOf(tokens, wanted());
    await refuse(tokens, wanted(), `Bearer ${token}`);
    await refuse(tokens, wanted(), 'Bearer never-given');
    await refuse(tokens, wanted(), 'Bearer');
    await refuse(tokens, wanted(), `Bearer ${token}`, {
      scheme: 'dpop',
      params: { error: 'use_dpop_nonce' },
    });
  }
  expect(count).toBe(2);
});

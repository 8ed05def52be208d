import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { fileTokenStore, memoryTokenStore, refreshing, type TokenStore } from '@a2a-auth/client';
import { refreshTokenGrant } from 'openid-client';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import {
  SECRET,
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { logIn, oauthClient } from '../support/oauth/clients.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';
import { Program } from '../support/program.js';
import { failure, refuse, requestFor, scriptedServer, sendJson, tokenOf } from './support.js';

closeServersAfterTests();
stopClock();

const resource = 'https://agent.example/a2a';
let server: AuthorizationServer;
let folder: string;

beforeAll(async () => {
  server = await startAuthorizationServer();
  server.addResource(resource);
});
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'a2a-auth-')), 'tokens');
});
afterEach(async () => {
  await rm(join(folder, '..'), { recursive: true });
});

/** A refresh token of a login that happened elsewhere. */
async function loggedIn(): Promise<string> {
  const client = await oauthClient(server, 'web');
  const tokens = await logIn(client, new UserAgent(), { login: randomUUID() }, { scope: 'ask', resource });
  return tokens.refresh_token ?? '';
}

const web = (refreshToken: string, store?: TokenStore) =>
  refreshing({
    issuer: server.issuer,
    clientId: 'web',
    clientSecret: SECRET,
    refreshToken,
    ...(store === undefined ? {} : { store }),
  });

const wanted = requestFor(resource);

it('gets tokens, and goes on with what the server rotates', async () => {
  const source = web(await loggedIn());
  const tokens = new Set<string>();
  for (let round = 0; round < 4; round++) {
    tokens.add(await tokenOf(source, wanted));
    passTime(TOKEN_TTL);
  }
  expect(tokens.size).toBe(4);
});

it('gives a thousand concurrent calls one token by one refresh', async () => {
  const source = web(await loggedIn());
  await tokenOf(source, wanted);
  passTime(TOKEN_TTL);
  const before = server.calls('/token');
  const tokens = await Promise.all(Array.from({ length: 1_000 }, () => tokenOf(source, wanted)));
  expect(new Set(tokens).size).toBe(1);
  expect(server.calls('/token')).toBe(before + 1);
});

it('refreshes after a refusal', async () => {
  const source = web(await loggedIn());
  const first = await tokenOf(source, wanted);
  expect(await refuse(source, wanted, `Bearer ${first}`)).toBe(true);
  expect(await tokenOf(source, wanted)).not.toBe(first);
});

it('says that a new login is needed when the refresh token is no longer good, and does not show it', async () => {
  const refreshToken = await loggedIn();
  const client = await oauthClient(server, 'web');
  await refreshTokenGrant(client, refreshToken);
  const error = await failure(tokenOf(web(refreshToken), wanted), refreshToken, SECRET);
  expect(error).toMatchObject({ code: 'LOGIN_REQUIRED' });
});

it('does not count a failing server as a lost login', async () => {
  const source = web(await loggedIn());
  const first = await tokenOf(source, wanted);
  passTime(TOKEN_TTL);
  server.setDown(true);
  expect(await failure(tokenOf(source, wanted))).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
  server.setDown(false);
  expect(await tokenOf(source, wanted)).not.toBe(first);
});

it('lets a refresh come to its end after its caller gave up, and keeps what was rotated', async () => {
  const source = web(await loggedIn());
  await tokenOf(source, wanted);
  passTime(TOKEN_TTL);
  const release = server.hold('/token');
  const controller = new AbortController();
  const before = server.calls('/token');
  const given = tokenOf(source, { ...wanted, signal: controller.signal });
  const gone = expect(given).rejects.toThrow();
  await expect.poll(() => server.calls('/token')).toBe(before + 1);
  controller.abort();
  await gone;
  release();
  expect(await tokenOf(source, wanted)).not.toBe('');
  passTime(TOKEN_TTL);
  expect(await tokenOf(source, wanted)).not.toBe('');
});

describe('with a store', () => {
  it('goes on in the next process, without a call', async () => {
    const store = fileTokenStore({ folder });
    const refreshToken = await loggedIn();
    const first = await tokenOf(web(refreshToken, store), wanted);
    const before = server.calls('/token');
    expect(await tokenOf(web(refreshToken, fileTokenStore({ folder })), wanted)).toBe(first);
    expect(server.calls('/token')).toBe(before);
    passTime(TOKEN_TTL);
    expect(await tokenOf(web(refreshToken, fileTokenStore({ folder })), wanted)).not.toBe(first);
  });

  it('stores what was rotated before it is used, and tries again when it could not', async () => {
    const inner = memoryTokenStore();
    let isFull = false;
    const store: TokenStore = {
      ...inner,
      async set(key, value) {
        if (isFull) throw new Error(`no space for ${value}`);
        await inner.set(key, value);
      },
    };
    const source = web(await loggedIn(), store);
    const first = await tokenOf(source, wanted);
    passTime(TOKEN_TTL);
    isFull = true;
    expect(await failure(tokenOf(source, wanted), 'no space', 'accessToken')).toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    isFull = false;
    const before = server.calls('/token');
    expect(await tokenOf(source, wanted)).not.toBe(first);
    expect(server.calls('/token')).toBe(before);
  });

  it('sees a login that another process has put there', async () => {
    const store = memoryTokenStore();
    const refreshToken = await loggedIn();
    const [one, two] = [web(refreshToken, store), web(refreshToken, store)];
    await tokenOf(one, wanted);
    await tokenOf(two, wanted);
    passTime(TOKEN_TTL);
    const tokens = await Promise.all([tokenOf(one, wanted), tokenOf(two, wanted)]);
    expect(new Set(tokens).size).toBe(1);
  });

  it('takes a spoilt file for none', async () => {
    const refreshToken = await loggedIn();
    const store = fileTokenStore({ folder });
    const source = web(refreshToken, store);
    await tokenOf(source, wanted);
    const [name = ''] = await readdir(folder);
    const path = join(folder, name);
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 40));
    // The refresh token of the options is used up by now.
    expect(await failure(tokenOf(web(refreshToken, store), wanted))).toMatchObject({
      code: 'LOGIN_REQUIRED',
    });
  });
});

it('two processes that share a folder take turns, and lose no rotated token', async () => {
  let good = 'refresh-0';
  let uses = 0;
  let reused = 0;
  const scripted = await scriptedServer({
    '/token': (response, { form }) => {
      if (form.get('refresh_token') !== good) {
        reused++;
        sendJson(response, 400, { error: 'invalid_grant' });
        return;
      }
      good = `refresh-${String(++uses)}`;
      // Ends at once, so that every call refreshes.
      sendJson(response, 200, {
        access_token: `access-${String(uses)}`,
        token_type: 'Bearer',
        expires_in: 0,
        refresh_token: good,
      });
    },
  });
  const rounds = 40;
  const programs = Array.from(
    { length: 2 },
    () =>
      new Program(['--import', 'tsx', fileURLToPath(new URL('refreshing-process.ts', import.meta.url))], {
        ISSUER: scripted.url,
        FOLDER: folder,
        ROUNDS: String(rounds),
      }),
  );
  const codes = await Promise.all(programs.map((program) => program.ends()));
  expect(programs.map(({ stderr }) => stderr)).toEqual(['', '']);
  expect(codes).toEqual([0, 0]);
  expect(reused).toBe(0);
  expect(uses).toBe(2 * rounds);
  // Nothing is left lying about.
  expect((await readdir(folder)).filter((name) => !name.endsWith('.json'))).toEqual([]);
});

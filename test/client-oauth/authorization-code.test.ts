import { authorizationCode, type AuthorizationCodeOptions } from '@a2a-auth/client';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { connect, type AddressInfo } from 'node:net';

import { AgentSecurity, oauth2FromIssuer, principalOf } from '@a2a-auth/server';
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, it, vi } from 'vitest';

import { bearer, sendMessage, startOAuthAgent, type OAuthAgent } from '../support/oauth/agent.js';
import {
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';
import {
  failure,
  oauthScheme,
  requestFor,
  scriptedServer,
  sendJson,
  tokenAnswer,
  tokenOf,
} from './support.js';

closeServersAfterTests();
stopClock();

let server: AuthorizationServer;
let agent: OAuthAgent;

beforeAll(async () => {
  server = await startAuthorizationServer();
  agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['authorizationCode'],
      scopes: { ask: 'Ask the agent.', admin: 'Run the agent.' },
      audience: context.resource,
    });
    return new AgentSecurity(context)
      .addSecurityScheme('person', oauth.authorizationCode)
      .addSecurityRequirement({ person: ['ask'] });
  });
  server.addResource(agent.resource);
});

const wanted = (changes = {}) =>
  requestFor(agent.resource, { scheme: oauthScheme('authorizationCode'), ...changes });

const native = (openBrowser: AuthorizationCodeOptions['openBrowser'], changes = {}) =>
  authorizationCode({
    issuer: server.issuer,
    clientId: 'native',
    ...(openBrowser === undefined ? {} : { openBrowser }),
    ...changes,
  });

/** A browser in which the person logs in, and ends at the page of the client. */
const logInAs = (login: string, browser = new UserAgent()) =>
  vi.fn(async (url: URL): Promise<void> => {
    await browser.visit(url, { login });
  });

/** Opens nothing, and sends the browser straight to the redirect with an answer of the test's own. */
function answerWith(make: (sent: URLSearchParams) => Record<string, string>) {
  const pages: { status: number; body: string; headers: Headers }[] = [];
  const open = async (url: URL) => {
    const redirect = new URL(url.searchParams.get('redirect_uri') ?? '');
    redirect.search = new URLSearchParams(make(url.searchParams)).toString();
    const page = await fetch(redirect);
    pages.push({ status: page.status, body: await page.text(), headers: page.headers });
  };
  return { open, pages };
}

const stateOf = (sent: URLSearchParams) => sent.get('state') ?? '';

describe('at a real authorization server', () => {
  it('lets the person in who logged in and consented', async () => {
    const open = logInAs('grace');
    const answer = await sendMessage(agent, bearer(await tokenOf(native(open), wanted())));
    expect(answer.status).toBe(200);
    expect(principalOf(agent.lastCall())).toMatchObject({ subject: 'grace', scopes: ['ask'] });
    const sent = open.mock.calls[0]?.[0].searchParams;
    expect(Object.fromEntries(sent ?? [])).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/) as string,
      resource: agent.resource,
    });
  });

  it('checks the nonce of an ID token where one is asked for', async () => {
    const source = native(logInAs('grace'), { scopes: ['openid'] });
    expect(await tokenOf(source, wanted())).not.toBe('');
  });

  it('asks for consent where a refresh token is to be given', async () => {
    const open = logInAs('grace');
    await tokenOf(native(open, { scopes: ['openid', 'offline_access'] }), wanted());
    expect(open.mock.calls[0]?.[0].searchParams.get('prompt')).toBe('consent');
  });

  it('opens one page for a thousand concurrent calls, and refreshes afterwards', async () => {
    const open = logInAs('ada');
    const source = native(open);
    const tokens = await Promise.all(Array.from({ length: 1_000 }, () => tokenOf(source, wanted())));
    expect(new Set(tokens).size).toBe(1);
    passTime(TOKEN_TTL);
    expect(await tokenOf(source, wanted())).not.toBe(tokens[0]);
    expect(open).toHaveBeenCalledTimes(1);
  });

  it('logs in again when the refresh token is no longer good', async () => {
    const open = logInAs('ada');
    const source = native(open);
    await tokenOf(source, wanted());
    passTime(8 * 24 * 3600);
    expect(await tokenOf(source, wanted())).not.toBe('');
    expect(open).toHaveBeenCalledTimes(2);
  });

  it('logs in for more scopes, and keeps those from before', async () => {
    const open = logInAs('ada');
    const source = native(open);
    await tokenOf(source, wanted({ scopes: ['ask'] }));
    const both = await tokenOf(source, wanted({ scopes: ['admin'] }));
    expect(String(decodeJwt(both).scope).split(' ').sort()).toEqual(['admin', 'ask']);
  });

  it('knows localhost as well', async () => {
    const open = logInAs('grace');
    expect(await tokenOf(native(open, { redirect: { host: 'localhost' } }), wanted())).not.toBe('');
    expect(open.mock.calls[0]?.[0].searchParams.get('redirect_uri')).toMatch(/^http:\/\/localhost:/);
  });

  it('reports the person who says no', async () => {
    const { open, pages } = answerWith((sent) => ({
      error: 'access_denied',
      error_description: '<script>alert(1)</script>',
      state: stateOf(sent),
      iss: server.issuer,
    }));
    expect(await failure(tokenOf(native(open), wanted()))).toMatchObject({
      code: 'LOGIN_FAILED',
      message: expect.stringContaining('access_denied') as string,
    });
    await expect.poll(() => pages[0]?.body).toContain('not completed');
    expect(pages[0]?.body).not.toContain('script');
  });

  it('does not take a code that was made up', async () => {
    const { open, pages } = answerWith((sent) => ({
      code: 'made-up-code',
      state: stateOf(sent),
      iss: server.issuer,
    }));
    expect(await failure(tokenOf(native(open), wanted()), 'made-up-code')).toMatchObject({
      code: 'LOGIN_FAILED',
    });
    await expect
      .poll(() => pages[0])
      .toMatchObject({
        status: 200,
        body: expect.stringContaining('close this window') as string,
      });
    expect(pages[0]?.body).not.toContain('made-up-code');
    expect(pages[0]?.headers.get('content-security-policy')).toMatch(/default-src 'none'/);
  });

  it('does not take a code that was used before', async () => {
    let code = '';
    const browser = new UserAgent();
    const first = native(async (url) => {
      const back = await browser.visit(url, { login: 'ada' }, url.searchParams.get('redirect_uri') ?? '');
      code = new URL(back).searchParams.get('code') ?? '';
      await fetch(back);
    });
    await tokenOf(first, wanted());
    const { open } = answerWith((sent) => ({ code, state: stateOf(sent), iss: server.issuer }));
    expect(await failure(tokenOf(native(open), wanted()), code)).toMatchObject({ code: 'LOGIN_FAILED' });
  });
});

describe('the issuer of an answer (RFC 9207)', () => {
  it.each([
    ['another', 'https://evil.example'],
    ['missing', undefined],
  ])('that is %s ends the login', async (_, iss) => {
    const scripted = await scriptedServer({ '/token': tokenAnswer() });
    const { open } = answerWith((sent) => ({
      code: 'a-code',
      state: stateOf(sent),
      ...(iss === undefined ? {} : { iss }),
    }));
    const source = native(open, { issuer: scripted.url });
    expect(await failure(tokenOf(source, wanted()), 'a-code')).toMatchObject({ name: 'ClientError' });
    expect(scripted.callsOf('/token')).toHaveLength(0);
  });
});

describe('the redirect', () => {
  /** A login that waits, and the address it waits at. */
  async function waiting() {
    const scripted = await scriptedServer({ '/token': tokenAnswer() });
    const controller = new AbortController();
    let opened: (url: URL) => void;
    const page = new Promise<URL>((resolve) => (opened = resolve));
    const source = native(
      (url) => {
        opened(url);
      },
      { issuer: scripted.url },
    );
    const token = tokenOf(source, wanted({ signal: controller.signal }));
    token.catch(() => undefined);
    const sent = (await page).searchParams;
    const redirect = new URL(sent.get('redirect_uri') ?? '');
    const good = new URL(redirect);
    good.search = new URLSearchParams({ code: 'x', state: stateOf(sent), iss: scripted.url }).toString();
    return { token, redirect, good, controller, scripted };
  }

  it.each<[string, (good: URL) => URL | string, number]>([
    ['of another state', (good) => changed(good, 'state', 'A'.repeat(43)), 400],
    ['without a state', (good) => changed(good, 'state', undefined), 400],
    ['with two states', (good) => `${good.href}&state=other`, 400],
    ['to another path', (good) => new URL(`/other${good.search}`, good), 404],
    ['to a longer path', (good) => new URL(`/callback/${good.search}`, good), 404],
    ['for an icon', (good) => new URL('/favicon.ico', good), 404],
  ])('turns a request away %s, and the login goes on', async (_, change, status) => {
    const { token, good } = await waiting();
    expect((await fetch(change(good))).status).toBe(status);
    expect((await fetch(good)).status).toBe(200);
    expect(await token).toBe('an-access-token');
  });

  it.each(['evil.example', 'localhost', '127.0.0.1', 'evil.example:80@127.0.0.1'])(
    'turns a page away that reaches it as %s',
    async (host) => {
      const { token, good } = await waiting();
      const call = httpRequest(good, { headers: { host } });
      call.end();
      const [response] = (await once(call, 'response')) as [{ statusCode: number; resume(): void }];
      response.resume();
      expect(response.statusCode).toBe(421);
      await fetch(good);
      expect(await token).toBe('an-access-token');
    },
  );

  it('takes nothing but GET', async () => {
    const { token, good } = await waiting();
    expect((await fetch(good, { method: 'POST' })).status).toBe(405);
    await fetch(good);
    await token;
  });

  it('is closed after the answer', async () => {
    const { token, good } = await waiting();
    await fetch(good);
    await token;
    await expect(fetch(good)).rejects.toThrow();
  });

  it('is closed when nobody waits any more', async () => {
    const { token, good, controller } = await waiting();
    controller.abort(new Error('enough'));
    await expect(token).rejects.toThrow('enough');
    await expect
      .poll(() =>
        fetch(good).then(
          () => 'open',
          () => 'closed',
        ),
      )
      .toBe('closed');
  });

  it('is not kept open by who only connects', async () => {
    const { token, good } = await waiting();
    const socket = connect(Number(good.port), '127.0.0.1');
    await once(socket, 'connect');
    const ended = once(socket, 'close');
    await fetch(good);
    await token;
    await ended;
  });

  it('says that its port is taken', async () => {
    const other = createServer();
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const { port } = other.address() as AddressInfo;
    const source = native(() => undefined, { redirect: { port } });
    expect(await failure(tokenOf(source, wanted()))).toMatchObject({
      code: 'LOGIN_FAILED',
      message: expect.stringContaining(String(port)) as string,
    });
    await once(other.close(), 'close');
  });
});

it('gives up after the time that the person has', async () => {
  const source = native(() => undefined, { loginTimeout: 50 });
  expect(await failure(tokenOf(source, wanted()))).toMatchObject({ code: 'LOGIN_EXPIRED' });
});

it('fails when no browser can be opened', async () => {
  const source = native(() => Promise.reject(new Error('no browser')));
  expect(await failure(tokenOf(source, wanted()))).toMatchObject({ code: 'LOGIN_FAILED' });
});

it('pushes the request where the server requires it (RFC 9126)', async () => {
  const scripted = await scriptedServer(
    {
      '/par': (response) => {
        sendJson(response, 201, { request_uri: 'urn:example:pushed', expires_in: 60 });
      },
      '/token': tokenAnswer(),
    },
    { require_pushed_authorization_requests: true },
  );
  scripted.on('/.well-known/openid-configuration', (response) => {
    sendJson(response, 200, {
      issuer: scripted.url,
      authorization_endpoint: `${scripted.url}/auth`,
      token_endpoint: `${scripted.url}/token`,
      pushed_authorization_request_endpoint: `${scripted.url}/par`,
      require_pushed_authorization_requests: true,
    });
  });
  const source = native(
    async (url) => {
      const { form } = scripted.callsOf('/par')[0] ?? { form: new URLSearchParams() };
      expect(Object.fromEntries(url.searchParams)).toEqual({
        client_id: 'native',
        request_uri: 'urn:example:pushed',
      });
      const redirect = new URL(form.get('redirect_uri') ?? '');
      redirect.search = new URLSearchParams({ code: 'x', state: stateOf(form) }).toString();
      await fetch(redirect);
    },
    { issuer: scripted.url },
  );
  expect(await tokenOf(source, wanted())).toBe('an-access-token');
});

it('opens no page in plain http', async () => {
  const scripted = await scriptedServer({}, { authorization_endpoint: 'http://login.example/auth' });
  const open = vi.fn();
  expect(await failure(tokenOf(native(open, { issuer: scripted.url }), wanted()))).toMatchObject({
    code: 'ADDRESS_REFUSED',
  });
  expect(open).not.toHaveBeenCalled();
});

it.each([
  [{ redirect: { host: '0.0.0.0' } }, 'host'],
  [{ redirect: { port: 70_000 } }, 'port'],
  [{ redirect: { path: '/../x' } }, 'path'],
  [{ redirect: { path: '//evil.example/' } }, 'path'],
  [{ loginTimeout: 0 }, 'loginTimeout'],
  [{ authorizationParameters: { state: 'x' } }, 'state'],
])('refuses %j', (changes, name) => {
  expect(() => native(() => undefined, changes)).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(name) as string,
    }) as Error,
  );
});

function changed(url: URL, name: string, value: string | undefined): URL {
  const copy = new URL(url);
  if (value === undefined) copy.searchParams.delete(name);
  else copy.searchParams.set(name, value);
  return copy;
}

import { EventEmitter, once } from 'node:events';

import {
  authenticatingFetch,
  authorizationCode,
  clientCredentials,
  deviceCode,
  refreshing,
  type CredentialSource,
  type DevicePrompt,
} from '@a2a-auth/client';
import { AgentSecurity, oauth2FromIssuer, principalOf, type StepUp } from '@a2a-auth/server';
import { beforeAll, describe, expect, it, vi } from 'vitest';

import { listTasks, sendMessage, startOAuthAgent, stateOf, type OAuthAgent } from '../support/oauth/agent.js';
import {
  PASSWORD,
  SECOND_FACTOR,
  SECRET,
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';
import {
  failure,
  impatient,
  oauthScheme,
  refuse,
  requestFor,
  scriptedServer,
  sendJson,
  tokenAnswer,
  tokenOf,
} from './support.js';

closeServersAfterTests();
stopClock();

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

type Flow = 'authorizationCode' | 'deviceCode' | 'clientCredentials';

async function startAgent(stepUp?: StepUp, flow: Flow = 'authorizationCode'): Promise<OAuthAgent> {
  const agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: [flow],
      scopes: { ask: 'Ask.', admin: 'Run.' },
      audience: context.resource,
    });
    return new AgentSecurity(context)
      .addSecurityScheme('person', oauth[flow])
      .addSecurityRequirement({ person: ['ask'] }, stepUp);
  });
  server.addResource(agent.resource);
  return agent;
}

/** A fetch that meets the card of the agent. */
async function caller(agent: OAuthAgent, source: CredentialSource): Promise<typeof fetch> {
  const card: unknown = await (await fetch(`${agent.url}/.well-known/agent-card.json`)).json();
  return authenticatingFetch({
    url: agent.url,
    card,
    credentials: { person: source },
    resource: agent.resource,
  });
}

/** A browser of its own, which stays logged in at the authorization server. */
const browserOf = (login: string) => {
  const browser = new UserAgent();
  return vi.fn(async (url: URL): Promise<void> => {
    await browser.visit(url, { login });
  });
};

const native = (openBrowser: (url: URL) => Promise<void>, changes = {}) =>
  authorizationCode({ issuer: server.issuer, clientId: 'native', openBrowser, ...changes });

const sentBy = (open: ReturnType<typeof browserOf>, login: number) =>
  Object.fromEntries(open.mock.calls[login]?.[0].searchParams ?? []);

describe('an agent that asks for a stronger or fresher login (RFC 9470)', () => {
  it('gets a stronger one by acr_values, and the call goes on', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR, 'urn:example:passkey'] });
    const open = browserOf('ada');
    const answer = await listTasks(agent, {}, await caller(agent, native(open)));
    expect(answer.status).toBe(200);
    expect(open).toHaveBeenCalledTimes(2);
    expect(sentBy(open, 0)).not.toHaveProperty('acr_values');
    expect(sentBy(open, 1)).toMatchObject({
      acr_values: `${SECOND_FACTOR} urn:example:passkey`,
      prompt: 'login',
      scope: 'ask openid',
    });
  });

  it('gets a fresher one by max_age, although the login could be renewed without the person', async () => {
    const agent = await startAgent({ maxAge: 300 });
    const open = browserOf('ada');
    const call = await caller(agent, native(open));
    expect((await listTasks(agent, {}, call)).status).toBe(200);
    expect(open).toHaveBeenCalledTimes(1);
    passTime(301);
    const answer = await sendMessage(agent, {}, call);
    expect(stateOf(answer)).toBe('TASK_STATE_COMPLETED');
    expect(principalOf(agent.lastCall()).claims.auth_time).toBeGreaterThan(Date.now() / 1000 - 300);
    expect(open).toHaveBeenCalledTimes(2);
    expect(sentBy(open, 1)).toMatchObject({ max_age: '300' });
  });

  it('gets it by a device code as well', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR] }, 'deviceCode');
    const show = vi.fn(async ({ verificationUri, userCode }: DevicePrompt) => {
      await new UserAgent().visit(verificationUri, { login: 'ada', userCode });
    });
    const source = deviceCode({ issuer: server.issuer, clientId: 'terminal', fetch: impatient, show });
    expect((await listTasks(agent, {}, await caller(agent, source))).status).toBe(200);
    expect(show).toHaveBeenCalledTimes(2);
  });

  it('costs concurrent calls one login together', async () => {
    const agent = await startAgent({ maxAge: 300 });
    const open = browserOf('ada');
    const call = await caller(agent, native(open));
    await listTasks(agent, {}, call);
    passTime(301);
    const answers = await Promise.all(Array.from({ length: 20 }, () => listTasks(agent, {}, call)));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(open).toHaveBeenCalledTimes(2);
  });

  it('is asked for at once when the person logs in the next time', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR] });
    const open = browserOf('ada');
    const call = await caller(agent, native(open));
    await listTasks(agent, {}, call);
    // Nothing is left of the login: neither at the server nor in the browser.
    passTime(8 * 24 * 3600);
    expect((await listTasks(agent, {}, call)).status).toBe(200);
    expect(open).toHaveBeenCalledTimes(3);
    expect(sentBy(open, 2)).toMatchObject({ acr_values: SECOND_FACTOR });
  });

  it('is renewed without the person as long as it is good enough', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR] });
    const open = browserOf('ada');
    const call = await caller(agent, native(open));
    await listTasks(agent, {}, call);
    passTime(TOKEN_TTL);
    expect((await listTasks(agent, {}, call)).status).toBe(200);
    expect(open).toHaveBeenCalledTimes(2);
  });

  it('costs one login, and none with every call, when no login is good enough for it', async () => {
    const agent = await startAgent({ acrValues: ['urn:example:unheard-of'] });
    const open = browserOf('ada');
    // The user's own choice counts more than the agent's.
    const options = { scopes: ['openid'], authorizationParameters: { acr_values: PASSWORD } };
    const call = await caller(agent, native(open, options));
    for (let calls = 0; calls < 5; calls++) {
      expect((await listTasks(agent, {}, call)).challenge).toContain('insufficient_user_authentication');
    }
    expect(open).toHaveBeenCalledTimes(2);
    expect(sentBy(open, 1)).toMatchObject({ acr_values: PASSWORD });
  });
});

describe('a login that was asked for', () => {
  const challenge = (params: Record<string, string>) => ({
    scheme: 'bearer',
    params: { error: 'insufficient_user_authentication', ...params },
  });
  const wanted = (resource: string) => requestFor(resource, { scheme: oauthScheme('authorizationCode') });

  it('fails the call when the person does not want it, and what there was stays good', async () => {
    const agent = await startAgent();
    const browser = new UserAgent();
    const open = vi.fn(async (url: URL): Promise<void> => {
      if (url.searchParams.has('acr_values')) throw new Error('The person closed the window.');
      await browser.visit(url, { login: 'ada' });
    });
    const source = native(open);
    const request = wanted(agent.resource);
    const token = await tokenOf(source, request);
    const demand = () => refuse(source, request, `Bearer ${token}`, challenge({ acr_values: SECOND_FACTOR }));
    expect(await failure(demand(), token)).toMatchObject({ code: 'LOGIN_FAILED' });
    expect(await tokenOf(source, request)).toBe(token);
    expect(open).toHaveBeenCalledTimes(2);
  });

  it('and failed is not asked for again for a minute, however often the agent is called', async () => {
    const agent = await startAgent({ acrValues: ['urn:example:impossible'] });
    const browser = new UserAgent();
    const open = vi.fn(async (url: URL): Promise<void> => {
      if (url.searchParams.has('acr_values')) throw new Error('There is no such login.');
      await browser.visit(url, { login: 'ada' });
    });
    const call = await caller(agent, native(open));
    await expect(listTasks(agent, {}, call)).rejects.toMatchObject({ code: 'LOGIN_FAILED' });
    for (let calls = 0; calls < 5; calls++) {
      expect((await listTasks(agent, {}, call)).challenge).toContain('insufficient_user_authentication');
    }
    expect(open).toHaveBeenCalledTimes(2);
    passTime(61);
    await expect(listTasks(agent, {}, call)).rejects.toMatchObject({ code: 'LOGIN_FAILED' });
    expect(open).toHaveBeenCalledTimes(3);
  });

  it('and failed leaves later logins as they were', async () => {
    const agent = await startAgent();
    const open = vi.fn(async (url: URL): Promise<void> => {
      if (url.searchParams.has('acr_values')) throw new Error('There is no such login.');
      await new UserAgent().visit(url, { login: 'ada' });
    });
    const source = native(open);
    const request = wanted(agent.resource);
    const token = await tokenOf(source, request);
    const impossible = challenge({ acr_values: 'urn:example:impossible', max_age: '0' });
    await failure(refuse(source, request, `Bearer ${token}`, impossible), token);
    passTime(8 * 24 * 3600);
    expect(await tokenOf(source, request)).not.toBe(token);
    expect(sentBy(open, 2)).not.toHaveProperty('max_age');
  });

  it('is not waited for by those who do not need it, and leaves no trace when it is given up', async () => {
    const agent = await startAgent();
    const logins = new EventEmitter();
    const opened = once(logins, 'opened');
    const open = vi.fn(async (url: URL): Promise<void> => {
      if (!url.searchParams.has('acr_values')) {
        await new UserAgent().visit(url, { login: 'ada' });
        return;
      }
      logins.emit('opened');
      // A browser that does not come back.
      await new Promise(() => undefined);
    });
    const source = native(open);
    const request = wanted(agent.resource);
    const token = await tokenOf(source, request);
    const caller = new AbortController();
    const pending = refuse(
      source,
      { ...request, signal: caller.signal },
      `Bearer ${token}`,
      challenge({ acr_values: SECOND_FACTOR }),
    );
    await opened;
    expect(await tokenOf(source, request)).toBe(token);
    caller.abort();
    await expect(pending).rejects.toThrow('abort');
    expect(await refuse(source, request, `Bearer ${token}`, challenge({ max_age: '0' }))).toBe(false);
    expect(await tokenOf(source, request)).toBe(token);
    expect(open).toHaveBeenCalledTimes(2);
  });

  it.each([
    ['nothing', {}],
    ['an empty list', { acr_values: ' ' }],
    ['a context with a quotation mark', { acr_values: 'urn:a"b' }],
    ['a context beyond ASCII', { acr_values: 'urn:\u00e4' }],
    ['too long a context', { acr_values: 'a'.repeat(257) }],
    ['too many contexts', { acr_values: 'urn:a '.repeat(21) }],
    ['an age below zero', { max_age: '-1' }],
    ['an age that is no number', { acr_values: SECOND_FACTOR, max_age: '3e2' }],
    ['an age without end', { max_age: '9'.repeat(40) }],
  ])('is not begun for %s', async (_, params) => {
    const agent = await startAgent();
    const open = browserOf('ada');
    const source = native(open);
    const request = wanted(agent.resource);
    const token = await tokenOf(source, request);
    expect(await refuse(source, request, `Bearer ${token}`, challenge(params))).toBe(false);
    expect(await tokenOf(source, request)).toBe(token);
    expect(open).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['the server does not have it', ['ask'], {}],
    ['it is not allowed', ['ask', 'openid'], { allowedScopes: ['ask'] }],
  ])('asks for no openid where %s', async (_, supported, options) => {
    const scripted = await scriptedServer(
      { '/token': tokenAnswer({ scope: 'ask' }) },
      { scopes_supported: supported },
    );
    const open = vi.fn(async (url: URL): Promise<void> => {
      const redirect = new URL(url.searchParams.get('redirect_uri') ?? '');
      const state = url.searchParams.get('state') ?? '';
      redirect.search = String(new URLSearchParams({ code: 'a-code', state, iss: scripted.url }));
      await fetch(redirect);
    });
    const source = native(open, { issuer: scripted.url, ...options });
    const request = wanted('https://agent.example');
    const token = await tokenOf(source, request);
    scripted.on('/token', tokenAnswer({ access_token: 'another-access-token' }));
    expect(await refuse(source, request, `Bearer ${token}`, challenge({ max_age: '0' }))).toBe(true);
    expect(await tokenOf(source, request)).toBe('another-access-token');
    expect(sentBy(open, 1)).toMatchObject({ scope: 'ask', max_age: '0' });
  });

  it('costs client credentials no token request: nobody could log in', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR] }, 'clientCredentials');
    const source = clientCredentials({ issuer: server.issuer, clientId: 'service', clientSecret: SECRET });
    const before = server.calls('/token');
    const answer = await listTasks(agent, {}, await caller(agent, source));
    expect(answer.challenge).toContain('insufficient_user_authentication');
    expect(server.calls('/token')).toBe(before + 1);
  });

  it('costs a refresh token nothing: what it gives has the same login behind it', async () => {
    const scripted = await scriptedServer({
      '/token': (response) => {
        sendJson(response, 200, {
          access_token: 'an-access-token',
          token_type: 'Bearer',
          refresh_token: 'r2',
        });
      },
    });
    const source = refreshing({ issuer: scripted.url, clientId: 'native', refreshToken: 'r1' });
    const request = wanted('https://agent.example');
    const token = await tokenOf(source, request);
    expect(await refuse(source, request, `Bearer ${token}`, challenge({ max_age: '300' }))).toBe(false);
    expect(scripted.callsOf('/token')).toHaveLength(1);
  });
});

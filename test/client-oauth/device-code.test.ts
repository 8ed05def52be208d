import { inspect } from 'node:util';

import { deviceCode, DeviceFlowClient, type DeviceCodeOptions, type DevicePrompt } from '@a2a-auth/client';
import { AgentSecurity, oauth2FromIssuer, principalOf } from '@a2a-auth/server';
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
let agent: OAuthAgent;

beforeAll(async () => {
  server = await startAuthorizationServer();
  agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['deviceCode'],
      scopes: { ask: 'Ask the agent.', admin: 'Run the agent.' },
      audience: context.resource,
    });
    return new AgentSecurity(context)
      .addSecurityScheme('device', oauth.deviceCode)
      .addSecurityRequirement({ device: ['ask'] });
  });
  server.addResource(agent.resource);
});

const wanted = (changes = {}) =>
  requestFor(agent.resource, { scheme: oauthScheme('deviceCode'), ...changes });

const terminal = (show: DeviceCodeOptions['show'], changes: Partial<DeviceCodeOptions> = {}) =>
  deviceCode({ issuer: server.issuer, clientId: 'terminal', fetch: impatient, show, ...changes });

/** The person follows the link on another device. */
const logInAs =
  (login: string) =>
  async ({ verificationUri, userCode }: DevicePrompt): Promise<void> => {
    await new UserAgent().visit(verificationUri, { login, userCode });
  };

describe('deviceCode', () => {
  it('lets the person in who typed the code in', async () => {
    const answer = await sendMessage(agent, bearer(await tokenOf(terminal(logInAs('grace')), wanted())));
    expect(answer.status).toBe(200);
    expect(principalOf(agent.lastCall())).toMatchObject({ subject: 'grace', scopes: ['ask'] });
  });

  it('polls until the person is through', async () => {
    let prompt: DevicePrompt | undefined;
    const source = terminal((shown) => {
      prompt = shown;
    });
    const before = server.calls('/token');
    const token = tokenOf(source, wanted());
    await expect.poll(() => server.calls('/token')).toBeGreaterThan(before + 2);
    expect(prompt?.expiresAt).toBeGreaterThan(Date.now());
    if (prompt !== undefined) await logInAs('late')(prompt);
    expect(await token).not.toBe('');
  });

  it('asks a person once for a thousand concurrent calls, and refreshes afterwards', async () => {
    const show = vi.fn(logInAs('ada'));
    const source = terminal(show);
    const tokens = await Promise.all(Array.from({ length: 1_000 }, () => tokenOf(source, wanted())));
    expect(new Set(tokens).size).toBe(1);
    passTime(TOKEN_TTL);
    expect(await tokenOf(source, wanted())).not.toBe(tokens[0]);
    expect(await refuse(source, wanted(), `Bearer ${await tokenOf(source, wanted())}`)).toBe(true);
    await tokenOf(source, wanted());
    expect(show).toHaveBeenCalledTimes(1);
  });

  it('asks the person again for more scopes, and keeps those from before', async () => {
    const show = vi.fn(logInAs('ada'));
    const source = terminal(show);
    const first = await tokenOf(source, wanted({ scopes: ['ask'] }));
    const both = await tokenOf(source, wanted({ scopes: ['admin'] }));
    expect(both).not.toBe(first);
    expect(await tokenOf(source, wanted({ scopes: ['ask'] }))).toBe(both);
    expect(show).toHaveBeenCalledTimes(2);
    await sendMessage(agent, bearer(both));
    expect([...(principalOf(agent.lastCall()).scopes ?? [])].sort()).toEqual(['admin', 'ask']);
  });

  it('ends when the person says no', async () => {
    const scripted = await scriptedServer({
      '/device': deviceAnswer(),
      '/token': (response) => {
        sendJson(response, 400, { error: 'access_denied' });
      },
    });
    const source = terminal(() => undefined, { issuer: scripted.url });
    expect(await failure(tokenOf(source, wanted()), 'the-device-code')).toMatchObject({
      code: 'LOGIN_FAILED',
    });
  });

  it.each([
    ['as the server says', { error: 'expired_token' }, 600],
    ['as the clock says', { error: 'authorization_pending' }, 0.1],
  ])('ends when nobody logged in, %s', async (_, answer, expiresIn) => {
    const scripted = await scriptedServer({
      '/device': deviceAnswer({ expires_in: expiresIn }),
      '/token': (response) => {
        sendJson(response, 400, answer);
      },
    });
    const source = terminal(() => undefined, { issuer: scripted.url });
    expect(await failure(tokenOf(source, wanted()))).toMatchObject({ code: 'LOGIN_EXPIRED' });
  });

  it('goes on after a server that did not answer for once', async () => {
    let calls = 0;
    const scripted = await scriptedServer({
      '/device': deviceAnswer(),
      '/token': (response, call) => {
        if (++calls === 1) response.destroy();
        else tokenAnswer()(response, call);
      },
    });
    const source = terminal(() => undefined, { issuer: scripted.url });
    expect(await tokenOf(source, wanted())).toBe('an-access-token');
    expect(calls).toBe(2);
  });

  it('does not wait for the showing when the call is aborted', async () => {
    const controller = new AbortController();
    const source = terminal(() => {
      controller.abort(new Error('enough'));
      return new Promise(() => undefined);
    });
    await expect(tokenOf(source, wanted({ signal: controller.signal }))).rejects.toThrow('enough');
  });

  it('stops polling when the call is aborted', async () => {
    const polled = vi.fn();
    const pending: typeof fetch = async (input, init) => {
      if (!new Request(input).url.endsWith('/token')) return impatient(input, init);
      polled();
      return Response.json({ error: 'authorization_pending' }, { status: 400 });
    };
    // From here, nothing but polling is left, which is done when the test lets time pass.
    const show = vi.fn(() => void vi.useFakeTimers({ toFake: ['Date', 'setTimeout'] }));
    const controller = new AbortController();
    const token = tokenOf(terminal(show, { fetch: pending }), wanted({ signal: controller.signal }));
    token.catch(() => undefined);
    await expect.poll(() => show).toHaveBeenCalled();
    // This lets time pass with each look.
    await expect.poll(() => polled.mock.calls.length).toBeGreaterThan(1);
    // And this lets none pass.
    await expect.poll(() => vi.getTimerCount(), { interval: 0 }).toBe(1);
    const polls = polled.mock.calls.length;
    controller.abort(new Error('enough'));
    await expect(token).rejects.toThrow('enough');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(polled).toHaveBeenCalledTimes(polls);
  });

  it.each([
    ['a link that is a script', { verification_uri: 'javascript:alert(1)' }],
    ['a link in plain http', { verification_uri: 'http://login.example/' }],
    ['a complete link that is a file', { verification_uri_complete: 'file:///etc/passwd' }],
    ['a code that steers the terminal', { user_code: 'AB\u001b[2J' }],
    ['a code of many lines', { user_code: 'AB\nCD' }],
    ['a code without end', { user_code: 'A'.repeat(5_000) }],
  ])('does not show %s', async (_, changes) => {
    const scripted = await scriptedServer({ '/device': deviceAnswer(changes) });
    const show = vi.fn();
    const source = terminal(show, { issuer: scripted.url });
    expect(await failure(tokenOf(source, wanted()))).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(show).not.toHaveBeenCalled();
  });

  it('fails when the code could not be shown', async () => {
    const source = terminal(() => Promise.reject(new Error('no terminal')));
    expect(await failure(tokenOf(source, wanted()))).toMatchObject({ code: 'LOGIN_FAILED' });
  });

  it('needs a function that shows the code', () => {
    expect(() => terminal('console' as never)).toThrow(/show/);
  });
});

describe('DeviceFlowClient', () => {
  const client = (changes = {}) =>
    new DeviceFlowClient({
      deviceAuthorizationUrl: `${server.issuer}/device/auth`,
      tokenUrl: `${server.issuer}/token`,
      clientId: 'terminal',
      scopes: ['openid', 'ask'],
      resource: agent.resource,
      fetch: impatient,
      ...changes,
    });

  it('starts a login, and gives its tokens', async () => {
    const flow = client();
    const started = await flow.start();
    expect(started).toEqual({
      userCode: expect.stringMatching(/^[A-Z]{4}-[A-Z]{4}$/) as string,
      verificationUri: `${server.issuer}/device`,
      verificationUriComplete: `${server.issuer}/device?user_code=${started.userCode}`,
      expiresAt: Date.now() + TOKEN_TTL * 1000,
      expiresIn: TOKEN_TTL,
      interval: 0.02,
    });
    await logInAs('grace')(started);
    const tokens = await flow.pollForTokens();
    expect(tokens).toMatchObject({ tokenType: 'Bearer', expiresAt: Date.now() + TOKEN_TTL * 1000 });
    expect(tokens.refreshToken).toBeDefined();
    expect((await sendMessage(agent, bearer(tokens.accessToken))).status).toBe(200);
    expect(principalOf(agent.lastCall())).toMatchObject({ subject: 'grace' });
    // A code is good once, so the answer is kept.
    expect(await flow.pollForTokens()).toBe(tokens);
  });

  it('slows down when it is told to', async () => {
    const answers = ['authorization_pending', 'slow_down'];
    const scripted = await scriptedServer({
      '/device': deviceAnswer({ interval: 0.02 }),
      '/token': (response, call) => {
        const error = answers.shift();
        if (error === undefined) tokenAnswer()(response, call);
        else sendJson(response, 400, { error });
      },
    });
    const flow = client({
      deviceAuthorizationUrl: `${scripted.url}/device`,
      tokenUrl: `${scripted.url}/token`,
    });
    await flow.start();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const polled = flow.pollForTokens();
    await expect.poll(() => scripted.callsOf('/token').length).toBe(2);
    // RFC 8628 §3.5: five seconds more.
    await expect.poll(() => timers.mock.calls.map(([, delay]) => delay)).toContain(5_000);
    timers.mockRestore();
    expect((await polled).accessToken).toBe('an-access-token');
  });

  it.each([500, 502, 503])('goes on when the server answers %i in the midst of it', async (status) => {
    const answers = ['Come back later.', '{"error":"server_error"}'];
    const scripted = await scriptedServer({
      '/device': deviceAnswer({ interval: 0.02 }),
      '/token': (response, call) => {
        const failing = answers.shift();
        if (failing === undefined) tokenAnswer()(response, call);
        else response.writeHead(status, { 'content-type': 'application/json' }).end(failing);
      },
    });
    const flow = client({
      deviceAuthorizationUrl: `${scripted.url}/device`,
      tokenUrl: `${scripted.url}/token`,
    });
    await flow.start();
    expect((await flow.pollForTokens()).accessToken).toBe('an-access-token');
    expect(scripted.callsOf('/token')).toHaveLength(3);
  });

  it('can be asked on after it was aborted', async () => {
    const flow = client();
    const started = await flow.start();
    await expect(flow.pollForTokens({ signal: AbortSignal.abort() })).rejects.toThrow('abort');
    await logInAs('grace')(started);
    expect((await flow.pollForTokens()).accessToken).not.toBe('');
  });

  it('says that it has to be started', async () => {
    expect(await failure(client().pollForTokens())).toMatchObject({ code: 'LOGIN_REQUIRED' });
  });

  it('shows no tokens to who looks at it', async () => {
    const flow = client({ clientSecret: 'flow-secret-1234' });
    expect(inspect(flow, { depth: 10, showHidden: true })).not.toContain('flow-secret');
  });

  it.each([
    ['deviceAuthorizationUrl', 'http://login.example/device'],
    ['tokenUrl', 'not a url'],
    ['clientId', ''],
  ])('refuses a wrong %s', (name, value) => {
    expect(() => client({ [name]: value })).toThrow(new RegExp(name));
  });
});

function deviceAnswer(changes: Readonly<Record<string, unknown>> = {}) {
  return (response: Parameters<typeof sendJson>[0]) => {
    sendJson(response, 200, {
      device_code: 'the-device-code',
      user_code: 'ABCD-EFGH',
      verification_uri: 'https://login.example/device',
      expires_in: 600,
      interval: 0.02,
      ...changes,
    });
  };
}

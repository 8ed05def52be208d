import * as crypto from 'node:crypto';

import type { PushRegistration, PushRegistrations } from '@a2a-auth/client/push';
import { SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { bodyFor, credentialHeaders, legacyBodyFor, post, setUp, signer, url } from './support.js';

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof crypto>();
  return { ...real, timingSafeEqual: vi.fn(real.timingSafeEqual) };
});

afterEach(() => {
  vi.useRealTimers();
});

async function registered(options: Parameters<typeof setUp>[0] = {}, taskId = 'task-1') {
  const made = setUp(options);
  const { config } = await made.receiver.register({ taskId });
  return { ...made, config, headers: credentialHeaders(config) };
}

async function signed(options: Parameters<typeof setUp>[0] = {}) {
  const agent = await signer();
  return { agent, ...(await registered({ agents: [agent], ...options })) };
}

describe('a stranger', () => {
  it.each([
    ['no credential', {}],
    ['a credential of its own', { authorization: 'Bearer abc.def' }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['two', { authorization: 'Bearer a.b, Bearer c.d' }],
    ['a very long one', { authorization: `Bearer ${'a'.repeat(4000)}.${'b'.repeat(4000)}` }],
  ])('with %s is refused', async (_, headers) => {
    const { receiver, notifications } = await registered();
    const response = await receiver.handle(post(headers));
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(notifications).toEqual([]);
  });

  it('who knows the id of a registration is refused', async () => {
    const { receiver, config } = await registered();
    const authorization = `Bearer ${config.id}.${'A'.repeat(43)}`;
    expect((await receiver.handle(post({ authorization }))).status).toBe(401);
  });

  it('has the credential compared in constant time, as digests', async () => {
    const compare = vi.mocked(crypto.timingSafeEqual);
    const { receiver, config } = await registered();
    compare.mockClear();
    for (const secret of ['A', 'A'.repeat(43), 'A'.repeat(200)]) {
      await receiver.handle(post({ authorization: `Bearer ${config.id}.${secret}` }));
    }
    expect(compare.mock.calls.map((pair) => pair.map((part) => part.byteLength))).toEqual([
      [43, 43],
      [43, 43],
      [43, 43],
    ]);
  });

  it('with a good credential in another place is refused', async () => {
    const { receiver, config } = await registered();
    const credential = config.authentication?.credentials ?? '';
    for (const name of ['x-api-key', 'x-a2a-notification-token']) {
      expect((await receiver.handle(post({ [name]: credential }))).status).toBe(401);
    }
  });

  it('is refused before the body is looked at', async () => {
    const { receiver } = await registered();
    const pull = vi.fn();
    const body = new ReadableStream({ pull }, { highWaterMark: 0 });
    const request = new Request(url, { method: 'POST', body, duplex: 'half' });
    expect((await receiver.handle(request)).status).toBe(401);
    expect(pull).not.toHaveBeenCalled();
  });

  it('learns nothing of why', async () => {
    const { receiver, refusals } = await registered();
    const response = await receiver.handle(post({ authorization: 'Bearer a.b' }));
    expect(await response.text()).toBe('');
    expect(refusals).toMatchObject([{ status: 401 }]);
  });
});

describe('an agent with a credential', () => {
  it.each([
    ['of another task', bodyFor('task-2'), 404],
    ['of another task, in 0.3', legacyBodyFor('task-2'), 404],
    ['that is no JSON', 'hello', 400],
    ['that is not UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 400],
    ['that is no object', '[]', 400],
    ['that is null', 'null', 400],
    ['of two kinds', `{"task":{"id":"task-1"},"statusUpdate":{"taskId":"task-1"}}`, 400],
    ['of no task', '{"statusUpdate":{}}', 400],
    ['of an unknown kind in 0.3', '{"kind":"__proto__","id":"task-1"}', 400],
    ['that is deep', `{"task":{"id":"task-1","metadata":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}}`, 400],
    ['that is very deep', `${'['.repeat(500_000)}${']'.repeat(500_000)}`, 400],
  ])('is refused with a notification %s', async (_, body, status) => {
    const { receiver, notifications, headers } = await registered();
    expect((await receiver.handle(post(headers, body))).status).toBe(status);
    expect(notifications).toEqual([]);
  });

  it('cannot tie a webhook to two tasks at once', async () => {
    const { receiver, notifications } = setUp();
    const { config } = await receiver.register();
    const headers = credentialHeaders(config);
    const answers = await Promise.all(
      ['task-1', 'task-2'].map((taskId) => receiver.handle(post(headers, bodyFor(taskId)))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404]);
    expect(notifications).toHaveLength(1);
  });

  it('is refused where the task is not known otherwise', async () => {
    const { receiver, headers } = await registered({ isKnownTask: () => false });
    expect((await receiver.handle(post(headers))).status).toBe(404);
  });

  it('is told to come again while nobody knows whether the task is known', async () => {
    const { receiver, headers } = await registered({ isKnownTask: () => Promise.reject(new Error('db')) });
    const response = await receiver.handle(post(headers));
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
  });

  it('is refused where the answer is not exactly a yes', async () => {
    const { receiver, headers } = await registered({ isKnownTask: () => 'no' as unknown as boolean });
    expect((await receiver.handle(post(headers))).status).toBe(404);
  });

  it.each([
    ['another type', { 'content-type': 'text/plain' }, 415],
    ['an encoding', { 'content-encoding': 'gzip' }, 415],
    ['an id of any length', { 'x-a2a-notification-id': 'i'.repeat(300) }, 400],
  ])('is refused with %s', async (_, extra, status) => {
    const { receiver, headers } = await registered();
    expect((await receiver.handle(post({ ...headers, ...(extra as object) }))).status).toBe(status);
  });

  it('is refused with a method that is no POST', async () => {
    const { receiver, headers } = await registered();
    const response = await receiver.handle(new Request(url, { headers }));
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it.each([
    ['is not read when it says so', '1001', 0],
    ['is read no further than that when it does not', undefined, 2],
  ])('cannot send more than is taken: the body %s', async (_, declared, pulls) => {
    const { receiver, headers } = await registered({ maxBytes: 1000 });
    const pull = vi.fn((controller: ReadableStreamDefaultController<Uint8Array>) => {
      controller.enqueue(new Uint8Array(600));
    });
    const request = new Request(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...headers,
        ...(declared === undefined ? {} : { 'content-length': declared }),
      },
      body: new ReadableStream({ pull }, { highWaterMark: 0 }),
      duplex: 'half',
    });
    expect((await receiver.handle(request)).status).toBe(413);
    expect(pull).toHaveBeenCalledTimes(pulls);
  });

  it('cannot take forever to send a body', async () => {
    const { receiver, headers } = await registered();
    vi.useFakeTimers();
    const body = new ReadableStream();
    const request = new Request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      duplex: 'half',
    });
    const answer = receiver.handle(request);
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await answer).status).toBe(408);
  });
});

it('does not rely on a store to forget what has ended', async () => {
  const known = new Map<string, PushRegistration>();
  const registrations: PushRegistrations = {
    add: (id, registration) => void known.set(id, { ...registration, expiresAt: Date.now() }),
    find: (id) => known.get(id),
    bind: () => true,
    remove: () => undefined,
  };
  const { receiver, headers } = await registered({ registrations });
  expect((await receiver.handle(post(headers))).status).toBe(401);
});

describe('repetitions', () => {
  it('are answered alike and told once', async () => {
    const { receiver, notifications, headers } = await registered();
    const again = { ...headers, 'x-a2a-notification-id': 'n-1' };
    for (let n = 0; n < 3; n++) expect((await receiver.handle(post(again))).status).toBe(200);
    expect(notifications).toHaveLength(1);
  });

  it('at the same time are told once, and answered when the first is', async () => {
    let release = (): void => undefined;
    const onNotification = vi.fn(
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );
    const { receiver, headers } = await registered({ onNotification });
    const again = { ...headers, 'x-a2a-notification-id': 'n-1' };
    const answers = Array.from({ length: 20 }, () => receiver.handle(post(again)));
    await vi.waitFor(() => {
      expect(onNotification).toHaveBeenCalled();
    });
    release();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(new Array(20).fill(200));
    expect(onNotification).toHaveBeenCalledTimes(1);
  });

  it('of an id by another agent are none', async () => {
    const { receiver, notifications } = setUp();
    for (const taskId of ['task-1', 'task-2']) {
      const { config } = await receiver.register({ taskId });
      const headers = { ...credentialHeaders(config), 'x-a2a-notification-id': 'n-1' };
      await receiver.handle(post(headers, bodyFor(taskId)));
    }
    expect(notifications).toHaveLength(2);
  });
});

describe('signatures', () => {
  const now = Math.floor(Date.now() / 1000);
  it.each([
    ['has ended', { exp: now - 60, iat: now - 120 }],
    ['is too old, however long it says to be good', { exp: now + 86_400, iat: now - 3600 }],
    ['is from the future', { iat: now + 3600, exp: now + 7200 }],
    ['has no end', { exp: undefined }],
    ['has no beginning', { iat: undefined }],
    ['is for another webhook', { aud: 'https://client.example/other' }],
    ['is for another host', { aud: 'https://other.example/hook' }],
    ['is for nobody', { aud: undefined }],
    ['is by another issuer', { iss: 'https://evil.example' }],
    ['has no issuer', { iss: undefined }],
    ['has no id', { jti: undefined }],
    ['is for another task', { taskId: 'task-2' }],
    ['is for no task', { taskId: undefined }],
    ['is for another body', { request_body_sha256: '00'.repeat(32) }],
    ['is for no body', { request_body_sha256: undefined }],
  ])('are refused when one %s', async (_, claims) => {
    const { agent, receiver, headers, notifications } = await signed();
    const authorization = `Bearer ${await agent.sign(bodyFor(), claims)}`;
    expect((await receiver.handle(post({ ...headers, authorization }))).status).toBe(401);
    expect(notifications).toEqual([]);
  });

  it('are refused when they are JWTs of another kind', async () => {
    const { agent, receiver, headers } = await signed();
    const authorization = `Bearer ${await agent.sign(bodyFor(), {}, { typ: 'at+jwt' })}`;
    expect((await receiver.handle(post({ ...headers, authorization }))).status).toBe(401);
  });

  it('are refused when they are by another key', async () => {
    const { agent, receiver, headers } = await signed();
    const authorization = `Bearer ${await (await signer(agent.issuer)).sign(bodyFor())}`;
    expect((await receiver.handle(post({ ...headers, authorization }))).status).toBe(401);
  });

  it('are refused when there is none', async () => {
    const { receiver, headers, refusals } = await signed();
    expect((await receiver.handle(post(headers))).status).toBe(401);
    expect(refusals).toMatchObject([{ detail: 'it is not signed' }]);
  });

  it('are refused when they are not signed, or with what is public', async () => {
    const { agent, receiver, headers } = await signed();
    const { iss, aud, exp, iat, jti, ...rest } = JSON.parse(
      Buffer.from((await agent.sign(bodyFor())).split('.')[1] ?? '', 'base64url').toString(),
    ) as Record<string, unknown>;
    const claims = { iss, aud, exp, iat, jti, ...rest } as Record<string, string>;
    const none = new UnsecuredJWT(claims).encode();
    const hmac = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'k', typ: 'a2a-notification+jwt' })
      .sign(Buffer.from(JSON.stringify(agent.jwk).padEnd(64)));
    for (const token of [none, hmac, 'x.y.z', `${none}x`]) {
      const answer = await receiver.handle(post({ ...headers, authorization: `Bearer ${token}` }));
      expect(answer.status).toBe(401);
    }
  });

  it('do not replace the token of the registration', async () => {
    const { agent, receiver } = await signed();
    const authorization = `Bearer ${await agent.sign(bodyFor())}`;
    expect((await receiver.handle(post({ authorization }))).status).toBe(401);
  });

  it('do not replace knowing the task', async () => {
    const { agent, receiver } = await signed({ isKnownTask: (taskId) => taskId !== 'task-1' });
    const authorization = `Bearer ${await agent.sign(bodyFor())}`;
    expect((await receiver.handle(post({ authorization }))).status).toBe(404);
  });

  it('of one agent are refused for the webhook of another one', async () => {
    const [one, other] = [await signer(), await signer('https://other.example')];
    const { receiver } = setUp({ agents: [one, other] });
    const { config } = await receiver.register({ taskId: 'task-1', issuer: one.issuer });
    const headers = credentialHeaders(config);
    const authorization = `Bearer ${await other.sign(bodyFor())}`;
    expect((await receiver.handle(post({ ...headers, authorization }))).status).toBe(401);
  });

  it('cannot be used twice, also not under another id', async () => {
    const { agent, receiver, headers, notifications } = await signed();
    const authorization = `Bearer ${await agent.sign(bodyFor())}`;
    const send = async (extra: Record<string, string> = {}) =>
      (await receiver.handle(post({ ...headers, authorization, ...extra }))).status;
    expect([await send(), await send(), await send({ 'x-a2a-notification-id': 'n-2' })]).toEqual([
      200, 200, 400,
    ]);
    expect(notifications).toHaveLength(1);
  });
});

describe('the keys of an agent', () => {
  const jwksUri = 'https://agent.example/keys';

  async function remote(answer: () => Response | Promise<Response>) {
    const agent = await signer();
    const fetch = vi.fn(async () => answer());
    const made = await registered({ agents: [{ issuer: agent.issuer, jwksUri, fetch }] });
    const send = async (header = {}) => {
      const authorization = `Bearer ${await agent.sign(bodyFor(), {}, header)}`;
      return (await made.receiver.handle(post({ ...made.headers, authorization }))).status;
    };
    return { agent, fetch, send };
  }

  it('are fetched once', async () => {
    const { agent, fetch, send } = await remote(() => Response.json(agent.jwks));
    expect([await send(), await send()]).toEqual([200, 200]);
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['an error', () => new Response('', { status: 500 })],
    ['a redirect', () => new Response('', { status: 302, headers: { location: 'https://evil.example/' } })],
    ['no JSON', () => new Response('hello')],
    ['too much', () => new Response(new Uint8Array(600_000))],
    ['nothing', () => Promise.reject(new TypeError('fetch failed'))],
  ])('let the agent come again while there is %s', async (_, answer) => {
    const { send } = await remote(answer);
    expect(await send()).toBe(503);
  });

  it('are not asked for with each notification while they cannot be had', async () => {
    const { fetch, send } = await remote(() => new Response('', { status: 500 }));
    for (let n = 0; n < 5; n++) await send();
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it('are fetched anew for a key that is not known, and not all the time', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { agent, fetch, send } = await remote(() => Response.json(agent.jwks));
    await send();
    expect([await send({ kid: 'x' }), await send({ kid: 'y' })]).toEqual([503, 503]);
    expect(fetch).toHaveBeenCalledTimes(1);
    vi.setSystemTime(Date.now() + 6_000);
    agent.jwks.keys.push({ ...agent.jwk, kid: 'x' });
    expect(await send({ kid: 'x' })).toBe(200);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('are not asked for by a stranger', async () => {
    const agent = await signer();
    const fetch = vi.fn(async () => Response.json(agent.jwks));
    const { receiver } = setUp({ agents: [{ issuer: agent.issuer, jwksUri, fetch }] });
    await receiver.handle(post({ authorization: `Bearer ${await agent.sign(bodyFor())}` }));
    expect(fetch).not.toHaveBeenCalled();
  });
});

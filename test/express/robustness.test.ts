import { once } from 'node:events';
import { connect } from 'node:net';

import { AgentSecurity, apiKey } from '@a2a-auth/server';
import { agentRouter, authenticate, contextBuilder, userBuilder } from '@a2a-auth/server/express';
import { restHandler } from '@a2a-js/sdk/server/express';
import express, { type Express } from 'express';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { createSecurity, granted } from '../support/credentials.js';
import { jsonRpc } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen, startAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

const params = { message: { messageId: 'm-1', role: 'ROLE_USER', parts: [{ text: 'Hello' }] } };
const body = JSON.stringify(jsonRpc('SendMessage', params));
const json = { 'content-type': 'application/json', 'a2a-version': '1.0' };

/** An agent behind whatever the application puts before it. */
async function behind(before: (app: Express) => void, security: AgentSecurity<string>) {
  const { url, port, serve } = await listen();
  const agent = createAgent(agentCard(url));
  const app = express();
  before(app);
  app.use(agentRouter({ security, requestHandler: agent.requestHandler }));
  serve(app);
  return { ...agent, url, port, jsonRpcUrl: `${url}/a2a/jsonrpc`, restUrl: `${url}/a2a/rest` };
}

describe('an A2A-Version that is made to be hard to read', () => {
  it('is read in time that grows no faster than it does', async () => {
    const { cardUrl } = await startAgent();
    // Node passes the byte 0xA0 on as white space. With a quadratic look at it, each of these takes 100 ms and more.
    const version = `0.3${'\u00a0'.repeat(15_000)}x`;
    const responses = await Promise.all(
      Array.from({ length: 100 }, () => fetch(cardUrl, { headers: { 'a2a-version': version } })),
    );
    expect(responses.every(({ status }) => status === 200)).toBe(true);
  });
});

describe('a response that another middleware has written already', () => {
  const rejections: unknown[] = [];
  const note = (error: unknown) => rejections.push(error);
  beforeEach(() => void process.on('unhandledRejection', note));
  afterEach(() => {
    process.off('unhandledRejection', note);
    rejections.length = 0;
  });

  it.each(['/a2a/jsonrpc', '/a2a/rest/message:send', '/hand-made/message:send'])(
    'stays as it is, and the process lives on: %s',
    async (path) => {
      const security = createSecurity();
      const { url, port, serve } = await listen();
      const agent = createAgent(agentCard(url));
      const requestHandler = security.protect(agent.requestHandler);
      const app = express();
      app.use((_req, res, next) => {
        res.status(503).end('too slow');
        next();
      });
      app.use(agentRouter({ security, requestHandler: agent.requestHandler }));
      app.use(
        '/hand-made',
        authenticate({ security, requestHandler, binding: 'HTTP+JSON' }),
        restHandler({ requestHandler, userBuilder, contextBuilder: contextBuilder(security) }),
      );
      serve(app);

      // The body comes only after the answer.
      const socket = connect(port, '127.0.0.1');
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${String(body.length)}\r\n\r\n`,
      );
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(answer.toString()).toContain('503');
      socket.end(body);
      await once(socket, 'close');
      const alive = await fetch(`${url}/.well-known/agent-card.json`).catch((error: unknown) => error);
      expect(alive).toMatchObject({ status: 503 });
      expect(rejections).toEqual([]);
    },
  );
});

describe('an answer that has no content', () => {
  it('says nothing of its length (RFC 9110 §8.6)', async () => {
    const agent = await startAgent();
    vi.spyOn(agent.requestHandler, 'deleteTaskPushNotificationConfig').mockResolvedValue();
    const { status, headers } = await fetch(`${agent.restUrl}/tasks/t-1/pushNotificationConfigs/c-1`, {
      method: 'DELETE',
      headers: { 'a2a-version': '1.0', ...granted.partner },
    });
    expect(status).toBe(204);
    expect(headers.has('content-length')).toBe(false);
  });
});

describe('the body of a denied caller', () => {
  it('is not read beyond the default limit, however large the agent’s own is', async () => {
    const { jsonRpcUrl } = await startAgent({ router: { bodyLimit: 50_000_000 } });
    const large = JSON.stringify({ ...jsonRpc('SendMessage', params), padding: 'x'.repeat(200_000) });
    const denied = await fetch(jsonRpcUrl, { method: 'POST', headers: json, body: large });
    // Without its body, it has no method, and no message to answer with a task.
    expect(denied.status).toBe(401);
    const admitted = await fetch(jsonRpcUrl, {
      method: 'POST',
      headers: { ...json, ...granted.partner },
      body: large,
    });
    expect(admitted.status).toBe(200);
  });
});

describe('a form on another site', () => {
  const cookieSecurity = () =>
    new AgentSecurity()
      .addSecurityScheme('session', apiKey({ in: 'cookie', name: 'session', keys: ['a-session-key'] }))
      .addSecurityRequirement({ session: [] });
  const cookie = { cookie: 'session=a-session-key' };

  it.each([
    ['text/plain', express.text({ type: () => true }), body],
    [
      'application/x-www-form-urlencoded',
      express.urlencoded({ extended: true }),
      'jsonrpc=2.0&id=1&method=message/send',
    ],
    ['no type at all', express.text({ type: () => true }), body],
  ])(
    'cannot send a message with the caller’s cookies as %s, whoever reads it',
    async (type, parser, form) => {
      const agent = await behind((app) => app.use(parser), cookieSecurity());
      for (const url of [
        agent.jsonRpcUrl,
        `${agent.restUrl}/message:send`,
        `${agent.restUrl}/v1/message:send`,
      ]) {
        const response = await fetch(url, {
          method: 'POST',
          headers: { ...cookie, ...(type.includes('/') ? { 'content-type': type } : {}) },
          body: type.includes('/') ? form : new Blob([form]),
        });
        expect(response.status).toBe(415);
      }
      expect(agent.executor.calls).toEqual([]);
    },
  );
});

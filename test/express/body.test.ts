import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { deflateSync, gzipSync } from 'node:zlib';

import { AgentSecurity, apiKey, httpBearer, type DecisionEvent } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import express from 'express';
import { describe, expect, it, vi } from 'vitest';

import { combinations, type Combination } from '../support/client.js';
import { createSecurity, denied, granted, type Headers } from '../support/credentials.js';
import { jsonRpc, message, send } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, startAgent } from '../support/server.js';
import { mountPieces, sendMessage, start } from './support.js';

closeServersAfterTests();
muteConsole();

describe('the body', () => {
  const post = (url: string, combination: Combination, body: string | Uint8Array, headers: Headers) =>
    fetch(`${url}${sendMessage(combination).path}`, {
      method: 'POST',
      headers: { 'A2A-Version': combination.version, 'Content-Type': 'application/json', ...headers },
      body,
    });
  const padded = (combination: Combination, bytes: number) =>
    JSON.stringify({ padding: 'x'.repeat(bytes), ...(sendMessage(combination).body as object) });

  /** The code and message of an error, in the shape that the binding has for it. */
  const errorOf = async (response: Response, { binding, version }: Combination) => {
    const body = (await response.json()) as Record<string, unknown>;
    if (binding === 'JSONRPC') expect(body).toMatchObject({ jsonrpc: '2.0', id: null });
    const error = binding === 'HTTP+JSON' && version === '0.3' ? body : body.error;
    return error as { code: number; message: string; status?: string };
  };

  describe.each(combinations)('over $binding $version', (combination) => {
    const codes = (status: number, jsonRpcCode: number) =>
      combination.binding === 'HTTP+JSON' && combination.version === '1.0' ? status : jsonRpcCode;

    const urlOf = ({ jsonRpcUrl, restUrl }: { readonly jsonRpcUrl: string; readonly restUrl: string }) =>
      combination.binding === 'JSONRPC' ? jsonRpcUrl : restUrl;

    it('of a granted caller over the limit gets 413', async () => {
      const running = await startAgent({ router: { bodyLimit: 1000 } });
      const url = urlOf(running);
      const ok = await post(url, combination, padded(combination, 100), granted.partner);
      expect(ok.ok).toBe(true);
      const response = await post(url, combination, padded(combination, 1000), granted.partner);
      expect(response.status).toBe(413);
      expect(await errorOf(response, combination)).toMatchObject({
        code: codes(413, -32600),
        message: 'The body is too large.',
      });
      expect(running.executor.calls).toHaveLength(1);
    });

    it('of a granted caller that cannot be parsed gets 400', async () => {
      const running = await startAgent();
      const url = urlOf(running);
      const response = await post(url, combination, '{"jsonrpc"', granted.partner);
      expect(response.status).toBe(400);
      expect(await errorOf(response, combination)).toMatchObject({
        code: codes(400, -32700),
        message: 'The body cannot be read.',
      });
      expect(running.executor.calls).toHaveLength(0);
    });

    it('of a denied caller that cannot be read gets the denial', async () => {
      const running = await startAgent({ router: { bodyLimit: 1000 } });
      const url = urlOf(running);
      for (const body of [padded(combination, 1000), '{"jsonrpc"']) {
        const response = await post(url, combination, body, denied.invalid);
        // Without its body, a JSON-RPC call has no method.
        expect(response.status).toBe(combination.binding === 'JSONRPC' ? 401 : 200);
        expect(response.headers.get('www-authenticate')).not.toBeNull();
      }
    });

    it('may be as large as the limit says, beyond what the SDK takes', async () => {
      const running = await startAgent({ router: { bodyLimit: '1mb' } });
      const url = urlOf(running);
      const response = await post(url, combination, padded(combination, 500_000), granted.partner);
      expect(response.ok).toBe(true);
      expect(await response.text()).toContain('Done.');
    });

    it.each([
      ['gzip', gzipSync],
      ['deflate', deflateSync],
    ] as const)(
      'may be compressed with %s, and is measured as it is unpacked',
      async (encoding, compress) => {
        const running = await startAgent();
        const url = urlOf(running);
        const headers = { ...granted.partner, 'Content-Encoding': encoding };
        const small = await post(url, combination, compress(padded(combination, 100)), headers);
        expect(await small.text()).toContain('Done.');
        const bomb = compress(padded(combination, 50_000_000));
        expect(bomb.length).toBeLessThan(100_000);
        const response = await post(url, combination, bomb, headers);
        expect(response.status).toBe(413);
      },
    );
  });

  it('that is aborted halfway reaches no agent, and the server goes on', async () => {
    const decisions: DecisionEvent[] = [];
    const decided = new EventEmitter();
    const running = await startAgent({
      security: createSecurity({
        onDecision: (decision) => {
          decisions.push(decision);
          decided.emit('decision');
        },
      }),
    });
    const socket = connect({ port: running.port, host: '127.0.0.1' });
    await once(socket, 'connect');
    const lines = [
      'POST /a2a/jsonrpc HTTP/1.1',
      'Host: agent',
      'A2A-Version: 1.0',
      'Content-Type: application/json',
      'Content-Length: 1000',
      `X-API-Key: ${granted.partner['X-API-Key']}`,
      '',
      '{"jsonrpc":"2.0",',
    ];
    const arrived = once(running.server, 'request');
    const decision = once(decided, 'decision');
    socket.write(lines.join('\r\n'));
    await arrived;
    socket.destroy();
    await decision;

    expect(decisions).toMatchObject([{ operation: 'unknown' }]);
    expect(running.executor.calls).toHaveLength(0);
    const [combination] = combinations;
    const next = await send(running.jsonRpcUrl, combination, sendMessage(combination), granted.partner);
    expect(await next.text()).toContain('Done.');
  });

  /** The headers of a call, and the first bytes of its body. */
  const begin = (length: number, credential: string) =>
    [
      'POST /a2a/jsonrpc HTTP/1.1',
      'Host: agent',
      'Connection: close',
      'A2A-Version: 1.0',
      'Content-Type: application/json',
      `Content-Length: ${String(length)}`,
      credential,
      '',
      '{',
    ].join('\r\n');

  it('that is aborted while its caller is verified leaves an event', async () => {
    const happened = new EventEmitter();
    const asked = once(happened, 'asked');
    const decided = once(happened, 'decided') as Promise<[DecisionEvent]>;
    const validator = async () => {
      const answer = once(happened, 'answer');
      happened.emit('asked');
      await answer;
      return undefined;
    };
    const running = await startAgent({
      security: new AgentSecurity({ onDecision: (event) => happened.emit('decided', event) })
        .addSecurityScheme('user', httpBearer({ validator }))
        .addSecurityRequirement({ user: [] }),
    });
    const socket = connect({ port: running.port, host: '127.0.0.1' });
    const arrived = once(running.server, 'request') as Promise<[IncomingMessage]>;
    socket.write(begin(100, 'Authorization: Bearer a-guess'));
    const [request] = await arrived;
    await asked;
    const gone = new Promise((resolve) => request.once('close', resolve));
    socket.resetAndDestroy();
    await gone;
    happened.emit('answer');
    const [event] = await decided;
    expect(event).toMatchObject({ granted: false, schemes: [{ outcome: 'refused' }] });
  });

  it('that took long is worth nothing when the credential was revoked meanwhile', async () => {
    let revoked = false;
    let asked = 0;
    const happened = new EventEmitter();
    const first = once(happened, 'asked');
    const store = {
      find() {
        asked += 1;
        happened.emit('asked');
        return { id: 'k', revoked };
      },
    };
    const secret = 'a server secret of 32 bytes, or more';
    const running = await startAgent({
      security: new AgentSecurity()
        .addSecurityScheme('key', apiKey({ in: 'header', name: 'X-API-Key', store, secret }))
        .addSecurityRequirement({ key: [] }),
    });
    const text = JSON.stringify(jsonRpc('SendMessage', { message: message['1.0'] }));
    const socket = connect({ port: running.port, host: '127.0.0.1' });
    socket.write(begin(text.length, 'X-API-Key: any-key'));
    await first;
    await setImmediate();
    revoked = true;
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 2_000);
    socket.write(text.slice(1));
    const answer = (await socket.toArray()).join('');
    clock.mockRestore();
    expect(answer).toContain('TASK_STATE_AUTH_REQUIRED');
    expect(running.executor.calls).toHaveLength(0);
    expect(asked).toBe(2);
  });

  it('in many pieces is read whole', async () => {
    const running = await startAgent();
    const text = JSON.stringify(
      jsonRpc('SendMessage', {
        message: { ...message['1.0'], metadata: { noise: randomBytes(3000).toString('hex') } },
      }),
    );
    const pieces = text.match(/.{1,500}/gs) ?? [];
    const response = await fetch(running.jsonRpcUrl, {
      method: 'POST',
      headers: { 'A2A-Version': '1.0', 'Content-Type': 'application/json', ...granted.partner },
      body: ReadableStream.from(pieces.map((piece) => Buffer.from(piece))),
      duplex: 'half',
    });
    expect(await response.text()).toContain('Done.');
  });

  describe('that came with its headers, and is there before its caller is verified', () => {
    const slow = () =>
      new AgentSecurity()
        .addSecurityScheme(
          'user',
          httpBearer({
            async validator(token) {
              await setImmediate();
              return token === 'ada' ? { principal: token } : undefined;
            },
          }),
        )
        .addSecurityRequirement({ user: [] });

    /** All of it in one packet. */
    async function postAtOnce(port: number, path: string, body: unknown): Promise<string> {
      const text = JSON.stringify(body);
      const socket = connect({ port, host: '127.0.0.1' });
      socket.write(
        [
          `POST ${path} HTTP/1.1`,
          'Host: agent',
          'Connection: close',
          'A2A-Version: 1.0',
          'Content-Type: application/json',
          `Content-Length: ${String(Buffer.byteLength(text))}`,
          'Authorization: Bearer ada',
          '',
          text,
        ].join('\r\n'),
      );
      return (await socket.toArray()).join('');
    }

    const calls = combinations
      .filter(({ version }) => version === '1.0')
      .map((combination) => [combination.binding, combination] as const);

    it.each(calls)('is read by agentRouter: %s', async (binding, combination) => {
      const { port, urlOf } = await start((app, { requestHandler }) => {
        app.use(agentRouter({ security: slow(), requestHandler }));
      });
      const { path, body } = sendMessage(combination);
      expect(await postAtOnce(port, new URL(urlOf({ binding })).pathname + path, body)).toContain('Done.');
    });

    it.each(calls)("goes on to the SDK's own handlers: %s", async (binding, combination) => {
      const { port, urlOf } = await start((app, agent) => {
        mountPieces(app, agent, { security: slow() });
      });
      const { path, body } = sendMessage(combination);
      expect(await postAtOnce(port, new URL(urlOf({ binding })).pathname + path, body)).toContain('Done.');
    });

    it('goes on to the rest of the application', async () => {
      const { port } = await start((app, { requestHandler }) => {
        app.use(agentRouter({ security: slow(), requestHandler }));
        app.post('/a2a/rest/own', express.json(), (req, res) => void res.json({ got: req.body as unknown }));
      });
      expect(await postAtOnce(port, '/a2a/rest/own', { mine: 1 })).toContain('{"got":{"mine":1}}');
    });
  });
});

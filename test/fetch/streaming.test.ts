import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';

import { describe, expect, it, vi } from 'vitest';

import { granted } from '../support/credentials.js';
import { jsonRpc, message } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests } from '../support/server.js';
import { event, source } from '../support/streams.js';
import { createFetchAgent, startFetchAgent } from './support.js';

closeServersAfterTests();
muteConsole();

const bindings = {
  'JSON-RPC 1.0': ['/a2a/jsonrpc', '1.0', jsonRpc('SendStreamingMessage', { message: message['1.0'] })],
  'JSON-RPC 0.3': ['/a2a/jsonrpc', '0.3', jsonRpc('message/stream', { message: message['0.3'] })],
  'HTTP+JSON 1.0': ['/a2a/rest/message:stream', '1.0', { message: message['1.0'] }],
  'HTTP+JSON 0.3': ['/a2a/rest/v1/message:stream', '0.3', { message: message['0.3 proto'] }],
} as const;

describe.each(Object.entries(bindings))('a stream over %s', (_name, [path, version, body]) => {
  const headers = { 'content-type': 'application/json', 'a2a-version': version, ...granted.partner };
  const init = { method: 'POST', headers, body: JSON.stringify(body) };

  function start(length?: number) {
    const agent = createFetchAgent();
    const { seen, open } = source(length);
    vi.spyOn(agent.requestHandler, 'sendMessageStream').mockImplementation(open);
    const ask = (signal?: AbortSignal) =>
      agent.fetch(`${agent.url}${path}`, { ...init, ...(signal === undefined ? {} : { signal }) });
    return { seen, ask };
  }
  const readerOf = (response: Response) => {
    if (response.body === null) throw new Error('The response has no body.');
    return response.body.getReader();
  };

  it('is made no faster than it is read', async () => {
    const { seen, ask } = start();
    const reader = readerOf(await ask());
    for (let read = 1; read <= 5; read++) {
      await reader.read();
      // The source needs no time: whatever would be made ahead is made by then.
      await new Promise((resolve) => setImmediate(resolve));
      expect(seen.made).toBe(read);
    }
    await reader.cancel();
  });

  it('is over when the agent has nothing more to say', async () => {
    const { seen, ask } = start(3);
    const response = await ask();
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect((await response.text()).split('\n\n')).toHaveLength(4);
    expect(seen).toMatchObject({ made: 3, ended: 1 });
    expect(seen.returned).toBeLessThanOrEqual(1);
  });

  it('is ended, once, when its reader cancels it', async () => {
    const { seen, ask } = start();
    const reader = readerOf(await ask());
    await reader.read();
    await reader.cancel();
    await vi.waitFor(() => {
      expect(seen.ended).toBe(1);
    });
    expect(seen.returned).toBe(1);
  });

  it('is ended, once, when its reader cancels it unread', async () => {
    const { seen, ask } = start();
    await (await ask()).body?.cancel();
    await vi.waitFor(() => {
      expect(seen.ended).toBe(1);
    });
    expect(seen.returned).toBe(1);
  });

  it('is ended, once, when the request is aborted', async () => {
    const { seen, ask } = start();
    const aborter = new AbortController();
    const reader = readerOf(await ask(aborter.signal));
    await reader.read();
    aborter.abort(new Error('The caller has left.'));
    await expect(reader.read()).rejects.toThrow('The caller has left.');
    await vi.waitFor(() => {
      expect(seen.ended).toBe(1);
    });
    expect(seen.returned).toBe(1);
  });

  it('ends with an error when the agent fails in the middle of it', async () => {
    const agent = createFetchAgent();
    vi.spyOn(agent.requestHandler, 'sendMessageStream').mockImplementation(async function* () {
      yield await Promise.resolve(event);
      throw new Error('It is broken.');
    });
    const events = (await (await agent.fetch(`${agent.url}${path}`, init)).text()).split('\n\n');
    expect(events).toEqual([
      expect.stringMatching(/^data: /),
      expect.stringMatching(/^event: error\ndata: .*It is broken\./),
      '',
    ]);
  });

  it('is not begun when the request was aborted before', async () => {
    const { seen, ask } = start();
    expect((await ask(AbortSignal.abort())).status).toBe(400);
    expect(seen).toEqual({ made: 0, ended: 0, returned: 0 });
  });
});

describe('a stream that is subscribed to', () => {
  const headers = { 'a2a-version': '1.0', ...granted.partner };

  function start() {
    const agent = createFetchAgent();
    const { seen, open } = source();
    vi.spyOn(agent.requestHandler, 'resubscribe').mockImplementation(open);
    return { seen, agent, url: `${agent.restUrl}/tasks/t-1:subscribe` };
  }

  it('is ended when the request was aborted before', async () => {
    const { seen, agent, url } = start();
    const response = await agent.fetch(url, { headers, signal: AbortSignal.abort(new Error('Left.')) });
    await expect(response.text()).rejects.toThrow('Left.');
    expect(seen).toMatchObject({ ended: 1, returned: 1 });
  });

  it('is ended at once when only its head is asked for', async () => {
    const { seen, agent, url } = start();
    const response = await agent.fetch(url, { method: 'HEAD', headers });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await response.text()).toBe('');
    await vi.waitFor(() => {
      expect(seen).toMatchObject({ ended: 1, returned: 1 });
    });
  });
});

describe('a caller of a real server who leaves', () => {
  const headers = { 'content-type': 'application/json', 'a2a-version': '1.0', ...granted.partner };
  const call = JSON.stringify(bindings['JSON-RPC 1.0'][2]);

  it('in the middle of a stream ends it', async () => {
    const agent = await startFetchAgent();
    const { seen, open } = source();
    vi.spyOn(agent.requestHandler, 'sendMessageStream').mockImplementation(open);
    const aborter = new AbortController();
    const response = await fetch(agent.jsonRpcUrl, {
      method: 'POST',
      headers,
      body: call,
      signal: aborter.signal,
    });
    await response.body?.getReader().read();
    aborter.abort();
    await vi.waitFor(() => {
      expect(seen.ended).toBe(1);
    });
    const { made } = seen;
    expect((await fetch(agent.cardUrl)).status).toBe(200);
    expect(seen.made).toBe(made);
  });

  it('before the first event ends it, and leaves nothing behind', async () => {
    const agent = await startFetchAgent();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const ended = vi.fn();
    const stream = vi.spyOn(agent.requestHandler, 'sendMessageStream').mockImplementation(async function* () {
      try {
        await held;
        yield event;
        yield event;
      } finally {
        ended();
      }
    });
    const fields = Object.entries({ ...headers, 'content-length': String(call.length) });
    const socket = connect(agent.port, '127.0.0.1');
    socket.write(
      `POST /a2a/jsonrpc HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field.join(': ')}\r\n`).join('')}\r\n${call}`,
    );
    await vi.waitFor(() => {
      expect(stream).toHaveBeenCalled();
    });
    socket.destroy();
    const connections = promisify(agent.server.getConnections.bind(agent.server));
    await vi.waitFor(async () => {
      expect(await connections()).toBe(0);
    });
    release();
    await vi.waitFor(() => {
      expect(ended).toHaveBeenCalledOnce();
    });
  });

  it('in the middle of the body reaches no agent, and the server goes on', async () => {
    const agent = await startFetchAgent();
    const socket = connect(agent.port, '127.0.0.1');
    await once(socket, 'connect');
    const fields = Object.entries({ ...headers, 'content-length': '1000' });
    const arrived = once(agent.server, 'request');
    socket.write(
      `POST /a2a/jsonrpc HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field.join(': ')}\r\n`).join('')}\r\n{"jsonrpc":`,
    );
    await arrived;
    socket.destroy();
    const connections = promisify(agent.server.getConnections.bind(agent.server));
    await vi.waitFor(async () => {
      expect(await connections()).toBe(0);
    });
    const next = await fetch(agent.jsonRpcUrl, {
      method: 'POST',
      headers,
      body: JSON.stringify(jsonRpc('SendMessage', { message: message['1.0'] })),
    });
    expect(await next.text()).toContain('Done.');
    expect(agent.executor.calls).toHaveLength(1);
  });
});

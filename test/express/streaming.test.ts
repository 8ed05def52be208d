import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { promisify } from 'node:util';

import { describe, expect, it, vi } from 'vitest';

import { combinations } from '../support/client.js';
import { granted } from '../support/credentials.js';
import { callsOf } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, startAgent, type RunningAgent } from '../support/server.js';
import { event, source } from '../support/streams.js';

closeServersAfterTests();
muteConsole();

/** Longer than anything but a hang takes. */
const patience = { timeout: 20_000 };

const MEBIBYTE = 2 ** 20;
const large = {
  payload: {
    $case: 'statusUpdate' as const,
    value: {
      taskId: 't-1',
      contextId: 'c-1',
      status: undefined,
      metadata: { filler: 'x'.repeat(MEBIBYTE) },
    },
  },
};

const streams = [
  { operation: 'SendStreamingMessage', name: 'sendMessageStream' },
  { operation: 'SubscribeToTask', name: 'resubscribe' },
] as const;

describe.each(combinations)('over $binding $version', (combination) => {
  describe.each(streams)('the stream of $operation', ({ operation, name }) => {
    const call = callsOf(combination).find((candidate) => candidate.operation === operation);
    if (call === undefined) throw new Error(`There is no ${operation}.`);
    const { method, path, body } = call;
    const init = {
      method,
      headers: {
        'a2a-version': combination.version,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...granted.partner,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const urlOf = ({ jsonRpcUrl, restUrl }: RunningAgent) =>
      `${combination.binding === 'JSONRPC' ? jsonRpcUrl : restUrl}${path}`;

    async function start(length?: number, each?: typeof event) {
      const agent = await startAgent();
      const { seen, open } = source(length, each);
      const opened = vi.spyOn(agent.requestHandler, name).mockImplementation(open);
      return { agent, seen, opened };
    }

    it('is made no faster than it is read', async () => {
      const { agent, seen } = await start(64, large);
      const requested = once(agent.server, 'request') as Promise<[unknown, ServerResponse]>;
      const response = await fetch(urlOf(agent), init);
      const [, answer] = await requested;
      await vi.waitFor(() => {
        expect(answer.writableNeedDrain).toBe(true);
      }, patience);
      // More than the sockets and the client hold, and the source needs no time.
      expect(seen.made).toBeLessThan(64);
      const text = await response.text();
      expect(text.split('\n\n')).toHaveLength(65);
      expect(seen).toMatchObject({ made: 64, ended: 1 });
    });

    it('is ended, once, when its caller leaves', async () => {
      const { agent, seen } = await start(Infinity, large);
      const leaving = new AbortController();
      const { body: pieces } = await fetch(urlOf(agent), { ...init, signal: leaving.signal });
      await pieces?.getReader().read();
      leaving.abort();
      await vi.waitFor(() => {
        expect(seen.ended).toBe(1);
      }, patience);
      expect(seen.returned).toBe(1);
      const { made } = seen;
      expect((await fetch(agent.cardUrl)).status).toBe(200);
      expect(seen.made).toBe(made);
    });

    it('is ended when its caller left before the first event, and leaves nothing behind', async () => {
      const { agent, opened } = await start();
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const ended = vi.fn();
      opened.mockImplementation(async function* () {
        try {
          await held;
          yield event;
          yield event;
        } finally {
          ended();
        }
      });
      const content = init.body ?? '';
      const fields = Object.entries({ ...init.headers, 'content-length': String(content.length) });
      const target = new URL(urlOf(agent)).pathname;
      const socket = connect(agent.port, '127.0.0.1');
      socket.write(
        `${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field.join(': ')}\r\n`).join('')}\r\n${content}`,
      );
      await vi.waitFor(() => {
        expect(opened).toHaveBeenCalled();
      }, patience);
      socket.destroy();
      const connections = promisify(agent.server.getConnections.bind(agent.server));
      await vi.waitFor(async () => {
        expect(await connections()).toBe(0);
      }, patience);
      release();
      await vi.waitFor(() => {
        expect(ended).toHaveBeenCalledOnce();
      }, patience);
    });
  });
});

it('a stream of which only the head is asked for is ended at once', async () => {
  const agent = await startAgent();
  const { seen, open } = source();
  vi.spyOn(agent.requestHandler, 'resubscribe').mockImplementation(open);
  const response = await fetch(`${agent.restUrl}/tasks/t-1:subscribe`, {
    method: 'HEAD',
    headers: { 'a2a-version': '1.0', ...granted.partner },
  });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  await vi.waitFor(() => {
    expect(seen).toMatchObject({ ended: 1, returned: 1 });
  }, patience);
});

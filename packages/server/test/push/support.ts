import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

import { TaskState, type StreamResponse, type Task, type TaskPushNotificationConfig } from '@a2a-js/sdk';
import { ServerCallContext } from '@a2a-js/sdk/server';
import { afterEach } from 'vitest';

/** What a webhook was sent. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const servers = new Set<Server>();

/** To be called once in a test file. */
export function closeWebhooksAfterTests(): void {
  afterEach(async () => {
    const closing = [...servers].map((server) => once(server.close(), 'close'));
    for (const server of servers) server.closeAllConnections();
    servers.clear();
    await Promise.all(closing);
  });
}

/** A server on the loopback that is closed after the test. */
export async function listen(server: Server): Promise<number> {
  servers.add(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** A webhook on plain http. */
export async function webhook(
  answer: (received: Received, res: ServerResponse) => void = (_, res) => res.end(),
) {
  const received: Received[] = [];
  const port = await listen(createServer(recorder(received, answer)));
  return { received, port, url: `http://127.0.0.1:${port}/hook?secret=in-query` };
}

export function recorder(
  received: Received[],
  answer: (received: Received, res: ServerResponse) => void = (_, res) => res.end(),
): RequestListener {
  return (req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const call = { path: req.url ?? '', headers: req.headers, body: Buffer.concat(chunks).toString() };
      received.push(call);
      answer(call, res);
    });
  };
}

export function contextOf(userName: string, requestedVersion = '1.0'): ServerCallContext {
  return new ServerCallContext({ user: { isAuthenticated: true, userName }, requestedVersion });
}

export function configFor(
  url: string,
  changes: Partial<TaskPushNotificationConfig> = {},
): TaskPushNotificationConfig {
  return { tenant: '', taskId: 'task-1', id: '', url, token: '', authentication: undefined, ...changes };
}

export function statusUpdate(text: string, taskId = 'task-1'): StreamResponse {
  const status = { state: TaskState.TASK_STATE_WORKING, message: undefined, timestamp: text };
  return {
    payload: { $case: 'statusUpdate', value: { taskId, contextId: 'c', status, metadata: undefined } },
  };
}

export function taskOf(text: string, taskId = 'task-1'): Task {
  const status = { state: TaskState.TASK_STATE_WORKING, message: undefined, timestamp: text };
  return { id: taskId, contextId: 'c', status, artifacts: [], history: [], metadata: undefined };
}

/** The texts of status updates, in the order in which they came. */
export function textsOf(received: readonly Received[]): string[] {
  return received.map(
    ({ body }) =>
      (JSON.parse(body) as { statusUpdate: { status: { timestamp: string } } }).statusUpdate.status.timestamp,
  );
}

/** Waits for what has to come, however slow the machine is. */
export async function until(isTrue: () => boolean, patience = 15_000): Promise<void> {
  const deadline = Date.now() + patience;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error('It did not come.');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

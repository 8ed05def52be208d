import { randomUUID } from 'node:crypto';

import { Role, taskStateToJSON, type Message } from '@a2a-js/sdk';
import { ClientFactory, JsonRpcTransportFactory } from '@a2a-js/sdk/client';

import { textOf } from './agent.js';
import type { Alternative } from './security.js';

const question: Message = {
  messageId: '',
  taskId: '',
  contextId: '',
  role: Role.ROLE_USER,
  parts: [
    { content: { $case: 'text', value: 'Who am I?' }, mediaType: 'text/plain', filename: '', metadata: undefined },
  ],
  metadata: undefined,
  extensions: [],
  referenceTaskIds: [],
};

/** Asks the agent who we are, with the official client and the given headers. */
async function ask(baseUrl: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const factory = new ClientFactory({
    transports: [
      new JsonRpcTransportFactory({
        fetchImpl: (input, init) => fetch(input, { ...init, headers: { ...(init?.headers as object), ...headers } }),
      }),
    ],
  });
  const client = await factory.createFromUrl(baseUrl);
  const answer = await client.sendMessage({
    tenant: '',
    message: { ...question, messageId: randomUUID() },
    configuration: undefined,
    metadata: undefined,
  });
  if (!('status' in answer)) return textOf(answer);
  const { status } = answer;
  return `${taskStateToJSON(status?.state ?? 0)}: ${status?.message === undefined ? '' : textOf(status.message)}`;
}

/** Lets the official client through a denied call and one call for each alternative. */
export async function runDemo(baseUrl: string, alternatives: readonly Alternative[]): Promise<void> {
  console.log('The official client, without credentials:');
  console.log(`  ${await ask(baseUrl, {})}`);
  for (const { name, headers } of alternatives) {
    console.log(`The official client, with ${name}:`);
    console.log(`  ${await ask(baseUrl, headers)}`);
  }
}

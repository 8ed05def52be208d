import { randomUUID } from 'node:crypto';

import { Role, TaskState, taskStateToJSON, type Message } from '@a2a-js/sdk';
import type { AuthorizationServer, Client } from '@a2a-auth/example-authorization-server';
import { ClientFactory, JsonRpcTransportFactory } from '@a2a-js/sdk/client';

import { textOf } from './agent.js';
import { startDeviceFlow } from './oauth-clients.js';
import type { Alternative } from './security.js';

const question: Message = {
  messageId: '',
  taskId: '',
  contextId: '',
  role: Role.ROLE_USER,
  parts: [
    {
      content: { $case: 'text', value: 'Who am I?' },
      mediaType: 'text/plain',
      filename: '',
      metadata: undefined,
    },
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
        fetchImpl: (input, init) =>
          fetch(input, { ...init, headers: { ...(init?.headers as object), ...headers } }),
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
  return `${taskStateToJSON(status?.state ?? TaskState.TASK_STATE_UNSPECIFIED)}: ${status?.message === undefined ? '' : textOf(status.message)}`;
}

/** Lets the official client ask the agent with each of these credentials. */
export async function runDemo(baseUrl: string, attempts: readonly Alternative[]): Promise<void> {
  for (const { name, headers } of attempts) {
    console.log(`The official client, with ${name}:`);
    console.log(`  ${await ask(baseUrl, headers)}`);
  }
}

/** Asks a person to log in with a browser, and lets the official client ask the agent in that person's name. */
export async function runDeviceFlowDemo(
  baseUrl: string,
  authorizationServer: AuthorizationServer,
  client: Client,
  resource: string,
): Promise<void> {
  const { userCode, verificationUri, token } = await startDeviceFlow(authorizationServer, client, resource);
  console.log(`\nTo call the agent as a person, open ${verificationUri}`);
  console.log(`and confirm the code ${userCode}; any name and password will do. Stop with Ctrl+C.`);
  try {
    await runDemo(baseUrl, [{ name: 'your token', headers: { Authorization: `Bearer ${await token}` } }]);
  } catch (error) {
    console.log(
      `Nobody logged in (${error instanceof Error ? error.message : String(error)}); the agent goes on.`,
    );
  }
}

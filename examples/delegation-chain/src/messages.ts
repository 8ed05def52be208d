import { randomUUID } from 'node:crypto';

import { Role, type Message } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';

export function textMessage(role: Role, text: string, contextId = ''): Message {
  return {
    messageId: randomUUID(),
    taskId: '',
    contextId,
    role,
    parts: [
      { content: { $case: 'text', value: text }, mediaType: 'text/plain', filename: '', metadata: undefined },
    ],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

export function textOf(message: Message | undefined): string {
  return (message?.parts ?? [])
    .map(({ content }) => (content?.$case === 'text' ? content.value : ''))
    .join('');
}

/** Sends a message. A task, such as the one that says that authentication is required, answers by its status. */
export async function ask(client: Client, text: string): Promise<string> {
  const message = textMessage(Role.ROLE_USER, text);
  const answer = await client.sendMessage({
    tenant: '',
    message,
    configuration: undefined,
    metadata: undefined,
  });
  return textOf('status' in answer ? answer.status?.message : answer);
}

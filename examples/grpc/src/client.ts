import { randomUUID } from 'node:crypto';

import { Role, taskStateToJSON, TaskState, type AgentCard, type Message } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';
import { credentials, InterceptingCall, type Interceptor } from '@grpc/grpc-js';

/** Puts the caller's credentials into the metadata of each call. */
function withMetadata(entries: Readonly<Record<string, string>>): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
        next(metadata, listener);
      },
    });
}

/** Asks the agent who we are, with the official client. */
export async function ask(card: AgentCard, metadata: Readonly<Record<string, string>>): Promise<string> {
  const transport = new GrpcTransportFactory({
    // Plain text, since everything is on this machine. Elsewhere: credentials.createSsl().
    grpcChannelCredentials: credentials.createInsecure(),
    grpcCallOptions: { interceptors: [withMetadata(metadata)] },
  });
  const client = await new ClientFactory({ transports: [transport] }).createFromAgentCard(card);
  const answer = await client.sendMessage({
    tenant: '',
    message: {
      messageId: randomUUID(),
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
    },
    configuration: undefined,
    metadata: undefined,
  });
  if (!('status' in answer)) return textOf(answer);
  const { state = TaskState.TASK_STATE_UNSPECIFIED, message } = answer.status ?? {};
  return `${taskStateToJSON(state)}: ${textOf(message)}`;
}

function textOf(message: Message | undefined): string {
  return (message?.parts ?? [])
    .map(({ content }) => (content?.$case === 'text' ? content.value : ''))
    .join('');
}

import { randomUUID } from 'node:crypto';

import { principalsOf } from '@a2a-auth/server';
import { AgentCard, Role } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server';

/** Answers every message by naming the callers that the certificate and the biscuit stand for. */
class WhoAmI implements AgentExecutor {
  execute(requestContext: RequestContext, eventBus: ExecutionEventBus): Promise<void> {
    const callers = [...principalsOf(requestContext)].map(
      ([scheme, { subject }]) => `${subject} (${scheme})`,
    );
    eventBus.publish(
      AgentEvent.message({
        messageId: randomUUID(),
        contextId: requestContext.contextId,
        taskId: '',
        role: Role.ROLE_AGENT,
        parts: [
          {
            content: { $case: 'text', value: `You are ${callers.join(' and ')}.` },
            mediaType: 'text/plain',
            filename: '',
            metadata: undefined,
          },
        ],
        metadata: undefined,
        extensions: [],
        referenceTaskIds: [],
      }),
    );
    eventBus.finished();
    return Promise.resolve();
  }

  cancelTask = (): Promise<void> => Promise.resolve();
}

/** The SDK's own request handler, which knows nothing of authentication. */
export function createRequestHandler(url: string): DefaultRequestHandler {
  const card = AgentCard.fromJSON({
    name: 'Who am I',
    description: 'Tells its callers who they are.',
    version: '1.0.0',
    supportedInterfaces: [{ url: `${url}/a2a/jsonrpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    capabilities: {},
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [
      { id: 'who-am-i', name: 'Who am I', description: 'Says who the caller is.', tags: ['identity'] },
    ],
  });
  return new DefaultRequestHandler(card, new InMemoryTaskStore(), new WhoAmI());
}

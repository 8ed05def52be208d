import { randomUUID } from 'node:crypto';

import { principalOf } from '@a2a-auth/server';
import { Role, type AgentCard } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore, type AgentExecutor } from '@a2a-js/sdk/server';

/** The card without any word of security: that is published by `AgentSecurity`. */
export function agentCard(address: string): AgentCard {
  return {
    name: 'Who am I',
    description: 'Tells its callers who they are.',
    version: '1.0.0',
    supportedInterfaces: ['1.0', '0.3'].map((protocolVersion) => ({
      url: address,
      protocolBinding: 'GRPC',
      protocolVersion,
      tenant: '',
    })),
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    signatures: [],
  };
}

const whoAmI: AgentExecutor = {
  execute: (requestContext, eventBus) => {
    const { subject } = principalOf(requestContext);
    eventBus.publish(
      AgentEvent.message({
        messageId: randomUUID(),
        taskId: '',
        contextId: requestContext.contextId,
        role: Role.ROLE_AGENT,
        parts: [
          {
            content: { $case: 'text', value: `You are ${subject}.` },
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
  },
  cancelTask: () => Promise.resolve(),
};

/** The SDK's own request handler, which knows nothing of authentication. */
export function createRequestHandler(card: AgentCard): DefaultRequestHandler {
  return new DefaultRequestHandler(card, new InMemoryTaskStore(), whoAmI);
}

import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';

import { principalsOf } from '@a2a-auth/server';
import { Role, TaskState, type AgentCard, type Message, type TaskStatusUpdateEvent } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryPushNotificationStore,
  InMemoryTaskStore,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server';

/** Where the agent is, by binding. */
export type Endpoints = Readonly<Record<'JSONRPC' | 'HTTP+JSON' | 'GRPC', string>>;

/** The card without any word of security: that is published by `AgentSecurity`. */
function agentCard(endpoints: Endpoints): AgentCard {
  return {
    name: 'Who am I',
    description: 'Tells its callers who they are.',
    version: '1.0.0',
    supportedInterfaces: Object.entries({ ...endpoints }).flatMap(([protocolBinding, url]) =>
      ['1.0', '0.3'].map((protocolVersion) => ({ url, protocolBinding, protocolVersion, tenant: '' })),
    ),
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [
      {
        id: 'who-am-i',
        name: 'Who am I',
        description: 'Says who the caller is. Asked to "count", it counts to five, one number a second.',
        tags: ['identity'],
        examples: ['Who am I?', 'count'],
        inputModes: [],
        outputModes: [],
        securityRequirements: [],
      },
    ],
    signatures: [],
  };
}

/** Answers every message with a task that says who the caller is. */
class WhoAmI implements AgentExecutor {
  readonly #canceled = new Set<string>();

  async execute(requestContext: RequestContext, eventBus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, userMessage } = requestContext;
    const callers = [...principalsOf(requestContext).values()];
    const names = callers
      .map(({ subject, issuer, schemeId }) => `${subject} (by ${issuer ?? schemeId ?? 'nothing'})`)
      .join(' and ');

    const status = (state: TaskState, text: string): TaskStatusUpdateEvent => ({
      taskId,
      contextId,
      status: { state, message: agentMessage(taskId, contextId, text), timestamp: new Date().toISOString() },
      metadata: undefined,
    });
    eventBus.publish(
      AgentEvent.task({
        id: taskId,
        contextId,
        status: {
          state: TaskState.TASK_STATE_WORKING,
          message: undefined,
          timestamp: new Date().toISOString(),
        },
        artifacts: [],
        history: [userMessage],
        metadata: undefined,
      }),
    );
    if (textOf(userMessage).trim().toLowerCase() === 'count') {
      for (let number = 1; number <= 5 && !this.#canceled.has(taskId); number++) {
        eventBus.publish(AgentEvent.statusUpdate(status(TaskState.TASK_STATE_WORKING, String(number))));
        await wait(1000);
      }
    }
    if (this.#canceled.delete(taskId)) {
      eventBus.publish(AgentEvent.statusUpdate(status(TaskState.TASK_STATE_CANCELED, 'Canceled.')));
    } else {
      eventBus.publish(AgentEvent.statusUpdate(status(TaskState.TASK_STATE_COMPLETED, `You are ${names}.`)));
    }
    eventBus.finished();
  }

  cancelTask = (taskId: string): Promise<void> => {
    this.#canceled.add(taskId);
    return Promise.resolve();
  };
}

function agentMessage(taskId: string, contextId: string, text: string): Message {
  return {
    messageId: randomUUID(),
    taskId,
    contextId,
    role: Role.ROLE_AGENT,
    parts: [
      { content: { $case: 'text', value: text }, mediaType: 'text/plain', filename: '', metadata: undefined },
    ],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

/** The text of a message's text parts. */
export function textOf(message: Message): string {
  return message.parts.map(({ content }) => (content?.$case === 'text' ? content.value : '')).join('');
}

/** The SDK's own request handler, which knows nothing of authentication. */
export function createRequestHandler(endpoints: Endpoints): DefaultRequestHandler {
  const card = agentCard(endpoints);
  const extendedCard: AgentCard = { ...card, description: `${card.description} You are a trusted caller.` };
  return new DefaultRequestHandler(
    card,
    new InMemoryTaskStore(),
    new WhoAmI(),
    undefined,
    new InMemoryPushNotificationStore(),
    undefined,
    extendedCard,
  );
}

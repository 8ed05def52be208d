import { randomUUID } from 'node:crypto';

import { Role, TaskState, type AgentCard, type Message, type TaskStatus } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryPushNotificationStore,
  InMemoryTaskStore,
  type AgentExecutor,
  type ExecutionEventBus,
  type PushNotificationSender,
  type RequestContext,
  type ServerCallContext,
} from '@a2a-js/sdk/server';
import type { Task } from '@a2a-js/sdk';

/** The card of an agent at `url`, without a word of security. */
export function agentCard(url: string, changes: Partial<AgentCard> = {}): AgentCard {
  const paths = { JSONRPC: '/a2a/jsonrpc', 'HTTP+JSON': '/a2a/rest' };
  return {
    name: 'Test agent',
    description: 'Answers.',
    version: '1.0.0',
    supportedInterfaces: Object.entries(paths).flatMap(([protocolBinding, path]) =>
      ['1.0', '0.3'].map((protocolVersion) => ({
        url: `${url}${path}`,
        protocolBinding,
        protocolVersion,
        tenant: '',
      })),
    ),
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    signatures: [],
    ...changes,
  };
}

export function textMessage(text: string, fields: Partial<Message> = {}): Message {
  return {
    messageId: randomUUID(),
    taskId: '',
    contextId: '',
    role: Role.ROLE_USER,
    parts: [{ content: { $case: 'text', value: text }, mediaType: '', filename: '', metadata: undefined }],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
    ...fields,
  };
}

export function textOf(message: Message | undefined): string {
  return (message?.parts ?? [])
    .map(({ content }) => (content?.$case === 'text' ? content.value : ''))
    .join('');
}

/** Counts what was stored. */
class CountingTaskStore extends InMemoryTaskStore {
  saved = 0;

  override async save(task: Task, context: ServerCallContext): Promise<void> {
    this.saved++;
    await super.save(task, context);
  }
}

/**
 * Answers every message with a task. A message that says "hold" is worked on until the task is canceled; every other
 * one is completed at once.
 */
class TestExecutor implements AgentExecutor {
  /** The contexts of all executions, in order. */
  readonly calls: RequestContext[] = [];
  readonly #held = new Map<string, () => void>();

  async execute(requestContext: RequestContext, bus: ExecutionEventBus): Promise<void> {
    this.calls.push(requestContext);
    const { taskId, contextId, userMessage } = requestContext;
    const status = (state: TaskState, text?: string): TaskStatus => ({
      state,
      message:
        text === undefined ? undefined : textMessage(text, { role: Role.ROLE_AGENT, taskId, contextId }),
      timestamp: new Date().toISOString(),
    });
    if (requestContext.task === undefined) {
      bus.publish(
        AgentEvent.task({
          id: taskId,
          contextId,
          status: status(TaskState.TASK_STATE_WORKING),
          artifacts: [],
          history: [userMessage],
          metadata: undefined,
        }),
      );
    }
    const held = textOf(userMessage) === 'hold';
    if (held) {
      await new Promise<void>((resolve) => {
        this.#held.set(taskId, resolve);
      });
    }
    const [state, text] = held
      ? ([TaskState.TASK_STATE_CANCELED, 'Canceled.'] as const)
      : ([TaskState.TASK_STATE_COMPLETED, 'Done.'] as const);
    bus.publish(
      AgentEvent.statusUpdate({ taskId, contextId, status: status(state, text), metadata: undefined }),
    );
    bus.finished();
  }

  cancelTask = (taskId: string): Promise<void> => {
    this.#held.get(taskId)?.();
    this.#held.delete(taskId);
    return Promise.resolve();
  };
}

/** Notifies nobody: the addresses in the tests are made up. */
const silentSender: PushNotificationSender = { send: () => Promise.resolve() };

/** The SDK's own request handler around a {@link TestExecutor}. */
export function createAgent(card: AgentCard) {
  const executor = new TestExecutor();
  const taskStore = new CountingTaskStore();
  const extendedCard: AgentCard = { ...card, description: 'Answers trusted callers.' };
  const requestHandler = new DefaultRequestHandler(
    card,
    taskStore,
    executor,
    undefined,
    new InMemoryPushNotificationStore(),
    silentSender,
    extendedCard,
  );
  return { executor, taskStore, requestHandler };
}

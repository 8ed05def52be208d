import type { SendMessageRequest, Task } from '@a2a-js/sdk';
import { LegacyA2AService, legacyGrpcService } from '@a2a-js/sdk/compat/v0_3/server/grpc';
import { A2AService, grpcService, type GrpcServiceOptions } from '@a2a-js/sdk/server/grpc';
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';

import { contextIdOf } from '../http/call.js';
import type { Operation } from '../operation.js';
import { withoutDeviceCode } from './legacy-extended-card.js';
import { legacyLastEvent, legacyMessageResponse } from './legacy-task.js';

/** The service of one protocol version, and how its denials are written. */
export interface Protocol {
  readonly definition: ServiceDefinition;
  /** The operation of each method. */
  readonly operations: Readonly<Record<string, Operation>>;
  /** The SDK's implementation. */
  serve(options: GrpcServiceOptions): UntypedServiceImplementation;
  /** The context that the message of a request belongs to, when it has one and says so. */
  contextIdOf(request: unknown): string | undefined;
  /** The response to a denied SendMessage. */
  messageResponse(task: Task): unknown;
  /** The only event of a denied stream. */
  lastEvent(task: Task): unknown;
}

/** A2A 1.0. */
export const currentProtocol: Protocol = {
  definition: A2AService,
  operations: {
    sendMessage: 'SendMessage',
    sendStreamingMessage: 'SendStreamingMessage',
    getTask: 'GetTask',
    listTasks: 'ListTasks',
    cancelTask: 'CancelTask',
    subscribeToTask: 'SubscribeToTask',
    createTaskPushNotificationConfig: 'CreateTaskPushNotificationConfig',
    getTaskPushNotificationConfig: 'GetTaskPushNotificationConfig',
    listTaskPushNotificationConfigs: 'ListTaskPushNotificationConfigs',
    deleteTaskPushNotificationConfig: 'DeleteTaskPushNotificationConfig',
    getExtendedAgentCard: 'GetExtendedAgentCard',
  } satisfies Record<keyof typeof A2AService, Operation>,
  serve: grpcService,
  contextIdOf: (request) => contextIdOf((request as Partial<SendMessageRequest>).message ?? {}),
  messageResponse: taskPayload,
  lastEvent: taskPayload,
};

/** The request of SendMessage in 0.3. */
type LegacySendMessageRequest = Parameters<typeof LegacyA2AService.sendMessage.requestSerialize>[0];

/** A2A 0.3. */
export const legacyProtocol: Protocol = {
  definition: LegacyA2AService,
  operations: {
    sendMessage: 'SendMessage',
    sendStreamingMessage: 'SendStreamingMessage',
    getTask: 'GetTask',
    cancelTask: 'CancelTask',
    taskSubscription: 'SubscribeToTask',
    createTaskPushNotificationConfig: 'CreateTaskPushNotificationConfig',
    getTaskPushNotificationConfig: 'GetTaskPushNotificationConfig',
    listTaskPushNotificationConfig: 'ListTaskPushNotificationConfigs',
    deleteTaskPushNotificationConfig: 'DeleteTaskPushNotificationConfig',
    // The SDK answers it with the extended card.
    getAgentCard: 'GetExtendedAgentCard',
  } satisfies Record<keyof typeof LegacyA2AService, Operation>,
  serve: (options) =>
    legacyGrpcService({ ...options, requestHandler: withoutDeviceCode(options.requestHandler) }),
  contextIdOf: (request) => contextIdOf((request as Partial<LegacySendMessageRequest>).request ?? {}),
  messageResponse: legacyMessageResponse,
  lastEvent: legacyLastEvent,
};

function taskPayload(task: Task) {
  return { payload: { $case: 'task', value: task } };
}

import {
  A2A_CONTENT_TYPE,
  AgentCard,
  HTTP_EXTENSION_HEADER,
  ListTaskPushNotificationConfigsResponse,
  ListTasksResponse,
  SendMessageRequest,
  SendMessageResponse,
  StreamResponse,
  Task,
  TaskPushNotificationConfig,
  TaskState,
  taskStateFromJSON,
} from '@a2a-js/sdk';
import {
  PushNotificationNotSupportedError,
  RequestMalformedError,
  restStatusFor,
  toRestErrorBody,
} from '@a2a-js/sdk/errors';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';

import type { HttpJsonCommand, HttpJsonDialect, HttpJsonResult } from './http-json-dialect.js';

type Run = HttpJsonDialect<StreamResponse>['run'];

/** HTTP+JSON of A2A 1.0 (§11). The SDK's `RestTransportHandler`, which does the same, is not exported. */
export function httpJsonOperations(handler: A2ARequestHandler): HttpJsonDialect<StreamResponse> {
  const operations: Readonly<Record<HttpJsonCommand['operation'], Run>> = {
    async GetExtendedAgentCard(command, context) {
      const params = { tenant: tenantOf(command) };
      return ok(AgentCard.toJSON(await handler.getAuthenticatedExtendedAgentCard(params, context)));
    },
    async SendMessage(command, context) {
      const result = await handler.sendMessage(messageRequest(command), context);
      const payload =
        'messageId' in result
          ? ({ $case: 'message', value: result } as const)
          : ({ $case: 'task', value: result } as const);
      return ok(SendMessageResponse.toJSON({ payload }));
    },
    SendStreamingMessage(command, context) {
      return Promise.resolve({ events: handler.sendMessageStream(messageRequest(command), context) });
    },
    SubscribeToTask(command, context) {
      const params = { id: command.taskId, tenant: tenantOf(command) };
      return Promise.resolve({ events: handler.resubscribe(params, context) });
    },
    async CancelTask(command, context) {
      const params = { id: command.taskId, tenant: tenantOf(command), metadata: {} };
      return ok(Task.toJSON(await handler.cancelTask(params, context)));
    },
    async GetTask(command, context) {
      const { historyLength } = command.query;
      const params = {
        id: command.taskId,
        tenant: tenantOf(command),
        ...(historyLength === undefined ? {} : { historyLength: historyLengthOf(text(historyLength)) }),
      };
      return ok(Task.toJSON(await handler.getTask(params, context)));
    },
    async ListTasks(command, context) {
      const param = (name: string) => text(command.query[name]);
      const includeArtifacts = param('includeArtifacts') === 'true';
      const params = {
        tenant: tenantOf(command),
        contextId: param('contextId'),
        status: taskStateOf(param('status')),
        pageSize: given(param('pageSize'), pageSizeOf),
        pageToken: param('pageToken'),
        historyLength: given(param('historyLength'), historyLengthOf),
        statusTimestampAfter: given(param('statusTimestampAfter'), String),
        includeArtifacts,
      };
      return ok(listJson(await handler.listTasks(params, context), includeArtifacts));
    },
    async CreateTaskPushNotificationConfig(command, context) {
      const { body, taskId } = command;
      const config = TaskPushNotificationConfig.fromJSON({ ...body, ...pathTenant(command), taskId });
      const { capabilities } = await handler.getAgentCard();
      if (capabilities?.pushNotifications !== true) throw new PushNotificationNotSupportedError();
      const created = await handler.createTaskPushNotificationConfig(config, context);
      return { status: 201, json: TaskPushNotificationConfig.toJSON(created) };
    },
    async ListTaskPushNotificationConfigs(command, context) {
      const params = { taskId: command.taskId, pageSize: 0, pageToken: '', tenant: tenantOf(command) };
      const list = await handler.listTaskPushNotificationConfigs(params, context);
      return ok(ListTaskPushNotificationConfigsResponse.toJSON(list));
    },
    async GetTaskPushNotificationConfig(command, context) {
      const config = await handler.getTaskPushNotificationConfig(configOf(command), context);
      return ok(TaskPushNotificationConfig.toJSON(config));
    },
    async DeleteTaskPushNotificationConfig(command, context) {
      await handler.deleteTaskPushNotificationConfig(configOf(command), context);
      return { status: 204 };
    },
  };

  return {
    contentType: A2A_CONTENT_TYPE,
    extensionHeaders: [HTTP_EXTENSION_HEADER.toLowerCase()],
    run: async (command, context) => operations[command.operation](command, context),
    jsonOf: (event) => StreamResponse.toJSON(event),
    errorOf(error) {
      const status = restStatusFor(error);
      return { status, json: toRestErrorBody(error, status) };
    },
  };
}

function ok(json: unknown): HttpJsonResult<StreamResponse> {
  return { status: 200, json };
}

/** The tenant of the path counts for more than that of the body or of the query. */
function pathTenant({ tenant }: HttpJsonCommand): { tenant?: string } {
  return tenant === undefined ? {} : { tenant };
}

function tenantOf({ tenant, query }: HttpJsonCommand): string {
  return tenant ?? text(query.tenant);
}

function configOf(command: HttpJsonCommand) {
  return { taskId: command.taskId, id: command.configId, tenant: tenantOf(command) };
}

function messageRequest(command: HttpJsonCommand): SendMessageRequest {
  const request = SendMessageRequest.fromJSON({ ...command.body, ...pathTenant(command) });
  if (request.message === undefined) throw new RequestMalformedError('message is required');
  if (request.message.messageId === '') throw new RequestMalformedError('message.messageId is required');
  return request;
}

function taskStateOf(status: string): TaskState {
  if (status === '') return TaskState.TASK_STATE_UNSPECIFIED;
  return taskStateFromJSON(Number.isNaN(Number(status)) ? status : Number(status));
}

function historyLengthOf(value: string): number {
  const parsed = Number.parseInt(value, 10);
  if (Number.isNaN(parsed)) throw new RequestMalformedError('historyLength must be a valid integer');
  if (parsed < 0) throw new RequestMalformedError('historyLength must be non-negative');
  return parsed;
}

function pageSizeOf(value: string): number {
  const parsed = Number.parseInt(value, 10);
  if (Number.isNaN(parsed) || String(parsed) !== value.trim()) {
    throw new RequestMalformedError('pageSize must be a valid integer');
  }
  if (parsed < 1 || parsed > 100) throw new RequestMalformedError('pageSize must be between 1 and 100');
  return parsed;
}

/** The fields of a list are there when they are empty as well, which the codec leaves out. */
function listJson(response: ListTasksResponse, includeArtifacts: boolean): unknown {
  const { tasks = [], ...others } = ListTasksResponse.toJSON(response) as { tasks?: readonly object[] };
  return {
    tasks: includeArtifacts ? tasks.map((task) => ({ artifacts: [], ...task })) : tasks,
    nextPageToken: '',
    pageSize: 0,
    totalSize: 0,
    ...others,
  };
}

function given<T>(value: string, read: (value: string) => T): T | undefined {
  return value === '' ? undefined : read(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

import { HTTP_EXTENSION_HEADER } from '@a2a-js/sdk';
import { LEGACY_HTTP_EXTENSION_HEADER } from '@a2a-js/sdk/compat/v0_3';
import { LegacyRestTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import { isJsonRpcError, restStatusFor } from '@a2a-js/sdk/errors';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';

import type { HttpJsonCommand, HttpJsonDialect, HttpJsonResult } from './http-json-dialect.js';
import {
  agentCardJson,
  eventJson,
  messageSendParams,
  pushNotificationConfig,
  pushNotificationConfigJson,
  sendMessageResultJson,
  taskJson,
  type LegacyEvent,
} from './legacy-proto-json.js';

type Run = HttpJsonDialect<LegacyEvent>['run'];

/** HTTP+JSON of A2A 0.3, which speaks the JSON of its protocol buffers, on the SDK's handler, which does not. */
export function legacyHttpJsonOperations(requestHandler: A2ARequestHandler): HttpJsonDialect<LegacyEvent> {
  const handler = new LegacyRestTransportHandler(requestHandler);
  const operations: Readonly<Record<Exclude<HttpJsonCommand['operation'], 'ListTasks'>, Run>> = {
    async GetExtendedAgentCard(_command, context) {
      return ok(agentCardJson(await handler.getAuthenticatedExtendedAgentCard(context)));
    },
    async SendMessage({ body }, context) {
      const result = await handler.sendMessage(messageSendParams(body), context);
      return { status: 201, json: sendMessageResultJson(result) };
    },
    async SendStreamingMessage({ body }, context) {
      return { events: await handler.sendMessageStream(messageSendParams(body), context) };
    },
    async SubscribeToTask({ taskId }, context) {
      return { events: await handler.resubscribe(taskId, context) };
    },
    async CancelTask({ taskId }, context) {
      return ok(taskJson(await handler.cancelTask(taskId, context)));
    },
    async GetTask({ taskId, query }, context) {
      const historyLength = query.historyLength ?? query.history_length;
      return ok(taskJson(await handler.getTask(taskId, context, historyLength)));
    },
    async CreateTaskPushNotificationConfig({ body }, context) {
      const config = await handler.setTaskPushNotificationConfig(pushNotificationConfig(body), context);
      return { status: 201, json: pushNotificationConfigJson(config) };
    },
    async ListTaskPushNotificationConfigs({ taskId }, context) {
      const configs = await handler.listTaskPushNotificationConfigs(taskId, context);
      return ok(configs.length === 0 ? {} : { configs: configs.map(pushNotificationConfigJson) });
    },
    async GetTaskPushNotificationConfig({ taskId, configId }, context) {
      return ok(
        pushNotificationConfigJson(await handler.getTaskPushNotificationConfig(taskId, configId, context)),
      );
    },
    async DeleteTaskPushNotificationConfig({ taskId, configId }, context) {
      await handler.deleteTaskPushNotificationConfig(taskId, configId, context);
      return { status: 204 };
    },
  };

  return {
    contentType: 'application/json',
    extensionHeaders: [LEGACY_HTTP_EXTENSION_HEADER.toLowerCase(), HTTP_EXTENSION_HEADER.toLowerCase()],
    // 0.3 has no route for ListTasks.
    run: async (command, context) =>
      operations[command.operation as keyof typeof operations](command, context),
    jsonOf: eventJson,
    errorOf: (error) => ({
      status: statusOf(error),
      json: LegacyRestTransportHandler.mapToLegacyHTTPError(error),
    }),
  };
}

function ok(json: unknown): HttpJsonResult<LegacyEvent> {
  return { status: 200, json };
}

/** The statuses of errors that a JSON-RPC code was given to; those of all others are as in 1.0. */
const statuses: Readonly<Record<number, number>> = {
  [-32700]: 400,
  [-32600]: 400,
  [-32601]: 501,
  [-32602]: 400,
  [-32603]: 500,
  [-32001]: 404,
  [-32002]: 400,
  [-32003]: 400,
  [-32004]: 400,
  [-32005]: 400,
  [-32006]: 500,
  [-32007]: 400,
};

function statusOf(error: unknown): number {
  return (isJsonRpcError(error) ? statuses[error.envelopeCode] : undefined) ?? restStatusFor(error);
}

import { RequestMalformedError } from '@a2a-js/sdk/errors';
import type { PushNotificationStore } from '@a2a-js/sdk/server';

import { configurationError } from '../errors.js';
import { oneByOne } from './one-by-one.js';
import { WebhookRefused } from './webhook-address.js';
import { webhookRules, type WebhookPolicy } from './webhook-policy.js';

/** Webhooks of one task that wait for the store, each with a request that waits as well. */
const MAX_SAVING = 100;

/**
 * Refuses webhooks that {@link pushNotificationSender} would not call, when a client wants to register them: with
 * CreateTaskPushNotificationConfig or with a message. The client gets an invalid-params error.
 *
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function guardedPushStore(
  store: PushNotificationStore,
  policy: WebhookPolicy = {},
): PushNotificationStore {
  if (typeof store?.save !== 'function' || typeof store.load !== 'function') {
    throw configurationError(
      'INVALID_OPTION',
      'guardedPushStore() needs a PushNotificationStore of the SDK.',
    );
  }
  const rules = webhookRules('guardedPushStore()', policy);
  const saving = oneByOne(MAX_SAVING);
  return {
    async save(taskId, context, config) {
      try {
        await rules.checkReachable(config);
      } catch (error) {
        throw error instanceof WebhookRefused ? new RequestMalformedError(error.message) : error;
      }
      if (saving.isFull(taskId)) {
        throw new RequestMalformedError('Too many webhooks of the task are being registered at once.');
      }
      // Counted and saved before the next one is counted: else all that come at once would find room.
      await saving.run(taskId, async () => {
        const others = (await store.load(taskId, context)).filter(({ id }) => id !== config.id);
        if (others.length >= rules.maxWebhooks) {
          throw new RequestMalformedError(`The task has ${others.length} webhooks; it may not have more.`);
        }
        await store.save(taskId, context, config);
      });
    },
    load: (taskId, context) => store.load(taskId, context),
    ...(store.loadWithMetadata === undefined
      ? {}
      : {
          loadWithMetadata: (taskId, context) =>
            store.loadWithMetadata?.(taskId, context) ?? Promise.resolve([]),
        }),
    delete: (taskId, context, configId) => store.delete(taskId, context, configId),
  };
}

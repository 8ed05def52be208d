import { randomUUID } from 'node:crypto';
import type { AgentOptions } from 'node:https';

import type { StreamResponse, Task, TaskPushNotificationConfig } from '@a2a-js/sdk';
import { V03PushNotificationSerializer } from '@a2a-js/sdk/compat/v0_3/server';
import {
  ServerCallContext,
  STATE_HEADERS_KEY,
  V1PushNotificationSerializer,
  type PushNotificationSender,
  type PushNotificationStore,
} from '@a2a-js/sdk/server';

import { CallerUser, lastingUser, principalsOf } from '../caller.js';
import { configurationError } from '../errors.js';
import { MAX_TIMEOUT } from '../timeout.js';
import { deliverer, type Outcome } from './deliver.js';
import { deliveryQueue, type DeliveryQueue, type Moved } from './delivery-queue.js';
import { oneByOne } from './one-by-one.js';
import { failureReport, type PushFailureListener } from './push-failure.js';
import { WebhookRefused } from './webhook-address.js';
import { webhookRules, type WebhookPolicy } from './webhook-policy.js';

export interface PushNotificationSenderOptions extends WebhookPolicy {
  /** Milliseconds that one attempt may take. Default 10 000. */
  readonly timeout?: number;
  /** How often a notification is tried, at most. Default 5. */
  readonly attempts?: number;
  /** Milliseconds before the second attempt; doubled, with jitter, before each further one. Default 1000. */
  readonly retryDelay?: number;
  /** Certificate authorities, in PEM, in the place of the well-known ones. */
  readonly ca?: AgentOptions['ca'];
  /** Told of each notification that will not arrive. Default: the process warns, at most once a minute. */
  readonly onFailure?: PushFailureListener;
}

/** The SDK's sender, and what its owner may want at the end. */
export interface AuthenticatedPushSender extends PushNotificationSender {
  /** Resolves when every notification was delivered or given up. */
  flush(): Promise<void>;
  /** Drops what is waiting, and ends what is under way. */
  close(): void;
}

/** Events of one task that wait for the store. It is slow beyond use when there are more. */
const MAX_UNREAD = 1000;

/** Milliseconds after which a webhook is looked up again before it is called: it may have been deleted. */
const MAX_CONFIG_AGE = 1000;

/**
 * Sends push notifications with the credentials that the client gave, or signed. Give it to the SDK's
 * `DefaultRequestHandler`, with the same store.
 *
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function pushNotificationSender(
  store: PushNotificationStore,
  options: PushNotificationSenderOptions = {},
): AuthenticatedPushSender {
  const { timeout = 10_000, attempts = 5, retryDelay = 1_000, ca, onFailure } = options;
  const invalid = (message: string) =>
    configurationError('INVALID_OPTION', `pushNotificationSender(): ${message}`);
  if (typeof store?.load !== 'function') throw invalid('store must be a PushNotificationStore of the SDK.');
  for (const [name, value] of Object.entries({ timeout, retryDelay })) {
    if (!(value > 0 && value <= MAX_TIMEOUT))
      throw invalid(`${name} must be a positive number of milliseconds.`);
  }
  if (!Number.isInteger(attempts) || attempts < 1)
    throw invalid('attempts must be a whole number, at least 1.');
  const rules = webhookRules('pushNotificationSender()', options);
  const deliver = deliverer({ timeout, ca });
  const report = failureReport(onFailure);
  const queue: DeliveryQueue = deliveryQueue({
    attempts,
    retryDelay,
    giveUp({ taskId, configId, origin }, reason, detail) {
      report({ reason, taskId, configId, origin, detail });
    },
  });
  const reading = oneByOne(MAX_UNREAD);

  async function enqueue(event: Event, context: ServerCallContext): Promise<void> {
    const { taskId } = event;
    const stored = await load(store, taskId, context);
    const bodies = serializer(event);
    const claims = sizeOfClaims(context);
    for (const [index, { config, wireVersion }] of stored.entries()) {
      const refuse = (detail: string) => {
        report({ reason: 'refused', taskId, configId: config.id, origin: originOf(config), detail });
      };
      if (index >= rules.maxWebhooks) {
        refuse('the task has too many webhooks');
        continue;
      }
      const body = bodies(wireVersion);
      const id = randomUUID();
      const loadedAt = Date.now();
      const attempt = async (signal: AbortSignal, origin: string): Promise<Outcome | Moved> => {
        try {
          const current =
            Date.now() - loadedAt < MAX_CONFIG_AGE ? config : await reload(taskId, config.id, context);
          // A2A 1.0 §3.1.10: no further notifications once the webhook is deleted.
          if (current === undefined) return { delivered: true };
          const { url, resolve, headers, signed } = rules.check(current);
          if (url.origin !== origin) return { movedTo: url.origin };
          const signature = signed
            ? await rules.keys?.sign({ id, taskId, url, body: body.bytes })
            : undefined;
          return await deliver({
            url,
            resolve,
            body: body.bytes,
            signal,
            headers: {
              'Content-Type': body.contentType,
              'X-A2A-Notification-Id': id,
              ...headers,
              ...(signature === undefined ? {} : { Authorization: `Bearer ${signature}` }),
            },
          });
        } catch (error) {
          const refused = error instanceof WebhookRefused;
          return { delivered: false, refused, retry: !refused, detail: describe(error) };
        }
      };
      try {
        const { url } = rules.check(config);
        queue.add({
          id,
          tenant: context.tenant,
          taskId,
          configId: config.id,
          origin: url.origin,
          // Not the tenant as well: callers name any they like, and would be somebody else with each.
          caller: context.user?.userName ?? '',
          // The webhook is as large as its caller made it, and the tenant and the claims as well.
          size: body.bytes.byteLength + JSON.stringify([config, context.tenant]).length + claims,
          queuedAt: loadedAt,
          attempt,
        });
      } catch (error) {
        refuse(describe(error));
      }
    }
  }

  async function reload(taskId: string, configId: string, context: ServerCallContext) {
    return (await store.load(taskId, context)).find(({ id }) => id === configId);
  }

  return {
    async send(streamResponse, context, task) {
      const taskId = taskIdOf(streamResponse);
      if (taskId === '') return;
      const failed = (error: unknown) => {
        report({ reason: 'dropped', taskId, configId: '', origin: undefined, detail: describe(error) });
      };
      if (reading.isFull(taskId)) {
        failed(new Unreadable());
        return;
      }
      let event: Event;
      try {
        // Nobody waits for this function: by the time the store has answered, the task may be another one.
        event = structuredClone({ taskId, streamResponse, task });
      } catch (error) {
        failed(error);
        return;
      }
      const lasting = lastingContext(context);
      await reading.run(taskId, () => enqueue(event, lasting)).catch(failed);
    },
    async flush() {
      await reading.settled();
      await queue.flush();
    },
    close() {
      queue.close();
    },
  };
}

interface Event {
  readonly taskId: string;
  readonly streamResponse: StreamResponse;
  readonly task: Task | undefined;
}

class Unreadable extends Error {}

/** Messages of the store and of the codecs are not ours, and may say anything. */
function describe(error: unknown): string {
  if (error instanceof WebhookRefused) return error.message;
  if (error instanceof Unreadable) return 'the store of webhooks does not answer';
  return `an error (${error instanceof Error ? error.name : typeof error}) kept it from being sent`;
}

/**
 * What the store is asked with. A notification may wait for minutes, and must not keep the request, its headers and the
 * credentials for so long.
 */
function lastingContext(context: ServerCallContext): ServerCallContext {
  const state = new Map(context.state);
  state.delete(STATE_HEADERS_KEY);
  const user = lastingUser(context.user);
  const { tenant, requestedVersion } = context;
  return new ServerCallContext({
    state,
    requestedVersion,
    ...(user === undefined ? {} : { user }),
    ...(tenant === undefined ? {} : { tenant }),
  });
}

/** In characters of JSON. */
function sizeOfClaims(context: ServerCallContext): number {
  if (CallerUser.decisionOf(context.user) === undefined) return 0;
  try {
    return JSON.stringify([...principalsOf(context).values()]).length;
  } catch {
    // A scheme may have put anything there; 16 KiB are all the headers that a caller can send.
    return 16 * 1024;
  }
}

function taskIdOf({ payload }: StreamResponse): string {
  if (payload === undefined) return '';
  return payload.$case === 'task' ? payload.value.id : payload.value.taskId;
}

function originOf({ url }: TaskPushNotificationConfig): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

/** A store that does not remember in which version a webhook was registered gets that of the request. */
async function load(store: PushNotificationStore, taskId: string, context: ServerCallContext) {
  if (store.loadWithMetadata !== undefined) return store.loadWithMetadata(taskId, context);
  const wireVersion = context.requestedVersion || '0.3';
  return (await store.load(taskId, context)).map((config) => ({ config, wireVersion }));
}

const serializers = { '0.3': new V03PushNotificationSerializer(), '1.0': new V1PushNotificationSerializer() };

/** An event is written once for each version that somebody wants. */
function serializer({ streamResponse, task }: Event) {
  const written = new Map<string, { readonly bytes: Uint8Array; readonly contentType: string }>();
  return (wireVersion: string) => {
    const version = wireVersion === '0.3' ? '0.3' : '1.0';
    const known = written.get(version);
    if (known !== undefined) return known;
    const { body, contentType } = serializers[version].serialize(streamResponse, task);
    const fresh = { bytes: Buffer.from(body), contentType };
    written.set(version, fresh);
    return fresh;
  };
}

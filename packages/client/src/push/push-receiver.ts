import type { TaskPushNotificationConfig } from '@a2a-js/sdk';
import { LRUCache } from 'lru-cache';

import { ClientError } from '../errors.js';
import { lenient } from '../listener.js';
import { checkOptions } from '../options.js';
import { isSecure } from '../secure-url.js';
import {
  agentSignatures,
  KeysUnavailable,
  type AgentSignature,
  type TrustedAgent,
} from './agent-signature.js';
import { authenticate, bearerToken, freshCredential, TOKEN_HEADER } from './credential.js';
import { nodeMiddleware, type NodeMiddleware } from './node-middleware.js';
import { parseNotification, type PushNotification } from './notification.js';
import { readBody } from './read-body.js';
import {
  memoryPushRegistrations,
  type CredentialPlace,
  type PushRegistration,
  type PushRegistrations,
} from './registrations.js';

export interface PushNotificationReceiverOptions {
  /** The webhook, as agents are to call it: https, or http to the loopback. */
  readonly url: string | URL;
  /**
   * Called once for each notification. While it has not resolved, the agent waits; when it throws, the agent is told to
   * come again.
   */
  readonly onNotification: (notification: PushNotification) => void | Promise<void>;
  /**
   * How agents authenticate, with a fresh secret for each registration: `Bearer` and `Basic` in the Authorization header,
   * `ApiKey` in `apiKeyHeader`, `token` in X-A2A-Notification-Token. Default `Bearer`; with `agents` it is `token`.
   */
  readonly scheme?: 'Bearer' | 'Basic' | 'ApiKey' | 'token';
  /** Where the agent puts the secret of the scheme `ApiKey`. Default `X-API-Key`. */
  readonly apiKeyHeader?: string;
  /** Agents that sign. Given, every notification must be signed by one of them. Default: none has to. */
  readonly agents?: readonly TrustedAgent[];
  /**
   * Asked with every notification; a task that it does not know is refused. With `agents`, it also lets notifications in
   * whose webhook was not registered here. Default: the task of the registration is what counts.
   */
  readonly isKnownTask?: (taskId: string, issuer: string | undefined) => boolean | Promise<boolean>;
  /** Default: in memory. */
  readonly registrations?: PushRegistrations;
  /** The largest notification, in bytes. Default 1 MiB. */
  readonly maxBytes?: number;
  /** Told why a notification was refused, for the log. It is given no secret. */
  readonly onRefused?: (refusal: { readonly status: number; readonly detail: string }) => void;
}

export interface RegisterOptions {
  /** The task, where it is known. Default: the one that the first notification is about. */
  readonly taskId?: string;
  /** The agent that has to sign. Needed when there are several `agents`. */
  readonly issuer?: string;
  /** Seconds for which notifications are taken. Default 604 800, a week. */
  readonly expiresIn?: number;
}

/** A webhook to be given to one agent for one task. */
export interface PushWebhook {
  /** For `configuration.taskPushNotificationConfig` of a message, or for `createTaskPushNotificationConfig`. */
  readonly config: TaskPushNotificationConfig;
  /**
   * Ties it to a task, once that is known.
   *
   * @returns whether it is tied to this task now; false when a notification of another one came first
   */
  readonly bind: (taskId: string) => Promise<boolean>;
  /** Takes no more notifications. */
  readonly remove: () => Promise<void>;
}

export interface PushNotificationReceiver {
  /** For routers on web standards. Never rejects. */
  readonly handle: (request: Request) => Promise<Response>;
  /** For Express and `node:http`. It has to come before anything that reads the body. */
  readonly middleware: NodeMiddleware;
  /** @throws {ClientError} `INVALID_OPTION` */
  readonly register: (options?: RegisterOptions) => Promise<PushWebhook>;
}

/** Longer than an agent of this project tries to deliver one. */
const DUPLICATE_WINDOW = 15 * 60_000;
const MAX_SEEN = 100_000;

const MEDIA_TYPES = ['application/json', 'application/a2a+json'];

const places: Readonly<Record<string, CredentialPlace>> = {
  Bearer: 'bearer',
  Basic: 'basic',
  ApiKey: 'apiKey',
  token: 'token',
};

/**
 * Takes push notifications, and only those that come from an agent that was asked for them: with the secret that this agent
 * was given, signed where that was asked for, about the task they were asked for, and each once.
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export function pushNotificationReceiver(options: PushNotificationReceiverOptions): PushNotificationReceiver {
  checkOptions('pushNotificationReceiver()', options, {
    url: true,
    onNotification: true,
    scheme: true,
    apiKeyHeader: true,
    agents: true,
    isKnownTask: true,
    registrations: true,
    maxBytes: true,
    onRefused: true,
  });
  const { onNotification, isKnownTask, agents = [], maxBytes = 1024 * 1024 } = options;
  // A log that fails must not decide about notifications.
  const onRefused = lenient('onRefused', options.onRefused);
  const { registrations = memoryPushRegistrations(), apiKeyHeader = 'X-API-Key' } = options;
  const isSigned = agents.length > 0;
  const { scheme = isSigned ? 'token' : 'Bearer' } = options;
  const url = webhookUrl(options.url);
  const place = Object.hasOwn(places, scheme) ? places[scheme] : undefined;
  if (place === undefined) throw invalid('scheme must be Bearer, Basic, ApiKey or token.');
  if (isSigned && place !== 'token')
    throw invalid('with agents, the scheme is token: the Authorization header is that of the signature.');
  if (typeof onNotification !== 'function') throw invalid('onNotification must be a function.');
  if (isKnownTask !== undefined && typeof isKnownTask !== 'function')
    throw invalid('isKnownTask must be a function.');
  if (!Number.isInteger(maxBytes) || maxBytes < 1) throw invalid('maxBytes must be a number of bytes.');
  if (!/^[\w-]+$/.test(apiKeyHeader)) throw invalid('apiKeyHeader must be the name of a header.');
  const verify = agentSignatures(agents, `${url.origin}${url.pathname}`);
  /** What became of notifications, by who sent them and their id. */
  const seen = new LRUCache<string, Promise<Refusal | undefined>>({ max: MAX_SEEN, ttl: DUPLICATE_WINDOW });

  async function signatureOf(headers: Headers): Promise<AgentSignature | Refusal> {
    const token = bearerToken(headers);
    if (token === undefined) return refusal(401, 'it is not signed');
    return (await verify(token)) ?? refusal(401, 'its signature is not good');
  }

  /** Everything that can be known before the body is read. */
  async function admit(headers: Headers): Promise<Admission | Refusal> {
    const known = await authenticate(headers, { registrations, apiKeyHeader });
    if (known === undefined && !(isSigned && isKnownTask !== undefined))
      return refusal(401, 'it carries no credential that was given to an agent');
    const signature = isSigned ? await signatureOf(headers) : undefined;
    if (signature !== undefined && 'status' in signature) return signature;
    const issuer = known?.registration.issuer;
    if (issuer !== undefined && issuer !== signature?.issuer)
      return refusal(401, 'it is signed by another agent than the one that was asked');
    const id = headers.get('x-a2a-notification-id') ?? undefined;
    if (id !== undefined && (id.length > 256 || id !== (signature?.id ?? id)))
      return refusal(400, 'its id is not the one that is signed');
    return { id: signature?.id ?? id, known, signature };
  }

  async function receive(request: Request): Promise<Refusal | undefined> {
    if (request.method !== 'POST') return refusal(405, 'it is no POST');
    const { headers } = request;
    const admission = await admit(headers);
    if ('status' in admission) return admission;
    const { id, known, signature } = admission;

    const [type] = (headers.get('content-type') ?? '').split(';', 1);
    if (!MEDIA_TYPES.includes(type?.trim().toLowerCase() ?? '') || headers.has('content-encoding'))
      return refusal(415, 'it is no JSON');
    const body = await readBody(request, maxBytes);
    if (typeof body === 'number') return refusal(body, 'its body cannot be read');
    if (signature?.covers(body) === false) return refusal(401, 'its body is not the one that is signed');
    const parsed = parseNotification(body);
    if (parsed === undefined) return refusal(400, 'it is no notification about a task');
    const { taskId } = parsed;
    const issuer = signature?.issuer;
    if (signature !== undefined && signature.taskId !== taskId)
      return refusal(401, 'its task is not the one that is signed');
    const isAsked: unknown = isKnownTask === undefined || (await isKnownTask(taskId, issuer));
    // Only a task that is known otherwise may be the one that a registration is tied to.
    if (isAsked !== true || (known !== undefined && !(await registrations.bind(known.id, taskId))))
      return refusal(404, 'nobody asked for notifications of its task');
    return once(id === undefined ? undefined : JSON.stringify([known?.id ?? issuer, id]), () =>
      tell({ id, issuer, ...parsed }),
    );
  }

  /** A repetition gets the answer of the first, also while that is not known yet. */
  function once(key: string | undefined, action: () => Promise<Refusal | undefined>) {
    if (key === undefined) return action();
    const first = seen.get(key);
    if (first !== undefined) return first;
    const outcome = action();
    seen.set(key, outcome);
    void outcome.then((refused) => {
      if (refused !== undefined) seen.delete(key);
    });
    return outcome;
  }

  async function tell(notification: PushNotification): Promise<Refusal | undefined> {
    try {
      await onNotification(notification);
      return undefined;
    } catch (error) {
      process.emitWarning(`onNotification threw: ${error instanceof Error ? error.message : String(error)}`, {
        code: 'A2A_AUTH_PUSH',
      });
      return refusal(500, 'onNotification threw');
    }
  }

  const handle = async (request: Request): Promise<Response> => {
    let refused: Refusal | undefined;
    try {
      refused = await receive(request);
    } catch (error) {
      const detail =
        error instanceof KeysUnavailable
          ? 'the keys of the agent cannot be fetched'
          : 'isKnownTask or registrations threw';
      refused = refusal(503, detail);
    }
    if (refused === undefined) return new Response(null, { status: 200 });
    const { status } = refused;
    onRefused?.(refused);
    return new Response(null, { status, headers: answerHeaders(status) });
  };
  const answerHeaders = (status: number): Record<string, string> => {
    if (status === 401) return { 'www-authenticate': challenges[place] };
    if (status === 405) return { allow: 'POST' };
    return status === 503 ? { 'retry-after': '5' } : {};
  };
  const challenges: Readonly<Record<CredentialPlace, string>> = {
    bearer: 'Bearer realm="a2a-notifications"',
    basic: 'Basic realm="a2a-notifications"',
    apiKey: `ApiKey realm="a2a-notifications", in="header", name="${apiKeyHeader}"`,
    token: isSigned
      ? 'Bearer realm="a2a-notifications"'
      : `ApiKey realm="a2a-notifications", in="header", name="${TOKEN_HEADER}"`,
  };

  return {
    handle,
    middleware: nodeMiddleware(url, handle),
    async register(asked = {}) {
      checkOptions('register()', asked, { taskId: true, issuer: true, expiresIn: true });
      const { taskId, issuer, expiresIn = 604_800 } = asked;
      if (!(expiresIn > 0) || !Number.isFinite(expiresIn))
        throw invalid('expiresIn must be a positive number of seconds.');
      if (issuer === undefined ? agents.length > 1 : !agents.some((agent) => agent.issuer === issuer))
        throw invalid('issuer must be that of one of the agents.');
      const { id, digest, config } = freshCredential(place, isSigned);
      await registrations.add(id, {
        place,
        digest,
        taskId,
        issuer: issuer ?? agents[0]?.issuer,
        expiresAt: Date.now() + expiresIn * 1000,
      });
      return {
        config: { tenant: '', taskId: taskId ?? '', id, url: url.href, ...config },
        bind: async (task) => registrations.bind(id, task),
        remove: async () => {
          await registrations.remove(id);
        },
      };
    },
  };
}

interface Admission {
  readonly id: string | undefined;
  readonly known: { readonly id: string; readonly registration: PushRegistration } | undefined;
  readonly signature: AgentSignature | undefined;
}

interface Refusal {
  readonly status: number;
  readonly detail: string;
}

function refusal(status: number, detail: string): Refusal {
  return { status, detail };
}

function webhookUrl(value: string | URL): URL {
  const url = URL.canParse(String(value)) ? new URL(String(value)) : undefined;
  if (url === undefined || !isSecure(url) || url.username !== '' || url.password !== '' || url.hash !== '')
    throw invalid(
      'url must be an https URL, or an http one of the loopback, without user name, password and fragment.',
    );
  return url;
}

function invalid(message: string): ClientError {
  return new ClientError('INVALID_OPTION', `pushNotificationReceiver(): ${message}`);
}

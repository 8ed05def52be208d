import { isObject, member, text, type JsonObject } from './card/json.js';
import type { ReceivedChallenge } from './credential-source.js';
import { isScope } from './scopes.js';

/** How an agent denied a call. */
export type Denial =
  | { readonly kind: 'unauthenticated'; readonly challenges: readonly ReceivedChallenge[] }
  /** The credentials are good, but more scopes are needed. */
  | { readonly kind: 'insufficient_scope'; readonly scopes: readonly string[] }
  /** Other credentials of the same kind would change nothing. */
  | { readonly kind: 'forbidden' };

/** A task that waits for somebody to provide what the agent asks for, out of band (A2A 1.0 §7.6). */
export interface AuthRequiredTask {
  readonly taskId: string;
  readonly contextId: string;
  /** What the agent says about it, for people to read. Untrusted text. */
  readonly text: string;
  /** The task's status as it was received. */
  readonly status: Readonly<Record<string, unknown>>;
}

/** What the message operation sent, as far as it matters here. Undefined members were not sent. */
export interface SentMessage {
  readonly messageId: string | undefined;
  readonly taskId: string | undefined;
  readonly historyLength: number | undefined;
}

/** What a response says by its status alone. */
export function denialByStatus(status: number, challenges: readonly ReceivedChallenge[]): Denial | undefined {
  if (status !== 401 && status !== 403) return undefined;
  return (
    fromChallenges(challenges) ??
    (status === 401 ? { kind: 'unauthenticated', challenges } : { kind: 'forbidden' })
  );
}

function fromChallenges(challenges: readonly ReceivedChallenge[]): Denial | undefined {
  const lacking = challenges.filter(({ params }) => params.error === 'insufficient_scope');
  if (lacking.length === 0) return undefined;
  return insufficientScope(lacking.flatMap(({ params }) => (params.scope ?? '').split(' ')));
}

function insufficientScope(named: readonly unknown[]): Denial {
  const scopes = named.filter((scope) => scope !== '');
  return scopes.length <= 100 && scopes.every(isScope)
    ? { kind: 'insufficient_scope', scopes }
    : { kind: 'forbidden' };
}

/** What a JSON-RPC error that comes with HTTP 200 and challenges says: some agents deny everything but messages so. */
export function denialByError(
  response: unknown,
  challenges: readonly ReceivedChallenge[],
): Denial | undefined {
  if (challenges.length === 0 || !isObject(response) || !isObject(response.error)) return undefined;
  return fromChallenges(challenges) ?? { kind: 'unauthenticated', challenges };
}

/**
 * Tells a denial from a task of the agent that waits for a credential in its midst.
 *
 * A denied message changed nothing, so it may be sent again; a task in its midst was worked on, so it must not. It is a
 * denial when the task carries no artifacts and no history but the message itself, and one of these says so:
 *
 * - The response has a WWW-Authenticate field.
 * - The status message has the data part of a denial (`reason` and `alternatives`), the task is not the one that the
 *   message named, and it has no history, although the message did not ask to leave that out. (A task in its midst may
 *   pass on the denial that its agent got from another.)
 * - Nothing else, as with agents that do neither: the message named no task, there is likewise no history, and as an event
 *   it is a task, or final.
 *
 * @param payload the answer to a message operation, or the first event of its stream
 * @returns a denial, a task in its midst, or undefined when it is neither
 */
export function classify(
  payload: unknown,
  sent: SentMessage | undefined,
  challenges: readonly ReceivedChallenge[],
): { readonly denial: Denial } | { readonly task: AuthRequiredTask } | undefined {
  const found = findAuthRequired(payload);
  if (found === undefined) return undefined;
  const { task, fields, status, isUpdate } = found;
  const data = denialData(status);
  const history = list(member(fields, 'history'));
  const untouched =
    list(member(fields, 'artifacts')).length === 0 && history.every((entry) => isSent(entry, sent));
  if (sent === undefined || !untouched) return { task };
  const hasNoPast = history.length === 0 && sent.historyLength !== 0 && task.taskId !== sent.taskId;
  const isNew = sent.taskId === undefined && (!isUpdate || member(fields, 'final') === true);
  const isDenial = challenges.length > 0 || (hasNoPast && (data !== undefined || isNew));
  return isDenial ? { denial: denialOf(data, challenges) } : { task };
}

/**
 * Whether an event of a stream says of itself that nothing follows: a status-update of 0.3 that is final, or a denial with
 * the data of one.
 */
export function isLastEvent(payload: unknown, isDenial: boolean): boolean {
  const found = findAuthRequired(payload);
  if (found === undefined) return false;
  return member(found.fields, 'final') === true || (isDenial && denialData(found.status) !== undefined);
}

function denialOf(data: JsonObject | undefined, challenges: readonly ReceivedChallenge[]): Denial {
  const reason = data === undefined ? undefined : text(data, 'reason');
  if (reason === 'not_permitted') return { kind: 'forbidden' };
  const scopes = data === undefined ? [] : list(member(data, 'missingScopes'));
  if (reason === 'insufficient_scope') return insufficientScope(scopes);
  return fromChallenges(challenges) ?? { kind: 'unauthenticated', challenges };
}

function isSent(entry: unknown, sent: SentMessage | undefined): boolean {
  return (
    isObject(entry) &&
    sent?.messageId !== undefined &&
    text(entry, 'messageId', 'message_id') === sent.messageId
  );
}

/** A task or a status update in auth-required, in the JSON of any binding and version. */
function findAuthRequired(payload: unknown):
  | {
      readonly task: AuthRequiredTask;
      readonly fields: JsonObject;
      readonly status: JsonObject;
      readonly isUpdate: boolean;
    }
  | undefined {
  if (!isObject(payload)) return undefined;
  const update = member(payload, 'statusUpdate', 'status_update');
  const fields = member(payload, 'task') ?? update ?? payload;
  if (!isObject(fields)) return undefined;
  const status = member(fields, 'status');
  if (!isObject(status) || !isAuthRequired(member(status, 'state'))) return undefined;
  const isUpdate = fields === update || text(fields, 'kind') === 'status-update';
  const task = {
    taskId: (isUpdate ? text(fields, 'taskId', 'task_id') : text(fields, 'id')) ?? '',
    contextId: text(fields, 'contextId', 'context_id') ?? '',
    text: partsOf(status)
      .map((part) => text(part, 'text') ?? '')
      .join(''),
    status,
  };
  return { task, fields, status, isUpdate };
}

function isAuthRequired(state: unknown): boolean {
  return state === 'auth-required' || state === 'TASK_STATE_AUTH_REQUIRED';
}

/** Whether a text can hold such a task at all: cheaper than to parse it. */
export function mayHoldAuthRequired(json: string): boolean {
  return json.includes('AUTH_REQUIRED') || json.includes('auth-required');
}

function partsOf(status: JsonObject): readonly JsonObject[] {
  const message = member(status, 'message');
  return isObject(message) ? list(member(message, 'parts', 'content')).filter(isObject) : [];
}

/** The data part by which a program recognises a denial of `@a2a-auth/server`. */
function denialData(status: JsonObject): JsonObject | undefined {
  for (const part of partsOf(status)) {
    const value = member(part, 'data');
    // HTTP+JSON 0.3 has one object more around it.
    const data = isObject(value) && isObject(value.data) ? value.data : value;
    if (isObject(data) && typeof data.reason === 'string' && Array.isArray(data.alternatives)) return data;
  }
  return undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

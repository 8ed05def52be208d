import { StreamResponse } from '@a2a-js/sdk';
import { legacyPushNotificationToV1StreamResponse } from '@a2a-js/sdk/compat/v0_3';

/** What an agent has to say about a task. */
export interface PushNotification {
  /** The same when the agent says it again. Undefined with agents that number nothing: those may repeat themselves. */
  readonly id: string | undefined;
  readonly taskId: string;
  /** The agent that signed. Undefined where nothing is signed. */
  readonly issuer: string | undefined;
  /** The version in which it came. */
  readonly protocolVersion: '1.0' | '0.3';
  /** The event in the form of 1.0, whatever the version. */
  readonly event: StreamResponse;
}

export type ParsedNotification = Pick<PushNotification, 'taskId' | 'protocolVersion' | 'event'>;

const KINDS = ['task', 'message', 'statusUpdate', 'artifactUpdate'];

/** Whoever walks over a notification may do so by recursion. */
const MAX_DEPTH = 64;

/**
 * Reads the `StreamResponse` of 1.0, and the bare task, message or event of 0.3.
 *
 * @returns undefined when it is neither, or of no task
 */
export function parseNotification(body: Uint8Array): ParsedNotification | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    if (typeof json !== 'object' || json === null || isDeep(json)) return undefined;
    const isLegacy = 'kind' in json;
    if (!isLegacy && KINDS.filter((kind) => kind in json).length !== 1) return undefined;
    const event = isLegacy ? legacyPushNotificationToV1StreamResponse(json) : StreamResponse.fromJSON(json);
    const { payload } = event;
    const taskId = payload?.$case === 'task' ? payload.value.id : payload?.value.taskId;
    if (taskId === undefined || taskId === '') return undefined;
    return { taskId, protocolVersion: isLegacy ? '0.3' : '1.0', event };
  } catch {
    return undefined;
  }
}

function isDeep(json: object): boolean {
  let level: unknown[] = [json];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true;
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? (Object.values(value) as unknown[]) : [],
    );
  }
  return false;
}

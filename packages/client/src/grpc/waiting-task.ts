import { isObject, member, type JsonObject } from '../card/json.js';

/** `TASK_STATE_AUTH_REQUIRED`, in the protocol buffers of 1.0 and of 0.3. */
const authRequired = 8;

/**
 * The task or status-update in auth-required that a response has, in the JSON that A2A 1.0 has for it.
 *
 * @param response a `SendMessageResponse` or `StreamResponse` of 1.0 or 0.3, as the SDK decodes it
 * @returns undefined for every other response
 */
export function waitingTask(response: unknown): JsonObject | undefined {
  const payload = isObject(response) ? unfold(response.payload) : {};
  const [[kind, value] = []] = Object.entries(payload);
  if (kind === undefined || !isObject(value) || !isObject(value.status)) return undefined;
  const { state, timestamp } = value.status;
  if (state !== authRequired) return undefined;
  const message = member(value.status, 'message', 'update');
  return {
    [kind]: {
      ...value,
      status: {
        state: 'TASK_STATE_AUTH_REQUIRED',
        ...(timestamp === undefined ? {} : { timestamp }),
        ...(isObject(message) ? { message: { ...message, parts: partsOf(message) } } : {}),
      },
    },
  };
}

function partsOf(message: JsonObject): readonly JsonObject[] {
  const parts = member(message, 'parts', 'content');
  return Array.isArray(parts)
    ? parts.filter(isObject).map((part) => unfold(member(part, 'content', 'part')))
    : [];
}

/** What one of several fields holds. */
function unfold(oneof: unknown): JsonObject {
  return isObject(oneof) && typeof oneof.$case === 'string' ? { [oneof.$case]: oneof.value } : {};
}

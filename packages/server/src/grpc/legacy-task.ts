import type { Part, Task } from '@a2a-js/sdk';

/** In a2a.proto of 0.3. */
const TASK_STATE_AUTH_REQUIRED = 8;
const ROLE_AGENT = 2;

/** An auth-required task as the response of 0.3 to SendMessage, in the form that the SDK's encoder takes. */
export function legacyMessageResponse(task: Task) {
  const { id, contextId } = task;
  const value = {
    id,
    contextId,
    status: legacyStatus(task),
    artifacts: [],
    history: [],
    metadata: undefined,
  };
  return { payload: { $case: 'task', value } };
}

/** The same as an event of 0.3, where only a status-update can say that it is the last (`final`). */
export function legacyLastEvent(task: Task) {
  const { id: taskId, contextId } = task;
  const value = { taskId, contextId, status: legacyStatus(task), final: true, metadata: undefined };
  return { payload: { $case: 'statusUpdate', value } };
}

function legacyStatus({ id: taskId, contextId, status }: Task) {
  return {
    state: TASK_STATE_AUTH_REQUIRED,
    timestamp: status?.timestamp,
    update: {
      messageId: status?.message?.messageId ?? '',
      taskId,
      contextId,
      role: ROLE_AGENT,
      content: (status?.message?.parts ?? []).map(legacyPart),
      metadata: undefined,
      extensions: [],
    },
  };
}

function legacyPart({ content }: Part) {
  return content?.$case === 'data'
    ? { part: { $case: 'data', value: { data: content.value as unknown } } }
    : { part: { $case: 'text', value: content?.value } };
}

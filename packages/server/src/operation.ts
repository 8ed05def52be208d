/** What a caller wants: the operations of the A2A specification (§5.3), by the names they have in every binding. */
export type Operation =
  | 'SendMessage'
  | 'SendStreamingMessage'
  | 'GetTask'
  | 'ListTasks'
  | 'CancelTask'
  | 'SubscribeToTask'
  | 'CreateTaskPushNotificationConfig'
  | 'GetTaskPushNotificationConfig'
  | 'ListTaskPushNotificationConfigs'
  | 'DeleteTaskPushNotificationConfig'
  | 'GetExtendedAgentCard'
  /** A method or path that the specification does not know; denied like any other. */
  | 'unknown';

/** Whether a denied caller of this operation gets an auth-required task instead of an error. */
export function isMessageOperation(
  operation: Operation,
): operation is 'SendMessage' | 'SendStreamingMessage' {
  return operation === 'SendMessage' || operation === 'SendStreamingMessage';
}

import { tell } from '../listener.js';

/** A notification that a webhook will not get. It holds no secrets. */
export interface PushFailure {
  /**
   * `refused`: the webhook must not be called. `failed`: it was, and did not take it. `dropped`: there was no room for more,
   * or the sender was closed.
   */
  readonly reason: 'refused' | 'failed' | 'dropped';
  readonly taskId: string;
  readonly configId: string;
  /** Of the webhook, where its URL can be read. The rest of the URL is left out: with many webhooks it is a secret. */
  readonly origin: string | undefined;
  /** For the log. */
  readonly detail: string;
}

export type PushFailureListener = (failure: PushFailure) => void;

/** Milliseconds between two warnings: it is callers who can cause them. */
const WARNING_INTERVAL = 60_000;

/** Tells the listener; without one, the process warns, now and then. */
export function failureReport(listener: PushFailureListener | undefined): PushFailureListener {
  let warnedAt = -Infinity;
  let untold = 0;
  return (failure) => {
    if (listener !== undefined) {
      tell(listener, failure, { option: 'onFailure', code: 'A2A_AUTH_PUSH' });
      return;
    }
    if (Date.now() - warnedAt < WARNING_INTERVAL) {
      untold += 1;
      return;
    }
    const more = untold === 0 ? '' : ` ${untold} more were not told; see onFailure.`;
    warnedAt = Date.now();
    untold = 0;
    const { reason, taskId, origin = 'a webhook', detail } = failure;
    warn(
      `A notification of the task ${JSON.stringify(taskId)} to ${origin} was ${told[reason]}: ${detail}.${more}`,
    );
  };
}

const told = { refused: 'not sent', failed: 'not delivered', dropped: 'dropped' };

function warn(message: string): void {
  process.emitWarning(message, { code: 'A2A_AUTH_PUSH' });
}

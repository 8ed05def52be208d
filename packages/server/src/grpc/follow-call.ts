import type { StreamResponse } from '@a2a-js/sdk';
import type { A2ARequestHandler, User } from '@a2a-js/sdk/server';

import { follow, hasLeft } from './caller.js';

/**
 * Ends what is done for callers who left. The SDK would go on writing their events into memory.
 *
 * A subscription ends. A message's task goes on: its caller may come back for it, and the SDK stores its events only
 * while somebody reads them. To stop a task is what CancelTask is for.
 */
export function followCall(handler: A2ARequestHandler): A2ARequestHandler {
  return {
    ...handler,
    async *sendMessageStream(params, context) {
      for await (const event of handler.sendMessageStream(params, context)) {
        if (!hasLeft(context.user)) yield event;
      }
    },
    resubscribe(params, context) {
      follow(context.user);
      return untilLeft(handler.resubscribe(params, context), context.user);
    },
  };
}

async function* untilLeft(
  stream: AsyncIterable<StreamResponse>,
  user: User | undefined,
): AsyncGenerator<StreamResponse, void, undefined> {
  for await (const event of stream) {
    if (hasLeft(user)) return;
    yield event;
  }
}

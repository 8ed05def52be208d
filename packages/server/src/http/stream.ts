import { formatSSEErrorEvent, formatSSEEvent } from '@a2a-js/sdk';
import type { User } from '@a2a-js/sdk/server';

import { CallerUser } from '../caller.js';
import { SSE_RESPONSE_HEADERS, type HttpResponse } from './response.js';

/** A response whose body comes in pieces. */
export interface HttpStream extends Omit<HttpResponse, 'body'> {
  readonly body: AsyncIterable<string>;
  /** Ends the work behind the body, also when nothing of it was read. */
  readonly end: () => Promise<unknown>;
}

/** How events and errors are written, and what headers go with them. */
export interface EventForm<Event> {
  readonly jsonOf: (event: Event) => unknown;
  readonly errorOf: (error: unknown) => unknown;
  readonly headers: HttpResponse['headers'];
}

/**
 * Server-sent events of what the agent yields. An error becomes the last event.
 *
 * @param user whose they are
 * @param first what was taken from the events already
 */
export function eventStream<Event>(
  events: AsyncGenerator<Event, void, undefined>,
  { jsonOf, errorOf, headers }: EventForm<Event>,
  user: User,
  first?: IteratorResult<Event, void>,
): HttpStream {
  let ended: Promise<unknown> | undefined;
  const end = () => {
    // Else what is told to end would wait for the next event before it does.
    CallerUser.leave(user);
    return (ended ??= events.return());
  };
  async function* write(): AsyncGenerator<string, void, undefined> {
    try {
      for (let next = first ?? (await events.next()); next.done !== true; next = await events.next()) {
        yield formatSSEEvent(jsonOf(next.value));
      }
    } catch (error) {
      yield formatSSEErrorEvent(errorOf(error));
    } finally {
      await end();
    }
  }
  return { status: 200, headers: { ...SSE_RESPONSE_HEADERS, ...headers }, body: write(), end };
}

import type { RequestHeaders, ServerCallContext, User } from '@a2a-js/sdk/server';

import type { Operation } from '../operation.js';

/** None of A2A's parameters is there more than once. */
export type HttpJsonQuery = Readonly<Record<string, unknown>>;

/** An HTTP+JSON request whose path is understood, with the parts of it decoded. */
export interface HttpJsonCommand {
  readonly operation: Exclude<Operation, 'unknown'>;
  /** Empty when the path has none. */
  readonly taskId: string;
  /** Empty when the path has none. */
  readonly configId: string;
  /** That of the path. */
  readonly tenant: string | undefined;
  readonly query: HttpJsonQuery;
  readonly body: Readonly<Record<string, unknown>>;
  /** By lower-case name. */
  readonly headers: RequestHeaders;
  readonly user: User;
}

/** What an operation answers with: a status and JSON or nothing, or events. */
export type HttpJsonResult<Event> =
  | { readonly status: number; readonly json?: unknown }
  | { readonly events: AsyncGenerator<Event, void, undefined> };

/** One version of HTTP+JSON. */
export interface HttpJsonDialect<Event> {
  readonly contentType: string;
  /** The names of the header with the extensions, in lower case: the first that is there is read, the first is written. */
  readonly extensionHeaders: readonly [string, ...string[]];
  run(command: HttpJsonCommand, context: ServerCallContext): Promise<HttpJsonResult<Event>>;
  /** @throws when the event cannot be written */
  jsonOf(event: Event): unknown;
  errorOf(error: unknown): { readonly status: number; readonly json: unknown };
}

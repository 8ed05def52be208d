import type { AuthRequest } from '../auth-request.js';
import { DEFAULT_BODY_LIMIT, type ParsedBody } from '../http/body.js';
import type { HttpBinding } from '../http/call.js';
import type { IncomingCall } from '../http/gate.js';
import type { HttpJsonQuery } from '../http/http-json-dialect.js';
import { queryOf } from '../http/query.js';
import { FetchAuthRequest, type CallerConnection } from './auth-request.js';
import { readBody } from './body-reader.js';

interface FetchCallOptions {
  readonly binding: HttpBinding;
  /** Below the URL of the interface, still encoded. */
  readonly path: string;
  readonly bodyLimit: number;
  readonly connection: (request: Request) => CallerConnection;
}

/** A web-standard request as the gate sees it. */
export class FetchCall implements IncomingCall {
  readonly auth: AuthRequest;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly #request: Request;
  readonly #options: FetchCallOptions;
  #query: HttpJsonQuery | undefined;

  constructor(request: Request, options: FetchCallOptions) {
    this.auth = new FetchAuthRequest(request, options.connection);
    this.method = request.method;
    this.path = options.path;
    this.headers = Object.fromEntries(request.headers);
    this.#request = request;
    this.#options = options;
  }

  get query(): HttpJsonQuery {
    return (this.#query ??= queryOf(this.#request.url));
  }

  readBody(granted: boolean): Promise<ParsedBody> {
    const { binding, bodyLimit } = this.#options;
    const limit = granted ? bodyLimit : Math.min(bodyLimit, DEFAULT_BODY_LIMIT);
    return readBody(this.#request, binding, limit);
  }
}

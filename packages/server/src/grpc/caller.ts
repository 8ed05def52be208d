import { UnauthenticatedUser, type User } from '@a2a-js/sdk/server';
import type { ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';

import { CallerUser } from '../caller.js';
import type { Granted } from '../decision.js';

/** The calls that A2A has: one request, and one response or a stream of them. */
export type Call = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

/** On the call itself, because a WeakMap with an entry for each call is a burden on the garbage collector. */
const grantKey = Symbol('grant');

interface MaybeGranted {
  [grantKey]?: Granted;
}

/** Leaves a grant on a call, for {@link userBuilder}. */
export function admit(call: Call, granted: Granted): void {
  (call as MaybeGranted)[grantKey] = granted;
}

/** The SDK's `userBuilder`: the caller who was let in. Whoever was not is nobody. */
export function userBuilder(call: Call): Promise<User> {
  const granted = (call as MaybeGranted)[grantKey];
  return Promise.resolve(granted === undefined ? new UnauthenticatedUser() : new GrpcCaller(granted, call));
}

/** A caller on the line: the SDK hands on the user alone, and the call may end before its work does. */
class GrpcCaller extends CallerUser {
  readonly #call: Call;

  constructor(granted: Granted, call: Call) {
    super(granted);
    this.#call = call;
  }

  static readonly hasLeft = (user: User | undefined): boolean =>
    user !== undefined && #call in user && user.#call.cancelled;

  /** Has the end of the call told to whatever is done for it. */
  static readonly follow = (user: User | undefined): void => {
    if (user === undefined || !(#call in user)) return;
    user.#call.once('cancelled', () => {
      CallerUser.leave(user);
    });
  };
}

/** Whether a caller's gRPC call was cancelled, or ran into its deadline. */
export const { hasLeft, follow } = GrpcCaller;

import type { TransportFactory } from '@a2a-js/sdk/client';

import type { AuthenticatingFetchOptions } from './authenticating-fetch.js';
import type { ClientError } from './errors.js';
import type { AuthenticationPlan } from './plan.js';

/** A binding that is spoken besides JSON-RPC and HTTP+JSON, such as `grpcTransport()`. */
export interface ClientTransport {
  /** The `protocolBinding` of its interfaces, in upper case. */
  readonly binding: string;
  open(session: TransportSession): OpenTransport;
}

/** What is known of an agent when its transports are made. */
export interface TransportSession extends Pick<
  AuthenticatingFetchOptions,
  'onAuthRequired' | 'policy' | 'resource' | 'url'
> {
  readonly plan: AuthenticationPlan;
}

/** A transport for one agent. */
export interface OpenTransport {
  /** Why an interface at this address, as the card writes it, cannot be called; undefined when it can. */
  refusal(address: string): ClientError | undefined;
  /** Makes the SDK's transports, for addresses that were not refused. */
  readonly factory: TransportFactory;
}

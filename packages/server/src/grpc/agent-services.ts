import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';

import { assertSecurity, type AgentSecurity } from '../agent-security.js';
import { contextBuilder } from '../http/context-builder.js';
import { checkOptions } from '../options.js';
import { userBuilder } from './caller.js';
import { followCall } from './follow-call.js';
import { guardService } from './gate.js';
import { currentProtocol, legacyProtocol } from './protocol.js';
import { assertReachable } from './reachable.js';

export interface AgentServicesOptions {
  readonly security: AgentSecurity<string>;
  /** The SDK's request handler; it is protected here. */
  readonly requestHandler: A2ARequestHandler;
}

/** What `server.addService(definition, implementation)` takes. */
export interface AgentService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/**
 * An agent over gRPC: the services of protocol 1.0 and 0.3, both behind the same security. Which versions are answered is
 * what the `GRPC` entries of the card's `supportedInterfaces` say.
 *
 * ```ts
 * for (const { definition, implementation } of agentServices({ security, requestHandler })) {
 *   server.addService(definition, implementation);
 * }
 * ```
 *
 * @throws {ConfigurationError} when the security is configured wrongly; `UNREACHABLE_SCHEME` when every alternative needs a
 *   credential that a gRPC call has no place for
 */
export function agentServices(options: AgentServicesOptions): readonly AgentService[] {
  checkOptions('agentServices()', options, { security: 'any', requestHandler: 'any' });
  const { security, requestHandler } = options;
  assertSecurity('agentServices()', security);
  assertReachable(security.published);
  const guarded = security.protect(requestHandler);
  const sdkOptions = {
    requestHandler: followCall(guarded),
    userBuilder,
    contextBuilder: contextBuilder(security),
  };
  return [currentProtocol, legacyProtocol].map((protocol) => ({
    definition: protocol.definition,
    implementation: guardService(protocol, protocol.serve(sdkOptions), { security, requestHandler: guarded }),
  }));
}

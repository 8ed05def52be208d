import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import {
  status,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

import type { AgentSecurity } from '../agent-security.js';
import type { Operation } from '../operation.js';
import { agentCardUrl } from '../protect.js';
import { toAuthRequest } from './auth-request.js';
import { admit, type Call } from './caller.js';
import { grpcDenial, type GrpcDenial } from './denial.js';
import type { Protocol } from './protocol.js';

export interface GateOptions {
  readonly security: AgentSecurity<string>;
  /** What `security.protect()` returned. */
  readonly requestHandler: A2ARequestHandler;
}

/** What became of the gate itself is for the log of whoever runs the agent, and not for the caller. */
const internalError = { code: status.INTERNAL, details: 'Internal server error' };

/**
 * A service with the gate before each of its methods. Methods that a later SDK may add to the service are left out, and
 * so answered with UNIMPLEMENTED.
 */
export function guardService(
  protocol: Protocol,
  service: UntypedServiceImplementation,
  { security, requestHandler }: GateOptions,
): UntypedServiceImplementation {
  /** Undefined when the call may go on to the SDK. */
  async function pass(call: Call, operation: Operation): Promise<GrpcDenial | undefined> {
    const provisional = await security.authenticate(toAuthRequest(call));
    const decision = await security.conclude(provisional, { operation, binding: 'GRPC' });
    if (decision.granted) {
      admit(call, decision);
      return undefined;
    }
    return grpcDenial(decision, operation, {
      contextId: protocol.contextIdOf(call.request),
      denials: security.denials,
      agentCardUrl: agentCardUrl(security, await requestHandler.getAgentCard()),
    });
  }

  function unary(
    operation: Operation,
    next: handleUnaryCall<unknown, unknown>,
  ): handleUnaryCall<unknown, unknown> {
    return (call, callback) => {
      pass(call, operation)
        .then((denial) => {
          // Nobody waits any more for what has not begun.
          if (call.cancelled) return;
          if (denial === undefined) next(call, callback);
          else if ('error' in denial) callback(denial.error);
          else callback(null, protocol.messageResponse(denial.task), denial.trailers);
        })
        .catch(() => {
          callback(internalError);
        });
    };
  }

  function streaming(
    operation: Operation,
    next: handleServerStreamingCall<unknown, unknown>,
  ): handleServerStreamingCall<unknown, unknown> {
    return (call) => {
      pass(call, operation)
        .then((denial) => {
          if (call.cancelled) return;
          if (denial === undefined) {
            next(call);
          } else if ('error' in denial) {
            call.emit('error', denial.error);
          } else {
            call.write(protocol.lastEvent(denial.task));
            call.end(denial.trailers);
          }
        })
        .catch(() => {
          call.emit('error', internalError);
        });
    };
  }

  const guarded = Object.entries(protocol.operations).map(([name, operation]) => {
    const next = service[name];
    return [
      name,
      protocol.definition[name]?.responseStream === true
        ? streaming(operation, next as handleServerStreamingCall<unknown, unknown>)
        : unary(operation, next as handleUnaryCall<unknown, unknown>),
    ] as const;
  });
  return Object.fromEntries(guarded);
}

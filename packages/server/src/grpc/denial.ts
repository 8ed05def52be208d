import type { Task } from '@a2a-js/sdk';
import { GRPC_STATUS_DETAILS_BIN } from '@a2a-js/sdk/errors/grpc';
import { Metadata, status } from '@grpc/grpc-js';

import { authRequiredTask, denialSentence } from '../auth-required-task.js';
import { renderChallenge } from '../challenge.js';
import { denialStatuses, type Denied } from '../decision.js';
import { denialInfo, type Presentation } from '../http/response.js';
import { isMessageOperation, type Operation } from '../operation.js';
import { encodeStatus } from './rpc-status.js';

/** What a denied call ends with. */
export type GrpcDenial =
  | { readonly task: Task; readonly trailers: Metadata }
  | { readonly error: { readonly code: status; readonly details: string; readonly metadata: Metadata } };

/**
 * Presents a denial over gRPC: messages get an auth-required task with the status OK, everything else its status. A
 * caller who may simply try again later is told so by the status in every case.
 *
 * @param presentation with the context that the caller's message belongs to, when it says so
 */
export function grpcDenial(
  denied: Denied,
  operation: Operation,
  presentation: Presentation & { readonly contextId: string | undefined },
): GrpcDenial {
  const { agentCardUrl, contextId, denials } = presentation;
  const trailers = challengeTrailers(denied);
  if (denied.retryAfter === undefined && isMessageOperation(operation) && denials.messages === 'task') {
    return { task: authRequiredTask(denied, { contextId, agentCardUrl }), trailers };
  }
  const code = status[denialStatuses[denied.reason].code as keyof typeof status];
  const details = denialSentence(denied);
  trailers.set(
    GRPC_STATUS_DETAILS_BIN,
    encodeStatus({
      code,
      message: details,
      info: denialInfo(denied, agentCardUrl),
      retryAfter: denied.retryAfter,
    }),
  );
  return { error: { code, details, metadata: trailers } };
}

/** The challenges, each a `www-authenticate` of its own, and the fields that go with them. */
function challengeTrailers({ challenges }: Denied): Metadata {
  const trailers = new Metadata();
  for (const challenge of challenges) {
    trailers.add('www-authenticate', renderChallenge(challenge));
    for (const [name, value] of Object.entries(challenge.headers ?? {})) {
      // Of the names that a header field may have, metadata takes only these, and `-bin` announces bytes.
      if (/^[0-9a-z_.-]+$/i.test(name) && !/-bin$/i.test(name)) trailers.set(name, value);
    }
  }
  return trailers;
}

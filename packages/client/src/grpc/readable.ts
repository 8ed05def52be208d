import { fromGrpcError, GRPC_STATUS_DETAILS_BIN } from '@a2a-js/sdk/errors/grpc';
import type { ServiceError, StatusObject } from '@grpc/grpc-js';

import { isObject } from '../card/json.js';

// The SDK reads responses in a callback. What it throws there nobody can catch, so that an agent could end the process.

/** Whether the SDK can read a response that was decoded. */
export function isReadable(path: string, message: unknown): boolean {
  return !path.endsWith('/SendMessage') || (isObject(message) && isObject(message.payload));
}

/** A status without those details that the SDK cannot read. */
export function readableStatus(status: StatusObject): StatusObject {
  if (status.metadata.get(GRPC_STATUS_DETAILS_BIN).length === 0) return status;
  try {
    // It fails at bytes that are no details, and at a reason that is the name of what every object has.
    fromGrpcError(status as ServiceError);
    return status;
  } catch {
    const metadata = status.metadata.clone();
    metadata.remove(GRPC_STATUS_DETAILS_BIN);
    return { ...status, metadata };
  }
}

import { Buffer } from 'node:buffer';

import { ERROR_INFO_TYPE } from '@a2a-js/sdk/errors';
import { decodeErrorInfo, decodeStatus, GRPC_STATUS_DETAILS_BIN } from '@a2a-js/sdk/errors/grpc';
import type { StatusObject } from '@grpc/grpc-js';

import { isObject } from '../card/json.js';

// The SDK reads responses in a callback. What it throws there nobody can catch, so that an agent could end the process.

/** Whether the SDK can read a response that was decoded. */
export function isReadable(path: string, message: unknown): boolean {
  return !path.endsWith('/SendMessage') || (isObject(message) && isObject(message.payload));
}

/** A status without those details that the SDK cannot read. */
export function readableStatus(status: StatusObject): StatusObject {
  try {
    for (const details of status.metadata.get(GRPC_STATUS_DETAILS_BIN)) {
      for (const { typeUrl, value } of decodeStatus(Buffer.from(details)).details) {
        if (typeUrl === ERROR_INFO_TYPE) decodeErrorInfo(value);
      }
    }
    return status;
  } catch {
    const metadata = status.metadata.clone();
    metadata.remove(GRPC_STATUS_DETAILS_BIN);
    return { ...status, metadata };
  }
}

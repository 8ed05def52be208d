import { decodeErrorInfo, decodeStatus } from '@a2a-js/sdk/errors/grpc';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { expect, it } from 'vitest';

import { encodeStatus } from '../../src/grpc/rpc-status.js';

const info = { reason: 'R', domain: 'a2a-auth', metadata: {} };

/** The seconds of the Duration in a RetryInfo. */
function secondsOf(retryInfo: Uint8Array): bigint {
  const reader = new BinaryReader(retryInfo);
  expect(reader.uint32()).toBe(0x0a);
  const duration = new BinaryReader(reader.bytes());
  expect(reader.pos).toBe(reader.len);
  expect(duration.uint32()).toBe(0x08);
  const seconds = BigInt(duration.int64());
  expect(duration.pos).toBe(duration.len);
  return seconds;
}

it('is what the SDK reads back, whatever is in it', () => {
  fc.assert(
    fc.property(
      fc.record({
        code: fc.integer({ min: 1, max: 16 }),
        message: fc.string({ minLength: 1, maxLength: 400, unit: 'grapheme' }),
        info: fc.record({
          reason: fc.string({ minLength: 1, maxLength: 200 }),
          domain: fc.string({ minLength: 1 }),
          metadata: fc.dictionary(fc.stringMatching(/^[a-zA-Z]{1,9}$/), fc.string({ maxLength: 200 }), {
            noNullPrototype: true,
          }),
        }),
      }),
      (told) => {
        const { code, message, details } = decodeStatus(encodeStatus({ ...told, retryAfter: undefined }));
        expect({ code, message }).toEqual({ code: told.code, message: told.message });
        expect(details.map(({ typeUrl }) => typeUrl)).toEqual(['type.googleapis.com/google.rpc.ErrorInfo']);
        const [detail] = details;
        expect(decodeErrorInfo(detail?.value ?? Buffer.alloc(0))).toEqual(told.info);
      },
    ),
  );
});

it.each([
  [1, 1n],
  [1.5, 2n],
  [127, 127n],
  [128, 128n],
  [86_400, 86_400n],
  [2 ** 32, 2n ** 32n],
  [1e300, 315_576_000_000n],
])('has %d seconds to wait as a RetryInfo of whole ones', (retryAfter, seconds) => {
  const { details } = decodeStatus(encodeStatus({ code: 14, message: 'm', info, retryAfter }));
  expect(details[1]?.typeUrl).toBe('type.googleapis.com/google.rpc.RetryInfo');
  expect(secondsOf(details[1]?.value ?? Buffer.alloc(0))).toBe(seconds);
});

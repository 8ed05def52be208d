import { createHmac, hash } from 'node:crypto';

import { configurationError } from '../errors.js';

/**
 * Makes the digest of a key.
 *
 * @throws {RangeError} when it is longer than {@link MAX_KEY_LENGTH}
 */
export type DigestOfKey = (key: string) => string;

/** Longer than any sensible key, short enough to hash without thought. */
export const MAX_KEY_LENGTH = 4096;
export const MIN_SECRET_BYTES = 32;
/** What SHA-256 takes at a time (RFC 2104 calls it B). */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/**
 * The digest under which a key is stored and found: HMAC-SHA-256 as lower-case hex.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when the secret is shorter than 32 bytes
 */
export function apiKeyDigest(key: string, secret: string | Uint8Array): string {
  return createHmac('sha256', secretBytes(secret)).update(key).digest('hex');
}

/**
 * The same as {@link apiKeyDigest}, for one secret and many keys: HMAC as RFC 2104 §2 builds it, of one-shot hashes. To
 * set up an HMAC object for each key takes `node:crypto` longer than all the rest of a decision.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when the secret is shorter than 32 bytes
 */
export function digestUnder(secret: string | Uint8Array): DigestOfKey {
  const given = secretBytes(secret);
  const block = Buffer.alloc(BLOCK_BYTES);
  block.set(given.length > BLOCK_BYTES ? hash('sha256', given, 'buffer') : given);
  // UTF-8 has at most three bytes for what a string counts as one.
  const inner = new Uint8Array(BLOCK_BYTES + 3 * MAX_KEY_LENGTH);
  inner.set(block.map((byte) => byte ^ 0x36));
  const innerText = Buffer.from(inner.buffer);
  const outer = new Uint8Array(BLOCK_BYTES + DIGEST_BYTES);
  outer.set(block.map((byte) => byte ^ 0x5c));
  // Most keys are as long as the one before, and to make a view takes a tenth of the whole.
  let message = inner;
  return (key) => {
    if (key.length > MAX_KEY_LENGTH) throw new RangeError('The key is too long.');
    const end = BLOCK_BYTES + innerText.write(key, BLOCK_BYTES);
    if (message.length !== end) message = inner.subarray(0, end);
    const digest = hash('sha256', message, 'binary');
    inner.fill(0, BLOCK_BYTES, end);
    for (let index = 0; index < DIGEST_BYTES; index++) outer[BLOCK_BYTES + index] = digest.charCodeAt(index);
    return hash('sha256', outer, 'hex');
  };
}

function secretBytes(secret: string | Uint8Array): Uint8Array {
  const bytes: unknown = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret;
  if (!(bytes instanceof Uint8Array) || bytes.byteLength < MIN_SECRET_BYTES) {
    throw configurationError(
      'INVALID_OPTION',
      `The secret under which API keys are hashed must be at least ${String(MIN_SECRET_BYTES)} random bytes.`,
    );
  }
  return bytes;
}

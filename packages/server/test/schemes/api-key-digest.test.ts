import { createHmac } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { apiKeyDigest, digestUnder, MAX_KEY_LENGTH } from '../../src/schemes/api-key-digest.js';

const SECRET = 'a server secret of more than 32 bytes';

const secrets = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 200 }),
  fc.string({ unit: 'grapheme', minLength: 32, maxLength: 100 }),
);
const keys = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.constantFrom('k'.repeat(MAX_KEY_LENGTH), '\u{ffff}'.repeat(MAX_KEY_LENGTH)),
);

const hmac = (key: string, secret: string | Uint8Array) =>
  createHmac('sha256', secret).update(key).digest('hex');

describe('apiKeyDigest', () => {
  it('is HMAC-SHA-256 in lower-case hex', () => {
    expect(apiKeyDigest('k1', SECRET)).toBe(
      '7987fc357ef43387657193f606c1d5af794ce8bd6b7f91689a288cb0e7390c33',
    );
  });

  it('depends on the secret', () => {
    expect(apiKeyDigest('k1', SECRET)).not.toBe(apiKeyDigest('k1', `${SECRET}!`));
  });
});

describe('digestUnder', () => {
  it('makes the digests of node:crypto, for secrets and keys of every length', () => {
    fc.assert(
      fc.property(secrets, fc.array(keys, { minLength: 1, maxLength: 5 }), (secret, several) => {
        const digestOf = digestUnder(secret);
        expect(several.map(digestOf)).toEqual(several.map((key) => hmac(key, secret)));
      }),
    );
  });

  it.each([32, 63, 64, 65, 128])(
    'takes a secret of %i bytes, about what SHA-256 takes at a time',
    (length) => {
      const secret = Buffer.alloc(length, 0xa7);
      expect(digestUnder(secret)('k1')).toBe(hmac('k1', secret));
    },
  );

  it('is not made of a part of a key that is too long', () => {
    expect(() => digestUnder(SECRET)('k'.repeat(MAX_KEY_LENGTH + 1))).toThrow(RangeError);
  });

  it('does not change when the secret is overwritten', () => {
    const secret = Buffer.from(SECRET);
    const digestOf = digestUnder(secret);
    secret.fill(0);
    expect(digestOf('k1')).toBe(hmac('k1', SECRET));
  });
});

describe.each([
  ['apiKeyDigest', (secret: string) => apiKeyDigest('k1', secret)],
  ['digestUnder', (secret: string) => digestUnder(secret)('k1')],
])('%s', (_name, digest) => {
  it.each([
    ['short', 's'.repeat(31)],
    ['missing', undefined],
  ])('is not made under a %s secret', (_what, secret) => {
    expect(() => digest(secret as string)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

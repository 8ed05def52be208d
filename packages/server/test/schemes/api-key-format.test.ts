import { createApiKey, isWellFormedApiKey } from '@a2a-auth/server';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isMistypedApiKey } from '../../src/schemes/api-key-format.js';

describe('a new API key', () => {
  it('is found by the pattern that secret scanners use', () => {
    expect(createApiKey('acme')).toMatch(/^acme_[0-9A-Za-z]{38}$/);
  });

  it('is well-formed', () => {
    for (let count = 0; count < 1000; count++) expect(isWellFormedApiKey(createApiKey('acme'))).toBe(true);
  });

  it('is never one that was there before', () => {
    expect(new Set(Array.from({ length: 1000 }, () => createApiKey('acme'))).size).toBe(1000);
  });

  it('uses every letter', () => {
    const letters = new Set(Array.from({ length: 300 }, () => createApiKey('ab').slice(3, 35)).join(''));
    expect(letters.size).toBe(62);
  });

  it.each(['', 'a', '1a', 'Acme', 'ac_me', 'ac me', 'a'.repeat(17), 'acme\n', 'é'.repeat(3)])(
    'has no prefix %j',
    (prefix) => {
      expect(() => createApiKey(prefix)).toThrow(
        expect.objectContaining({
          code: 'INVALID_OPTION',
          message: expect.stringContaining(JSON.stringify(prefix)) as string,
        }),
      );
    },
  );
});

describe('the checksum of a key', () => {
  it('tells any one wrong letter', () => {
    const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    fc.assert(
      fc.property(
        fc.constant(createApiKey('acme')),
        fc.integer({ min: 5, max: 42 }),
        fc.constantFrom(...alphabet.split('')),
        (key, at, letter) => {
          fc.pre(key[at] !== letter);
          const wrong = key.slice(0, at) + letter + key.slice(at + 1);
          expect(isMistypedApiKey(wrong)).toBe(true);
          expect(isWellFormedApiKey(wrong)).toBe(false);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('covers the prefix', () => {
    expect(isMistypedApiKey(createApiKey('acme').replace('acme', 'acne'))).toBe(true);
  });

  it('is stable: keys made by earlier versions stay good', () => {
    expect(isWellFormedApiKey('acme_0123456789abcdefghijklmnopqrstuv1qpdBf')).toBe(true);
  });

  it.each(['', 'k1', 'acme_short', 'no-format-at-all', 'acme_0123456789abcdefghijklmnopqrstuvABCDE'])(
    'is not asked of a key of another format: %j',
    (key) => {
      expect(isMistypedApiKey(key)).toBe(false);
      expect(isWellFormedApiKey(key)).toBe(false);
    },
  );
});

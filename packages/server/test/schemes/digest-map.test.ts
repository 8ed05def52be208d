import fc from 'fast-check';
import { expect, it } from 'vitest';

import { digestMap } from '../../src/schemes/digest-map.js';

const CAPACITY = 20;

/** Few words, so that many digests belong into one row, the last one among them, and differ in a single word. */
const word = fc.constantFrom('00000000', '00000001', 'ffffffff', 'feffffff', 'deadbeef');
const digests = fc.uniqueArray(
  fc.array(word, { minLength: 8, maxLength: 8 }).map((words) => words.join('')),
  { maxLength: 2 * CAPACITY },
);

it('holds what was added for a digest, and nothing for any other', () => {
  fc.assert(
    fc.property(digests, (all) => {
      const [added, others] = [all.slice(0, CAPACITY), all.slice(CAPACITY)];
      const map = digestMap<string>(CAPACITY);
      for (const digest of added) {
        expect(map.get(digest)).toBeUndefined();
        expect(map.add(digest, `of ${digest}`)).toBe(true);
      }
      expect(added.map((digest) => map.get(digest))).toEqual(added.map((digest) => `of ${digest}`));
      expect(others.map((digest) => map.get(digest))).toEqual(others.map(() => undefined));
    }),
  );
});

it('keeps what was added first', () => {
  const map = digestMap<string>(CAPACITY);
  const digest = 'ab'.repeat(32);
  map.add(digest, 'first');
  expect(map.add(digest, 'second')).toBe(false);
  expect(map.get(digest)).toBe('first');
});

it.each([1, 2, 3, 1000])('has room for as many as it was made for (%i)', (capacity) => {
  const map = digestMap<string>(capacity);
  const all = Array.from({ length: capacity }, (_, number) => number.toString(16).padStart(64, '0'));
  for (const digest of all) map.add(digest, digest);
  expect(all.map((digest) => map.get(digest))).toEqual(all);
  expect(map.get('ff'.repeat(32))).toBeUndefined();
});

it.each(['', 'ab', 'zz'.repeat(32)])('does not take %j for the digest that was asked for before', (part) => {
  const map = digestMap<string>(CAPACITY);
  map.add('ab'.repeat(32), 'of another');
  expect(() => map.get(part)).toThrow(RangeError);
});

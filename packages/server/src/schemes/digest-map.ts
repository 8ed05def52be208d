/** What belongs to each of many SHA-256 digests, given as hex. Anything else is a RangeError. */
export interface DigestMap<Value> {
  get(digest: string): Value | undefined;
  /** @returns false, and changes nothing, when the digest has a value already */
  add(digest: string, value: Value): boolean;
}

/** Of 32 bits each. */
const WORDS_OF_DIGEST = 8;

/**
 * A map in which finding one of a million digests takes about as long as finding one of ten. A `Map` of strings follows
 * half a dozen pointers for it, and the more there are, the fewer of them lead into the processor's cache: with a million,
 * that takes longer than to hash a key.
 *
 * Here the digests lie side by side. They are as good as random, so the first bits of each tell its row, or the one after
 * which to look (open addressing, at most half full).
 *
 * @param capacity how many digests there may be at most
 */
export function digestMap<Value extends object | string>(capacity: number): DigestMap<Value> {
  const rows = 2 ** Math.ceil(Math.log2(2 * capacity));
  const mask = rows - 1;
  const digests = new Uint32Array(rows * WORDS_OF_DIGEST);
  const values: (Value | undefined)[] = new Array<undefined>(rows).fill(undefined);
  const sought = new Uint32Array(WORDS_OF_DIGEST);
  const bytesOfSought = Buffer.from(sought.buffer);

  function isInRow(row: number): boolean {
    const start = row * WORDS_OF_DIGEST;
    for (let word = 0; word < WORDS_OF_DIGEST; word++) {
      if (digests[start + word] !== sought[word]) return false;
    }
    return true;
  }

  /** The row of the digest, or the empty one where it belongs. */
  function rowOf(digest: string): number {
    // A part of a digest would leave the rest of the one before in its place.
    if (bytesOfSought.write(digest, 'hex') !== bytesOfSought.length)
      throw new RangeError('This is no digest.');
    let row = (sought[0] ?? 0) & mask;
    while (values[row] !== undefined && !isInRow(row)) row = (row + 1) & mask;
    return row;
  }

  return {
    get: (digest) => values[rowOf(digest)],
    add(digest, value) {
      const row = rowOf(digest);
      if (values[row] !== undefined) return false;
      digests.set(sought, row * WORDS_OF_DIGEST);
      values[row] = value;
      return true;
    },
  };
}

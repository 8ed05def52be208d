/** What belongs to each of many SHA-256 digests, given as lower-case hex. Anything else is a RangeError. */
export interface DigestMap<Value> {
  get(digest: string): Value | undefined;
  /** @returns false, and changes nothing, when the digest has a value already */
  add(digest: string, value: Value): boolean;
}

/** Of 32 bits each. */
const WORDS_OF_DIGEST = 8;
/** The number of its value, which is 0 where the row is free, and then the digest. */
const WORDS_OF_ROW = 1 + WORDS_OF_DIGEST;
/** Enough free ones to find one soon, and few enough to keep the memory small that is read all over. */
const ROWS_OF_DIGEST = 1.5;

const NO_DIGIT = 0xff;
const valueOfDigit = new Uint8Array(128).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) valueOfDigit[value.toString(16).charCodeAt(0)] = value;

/**
 * A map in which finding one of a million digests takes about as long as finding one of ten. A `Map` of strings follows
 * half a dozen pointers for it, and the more there are, the fewer of them lead into the processor's cache: with a million,
 * that takes longer than to hash a key.
 *
 * Here the digests lie side by side, so that one place in memory tells the whole. They are as good as random, and the
 * first word of each tells its row, or the one after which to look (open addressing).
 *
 * @param capacity how many digests there may be at most
 */
export function digestMap<Value extends object | string>(capacity: number): DigestMap<Value> {
  const rows = Math.ceil(capacity * ROWS_OF_DIGEST) + 1;
  const table = new Uint32Array(rows * WORDS_OF_ROW);
  const values: Value[] = [];
  const sought = new Uint32Array(WORDS_OF_DIGEST);

  /** In one expression, which takes half as long as a loop. */
  function isAt(start: number): boolean {
    return (
      table[start + 1] === sought[0] &&
      table[start + 2] === sought[1] &&
      table[start + 3] === sought[2] &&
      table[start + 4] === sought[3] &&
      table[start + 5] === sought[4] &&
      table[start + 6] === sought[5] &&
      table[start + 7] === sought[6] &&
      table[start + 8] === sought[7]
    );
  }

  /** Where the row of the digest begins, or the free one where it belongs. */
  function find(digest: string): number {
    readDigest(digest, sought);
    let start = Math.floor(((sought[0] ?? 0) / 2 ** 32) * rows) * WORDS_OF_ROW;
    while (table[start] !== 0 && !isAt(start)) start = (start + WORDS_OF_ROW) % table.length;
    return start;
  }

  return {
    get(digest) {
      const number = table[find(digest)] ?? 0;
      return number === 0 ? undefined : values[number - 1];
    },
    add(digest, value) {
      const start = find(digest);
      if (table[start] !== 0) return false;
      // A million that share one value need it once.
      if (values.at(-1) !== value) values.push(value);
      table[start] = values.length;
      table.set(sought, start + 1);
      return true;
    },
  };
}

/** Digit by digit: to call `Buffer` for it takes twice as long. */
function readDigest(digest: string, words: Uint32Array): void {
  if (digest.length !== 8 * WORDS_OF_DIGEST) throw new RangeError('This is no digest.');
  let wrong = 0;
  for (let index = 0; index < WORDS_OF_DIGEST; index++) {
    let word = 0;
    for (let place = 8 * index; place < 8 * index + 8; place++) {
      const value = valueOfDigit[digest.charCodeAt(place)] ?? NO_DIGIT;
      wrong |= value;
      word = (word << 4) | value;
    }
    words[index] = word;
  }
  if (wrong > 0xf) throw new RangeError('This is no digest.');
}

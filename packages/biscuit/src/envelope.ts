/** What a token says of itself before anything of it is proven. */
export interface Envelope {
  readonly bytes: Uint8Array;
  /** Which root key signed it, if it says so. */
  readonly keyId: number | undefined;
  /** Blocks, with the authority block. */
  readonly blocks: number;
}

/** The fields of the `Biscuit` message of the format's schema.proto. */
const KEY_ID = 1;
const AUTHORITY = 2;
const BLOCK = 3;
const PROOF = 4;

/**
 * Reads the outermost layer of a biscuit (Protocol Buffers), which the library does not show: the key id is needed to
 * choose the key, and the number of blocks before each costs a signature check.
 *
 * @returns undefined when it is no biscuit
 */
export function readEnvelope(token: string): Envelope | undefined {
  // URL-safe base64; the padding may be left out.
  if (!/^[\w-]+={0,2}$/.test(token)) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  const counts = new Map<number, number>();
  let keyId: number | undefined;
  let position = 0;

  /** A base-128 varint of at most 32 bits; NaN when it is none. */
  const varint = (): number => {
    let value = 0;
    for (let index = 0; index < 5; index += 1) {
      const byte = bytes[position] ?? Number.NaN;
      position += 1;
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (Number.isNaN(byte)) return Number.NaN;
      if (byte < 0x80) return value < 2 ** 32 ? value : Number.NaN;
    }
    return Number.NaN;
  };

  while (position < bytes.length) {
    const tag = varint();
    const field = tag >>> 3;
    counts.set(field, (counts.get(field) ?? 0) + 1);
    if (tag === KEY_ID * 8) {
      keyId = varint();
      if (Number.isNaN(keyId)) return undefined;
    } else if (tag === AUTHORITY * 8 + 2 || tag === BLOCK * 8 + 2 || tag === PROOF * 8 + 2) {
      const length = varint();
      position += length;
      if (!(position <= bytes.length)) return undefined;
    } else {
      return undefined;
    }
  }
  // What the library would merge, or read as the last one wins, is ambiguous.
  const count = (field: number) => counts.get(field) ?? 0;
  if (count(KEY_ID) > 1 || count(AUTHORITY) !== 1 || count(PROOF) !== 1) return undefined;
  return { bytes, keyId, blocks: 1 + count(BLOCK) };
}

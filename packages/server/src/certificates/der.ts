/**
 * Reads DER (X.690), the one encoding of certificates and CRLs. Strict: a length is definite and in its shortest form, an
 * element ends where its parent says, and nothing follows. So no two readers can see different things in the same bytes.
 * Not recursive: what nests deeply costs nothing until somebody looks into it.
 */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** The whole element, with its tag and length. */
  readonly encoded: Buffer;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** What was read is not what it should be. */
export class MalformedDer extends Error {
  override readonly name = 'MalformedDer';
}

/** The one element that the bytes are. */
export function readElement(bytes: Uint8Array, tag?: number): Element {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const element = elementAt(buffer, 0);
  if (element.encoded.length !== buffer.length) throw new MalformedDer('Something follows the element.');
  return tag === undefined ? element : expectTag(element, tag);
}

/** The elements that a constructed element consists of. */
export function childrenOf({ tag, content }: Element): Element[] {
  if ((tag & 0x20) === 0) throw new MalformedDer('A constructed element was expected.');
  const children: Element[] = [];
  for (let offset = 0; offset < content.length;) {
    const child = elementAt(content, offset);
    children.push(child);
    offset += child.encoded.length;
  }
  return children;
}

/** The elements of a SEQUENCE. */
export function sequenceOf(element: Element | undefined): Element[] {
  return childrenOf(expectTag(element, tags.sequence));
}

export function expectTag(element: Element | undefined, tag: number): Element {
  if (element?.tag !== tag) throw new MalformedDer(`An element with tag ${tag} was expected.`);
  return element;
}

function elementAt(bytes: Buffer, start: number): Element {
  const tag = bytes[start];
  let length = bytes[start + 1];
  if (tag === undefined || length === undefined) throw new MalformedDer('An element is cut off.');
  if ((tag & 0x1f) === 0x1f) throw new MalformedDer('A tag is too large.');
  let offset = start + 2;
  if (length >= 0x80) {
    const octets = length & 0x7f;
    if (octets === 0 || octets > 4 || offset + octets > bytes.length) {
      throw new MalformedDer('A length is indefinite, too large or cut off.');
    }
    length = bytes.readUIntBE(offset, octets);
    if (length < 0x80 || length < 2 ** (8 * (octets - 1))) {
      throw new MalformedDer('A length is not in its shortest form.');
    }
    offset += octets;
  }
  const end = offset + length;
  if (end > bytes.length) throw new MalformedDer('An element is cut off.');
  return { tag, content: bytes.subarray(offset, end), encoded: bytes.subarray(start, end) };
}

export function readBoolean(element: Element): boolean {
  const { content } = expectTag(element, tags.boolean);
  const [value] = content;
  // FALSE is the default wherever certificates have a BOOLEAN, and would not be written; some write it.
  if (content.length !== 1 || (value !== 0xff && value !== 0)) {
    throw new MalformedDer('A BOOLEAN has another value than TRUE and FALSE.');
  }
  return value === 0xff;
}

/** A number that is not negative and fits into three octets. */
export function readSmallInteger(element: Element | undefined): number {
  const { content } = expectTag(element, tags.integer);
  if (content.length === 0 || content.length > 3 || (content[0] ?? 0) >= 0x80) {
    throw new MalformedDer('A number is negative or too large.');
  }
  return content.readUIntBE(0, content.length);
}

/** An INTEGER as hex: that of its octets. */
export function readInteger(element: Element | undefined): string {
  const { content } = expectTag(element, tags.integer);
  const [first = 0, second = 0] = content;
  const isPadded =
    content.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (content.length === 0 || isPadded) throw new MalformedDer('An INTEGER is not in its shortest form.');
  return content.toString('hex');
}

/** The octets of a BIT STRING, and how many bits of the last one do not count. */
export function readBitString(element: Element | undefined): { octets: Buffer; unusedBits: number } {
  const { content } = expectTag(element, tags.bitString);
  const unusedBits = content[0] ?? 8;
  if (unusedBits > 7 || (unusedBits > 0 && content.length === 1)) {
    throw new MalformedDer('A BIT STRING has a wrong number of unused bits.');
  }
  return { octets: content.subarray(1), unusedBits };
}

/** The dotted form of an OBJECT IDENTIFIER. */
export function readObjectIdentifier(element: Element | undefined): string {
  const { content } = expectTag(element, tags.objectIdentifier);
  const last = content.at(-1);
  if (last === undefined || last >= 0x80 || content.length > 64) {
    throw new MalformedDer('An OBJECT IDENTIFIER is empty, cut off or too long.');
  }
  const arcs: bigint[] = [];
  let arc = 0n;
  let isStart = true;
  for (const octet of content) {
    if (isStart && octet === 0x80) throw new MalformedDer('An OBJECT IDENTIFIER is padded.');
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    isStart = octet < 0x80;
    if (!isStart) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const [first = 0n, ...others] = arcs;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...others].join('.');
}

/** RFC 5280 §4.1.2.5: in UTC, with seconds, without fractions. Milliseconds since the epoch. */
export function readTime(element: Element | undefined): number {
  const text = element?.content.toString('latin1') ?? '';
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] =
    (element?.tag === tags.utcTime
      ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
      : element?.tag === tags.generalizedTime
        ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
        : /(?!)/
    ).exec(text) ?? [];
  const fullYear = year.length === 2 ? `${Number(year) >= 50 ? '19' : '20'}${year}` : year;
  const iso = `${fullYear}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const moment = new Date(iso).getTime();
  // The second comparison finds the thirtieth of February.
  if (Number.isNaN(moment) || new Date(moment).toISOString() !== iso) {
    throw new MalformedDer('A time is not in the form of RFC 5280.');
  }
  return moment;
}

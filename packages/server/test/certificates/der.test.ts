import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { element, integer, objectIdentifier, sequence, time } from '../../src/certificates/der-writer.js';
import {
  childrenOf,
  MalformedDer,
  readBitString,
  readBoolean,
  readElement,
  readInteger,
  readObjectIdentifier,
  readSmallInteger,
  readTime,
} from '../../src/certificates/der.js';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');

describe('an element', () => {
  it.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])('of %i octets is read as it is written', (length) => {
    const content = Buffer.alloc(length, 7);
    expect(readElement(element(0x04, content)).content).toEqual(content);
  });

  it.each([
    ['nothing', ''],
    ['a tag alone', '30'],
    ['less than the length says', '04 02 00'],
    ['more than the length says', '04 01 00 00'],
    ['an indefinite length', '30 80 00 00'],
    ['a length that is cut off', '04 82 01'],
    ['a length in five octets', '04 85 00 00 00 00 01 00'],
    ['a short length in the long form', '04 81 01 00'],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`],
    ['a reserved length', '04 ff 00'],
    ['a tag of several octets', '1f 81 01 00'],
  ])('that has %s is refused', (_what, hex) => {
    expect(() => readElement(bytes(hex))).toThrow(MalformedDer);
  });

  it('that is primitive has no children', () => {
    expect(() => childrenOf(readElement(bytes('04 02 05 00')))).toThrow(MalformedDer);
  });

  it('has no child that goes on beyond it', () => {
    expect(() => childrenOf(readElement(bytes('30 03 04 05 00')))).toThrow(MalformedDer);
  });

  it('is nothing but an element or an error, whatever the octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
        try {
          const read = readElement(octets);
          expect(read.encoded).toEqual(Buffer.from(octets));
          if ((read.tag & 0x20) !== 0) childrenOf(read);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedDer);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('that nests deeply costs no more than its first level', () => {
    let nested: Buffer = Buffer.alloc(0);
    for (let depth = 0; depth < 1_000; depth++) nested = sequence(nested);
    expect(childrenOf(readElement(nested))).toHaveLength(1);
  });
});

describe('a value', () => {
  it.each([
    ['an empty INTEGER', '02 00', readInteger],
    ['a padded INTEGER', '02 02 00 01', readInteger],
    ['a padded negative INTEGER', '02 02 ff 80', readInteger],
    ['a negative path length', '02 01 ff', readSmallInteger],
    ['a path length beyond reason', '02 04 01 00 00 00', readSmallInteger],
    ['a BOOLEAN of two octets', '01 02 ff ff', readBoolean],
    ['a BOOLEAN that is neither', '01 01 01', readBoolean],
    ['an empty BIT STRING', '03 00', readBitString],
    ['a BIT STRING with eight unused bits', '03 02 08 00', readBitString],
    ['a BIT STRING with unused bits of nothing', '03 01 01', readBitString],
    ['an empty OBJECT IDENTIFIER', '06 00', readObjectIdentifier],
    ['an OBJECT IDENTIFIER that is cut off', '06 01 80', readObjectIdentifier],
    ['an OBJECT IDENTIFIER with a padded arc', '06 03 2a 80 01', readObjectIdentifier],
    ['an OBJECT IDENTIFIER of a hundred octets', `06 64 ${'01'.repeat(100)}`, readObjectIdentifier],
    ['another type', '05 00', readObjectIdentifier],
  ] as const)('that is %s is refused', (_what, hex, read) => {
    expect(() => read(readElement(bytes(hex)))).toThrow(MalformedDer);
  });

  it.each(['2.5.29.17', '1.2.840.113549.1.1.11', '0.9.2342.19200300.100.1.25', '2.16.840.1.101.3.4.2.1'])(
    'that is the OBJECT IDENTIFIER %s is read',
    (dotted) => {
      expect(readObjectIdentifier(readElement(objectIdentifier(dotted)))).toBe(dotted);
    },
  );

  it('that is an INTEGER is read as hex', () => {
    expect(readInteger(readElement(integer(Buffer.of(0xff))))).toBe('00ff');
  });

  it.each(['1970-01-01T00:00:00Z', '2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z', '9999-12-31T23:59:59Z'])(
    'that is the time %s is read',
    (moment) => {
      expect(readTime(readElement(time(new Date(moment))))).toBe(Date.parse(moment));
    },
  );

  it.each([
    '250230000000Z',
    '251301000000Z',
    '250101250000Z',
    '2501010000Z',
    '250101000000+0100',
    '250101000000',
    '25010100000aZ',
    '',
  ])('that is the time %j is refused', (text) => {
    expect(() => readTime(readElement(element(0x17, Buffer.from(text))))).toThrow(MalformedDer);
  });
});

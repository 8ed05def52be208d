import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { separateCredentials } from '../../src/fetch/separate-credentials.js';

describe('one Authorization field', () => {
  it.each([
    'Bearer ada',
    'Basic YTpi',
    '',
    'Digest username="Mufasa", realm="a@b", uri="/dir/index.html", qop=auth, nc=00000001',
    'Digest username="Bearer x, Bearer y", nonce="a\\", Bearer z"',
    'AWS4-HMAC-SHA256 Credential=AK/2026/eu/s3/aws4_request, SignedHeaders=host;date,Signature=ab',
    'Custom a = "b" , c\t=\td',
  ])('stays one: %s', (field) => {
    expect(separateCredentials(field)).toEqual([field]);
  });
});

describe('two Authorization fields that were joined', () => {
  it.each([
    ['Bearer ada', 'Bearer ada'],
    ['Basic YTpi', 'Bearer ada'],
    ['Bearer ada', 'Basic YTo='],
    ['Basic YTpi', 'Bearer YTo= x'],
    ['Bearer ada', 'Bearer'],
    ['Bearer ada', ''],
    ['', 'Bearer ada'],
    ['Digest a="b", c=d', 'Bearer ada'],
    ['Bearer ada', 'Digest a="b", c=d'],
    ['Digest a="x, y"', 'Bearer ada'],
  ])('are two again: %s; %s', (...fields) => {
    expect(separateCredentials(fields.join(', '))).toEqual(fields);
    expect(separateCredentials(fields.join(','))).toEqual(fields);
  });

  it('are never one, when the second is what a scheme would take for its credential', () => {
    const text = fc.string({ unit: fc.constantFrom(...Array.from('ab=", \\\t;Bearer')) });
    const scheme = fc.constantFrom('Bearer', 'DPoP', 'Basic');
    fc.assert(
      fc.property(text, scheme, fc.stringMatching(/^[A-Za-z0-9._~+/-]+=*$/), (first, name, token) => {
        const second = `${name} ${token}`;
        const quotes = first.replace(/\\./g, '').split('"').length - 1;
        // Within a string that is closed, it would be no credential but a part of one.
        fc.pre(quotes % 2 === 1 || !/\\$/.test(first));
        expect(separateCredentials(`${first}, ${second}`).length).toBeGreaterThan(1);
      }),
      { numRuns: 2000 },
    );
  });
});

it('takes time that grows no faster than the field', () => {
  for (const piece of ['"', '\\"', '"\\', ',', ', a', 'a, ', '\t', ',\t', '=,']) {
    const field = piece.repeat(1_000_000 / piece.length);
    expect(separateCredentials(field).length).toBeGreaterThan(0);
  }
});

import { renderChallenge } from '../../server/src/challenge.js';
import fc from 'fast-check';
import { expect, it } from 'vitest';

import { parseWwwAuthenticate } from '../src/www-authenticate.js';

it.each([
  ['Bearer', [{ scheme: 'bearer', params: {} }]],
  ['Basic realm="a2a"', [{ scheme: 'basic', params: { realm: 'a2a' } }]],
  [
    'Bearer realm=a2a , error = "invalid_token"',
    [{ scheme: 'bearer', params: { realm: 'a2a', error: 'invalid_token' } }],
  ],
  [
    'ApiKey realm="a2a", in="header", name="X-API-Key", Bearer realm="a2a", scope="a b"',
    [
      { scheme: 'apikey', params: { realm: 'a2a', in: 'header', name: 'X-API-Key' } },
      { scheme: 'bearer', params: { realm: 'a2a', scope: 'a b' } },
    ],
  ],
  [
    'Basic, Bearer',
    [
      { scheme: 'basic', params: {} },
      { scheme: 'bearer', params: {} },
    ],
  ],
  [
    'Negotiate YWJj==, Bearer',
    [
      { scheme: 'negotiate', params: {}, token68: 'YWJj==' },
      { scheme: 'bearer', params: {} },
    ],
  ],
  ['Negotiate abc', [{ scheme: 'negotiate', params: {}, token68: 'abc' }]],
  [', ,Bearer a=1,, b=2 , ', [{ scheme: 'bearer', params: { a: '1', b: '2' } }]],
  [
    'Bearer error_description="a \\"quoted\\", tricky = one"',
    [{ scheme: 'bearer', params: { error_description: 'a "quoted", tricky = one' } }],
  ],
  // By the grammar, this is no parameter without value.
  ['Bearer realm=', [{ scheme: 'bearer', params: {}, token68: 'realm=' }]],
  ['DPoP ALGS="ES256"', [{ scheme: 'dpop', params: { algs: 'ES256' } }]],
  ['Bearer realm=""', [{ scheme: 'bearer', params: { realm: '' } }]],
  ['Bearer __proto__="x"', [{ scheme: 'bearer', params: JSON.parse('{"__proto__":"x"}') as unknown }]],
])('reads %s', (field, challenges) => {
  expect(parseWwwAuthenticate(field)).toEqual(challenges);
});

it.each([
  'Bearer realm="open',
  'Bearer realm="a" error="b"',
  'Bearer =x',
  'Bearer realm="a", realm="b"',
  'Bearer realm="a\u0000b"',
  'Bearer realm="a\\',
  'Bearer a b',
  'Bearer @',
  '"Bearer"',
  'Bearer realm="a", @',
  `Bearer ${'x'.repeat(20_000)}`,
  Array(100).fill('Bearer').join(','),
  `Bearer ${Array.from({ length: 100 }, (_, index) => `p${String(index)}=1`).join(',')}`,
])('reads nothing of what breaks the grammar or the bounds (%#)', (field) => {
  expect(parseWwwAuthenticate(field)).toEqual([]);
});

it('reads back what the server writes', () => {
  const name = fc.stringMatching(/^[a-z]{1,8}$/);
  const value = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCodePoint(code)),
  });
  const challenge = fc.record({
    scheme: name,
    params: fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true }),
  });
  fc.assert(
    fc.property(fc.array(challenge, { maxLength: 5 }), (challenges) => {
      expect(parseWwwAuthenticate(challenges.map(renderChallenge).join(', '))).toEqual(challenges);
    }),
  );
});

it('throws at no text, and reads it in one pass', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', '\\', ',', '=', ' ', 'a', '\t', 'é', '\n') }),
      (text) => {
        expect(Array.isArray(parseWwwAuthenticate(text))).toBe(true);
      },
    ),
  );
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isChallenge, renderChallenge } from '../src/challenge.js';

describe('a rendered challenge', () => {
  it.each([
    ['a name alone', { scheme: 'Negotiate' }, 'Negotiate'],
    ['no parameters', { scheme: 'Negotiate', params: {} }, 'Negotiate'],
    [
      'parameters in their order',
      { scheme: 'Bearer', params: { realm: 'a', error: 'b' } },
      'Bearer realm="a", error="b"',
    ],
    [
      'no undefined parameters',
      { scheme: 'Bearer', params: { realm: 'a', scope: undefined } },
      'Bearer realm="a"',
    ],
    ['an empty parameter', { scheme: 'Basic', params: { realm: '' } }, 'Basic realm=""'],
    [
      'quotes and backslashes escaped',
      { scheme: 'Basic', params: { realm: 'a"b\\c' } },
      'Basic realm="a\\"b\\\\c"',
    ],
    ['no line breaks', { scheme: 'Basic', params: { realm: 'a\r\nX-Evil: 1' } }, 'Basic realm="aX-Evil: 1"'],
    ['no non-ASCII', { scheme: 'Basic', params: { realm: 'café\u0000' } }, 'Basic realm="caf"'],
  ])('has %s', (_what, challenge, rendered) => {
    expect(renderChallenge(challenge)).toBe(rendered);
  });

  it('is one field value with one quoted-string, whatever the parameter is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (realm) => {
        const rendered = renderChallenge({ scheme: 'Basic', params: { realm } });
        expect(rendered).toMatch(/^Basic realm="(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"$/);
      }),
    );
  });
});

describe('a challenge', () => {
  it.each([
    [{ scheme: 'Bearer' }],
    [{ scheme: 'Bearer', params: undefined }],
    [{ scheme: 'Bearer', params: { realm: 'a', error: undefined } }],
  ])('can be %j', (value) => {
    expect(isChallenge(value)).toBe(true);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a string', 'Bearer'],
    ['without a name', {}],
    ['with an empty name', { scheme: '' }],
    ['with a name of two words', { scheme: 'Bearer realm' }],
    ['with a name that ends the line', { scheme: 'Bearer\n' }],
    ['with parameters that are null', { scheme: 'Bearer', params: null }],
    ['with a parameter that is a number', { scheme: 'Bearer', params: { n: 1 } }],
    ['with a header that starts another', { scheme: 'Bearer', headers: { 'dpop-nonce': 'a\r\nb: c' } }],
    ['with a header that is a list', { scheme: 'Bearer', headers: { 'dpop-nonce': ['a'] } }],
    ['with a header whose name is no token', { scheme: 'Bearer', headers: { 'a b': 'c' } }],
    ['with a parameter whose name is no token', { scheme: 'Bearer', params: { 'a b': 'c' } }],
  ])('cannot be %s', (_what, value) => {
    expect(isChallenge(value)).toBe(false);
  });
});

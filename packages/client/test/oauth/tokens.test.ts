import { UnsecuredJWT } from 'jose';
import { expect, it } from 'vitest';

import { isSurelyUnbound } from '../../src/oauth/tokens.js';

it.each([
  ['a JWT without a binding', new UnsecuredJWT({ sub: 'x' }).encode() + 'x', true],
  ['a JWT that is bound to a key', new UnsecuredJWT({ cnf: { jkt: 'x' } }).encode() + 'x', true],
  [
    'a JWT that is bound to a certificate',
    new UnsecuredJWT({ cnf: { 'x5t#S256': 'x' } }).encode() + 'x',
    false,
  ],
  ['an opaque token', 'opaque', false],
])('%s: surely unbound is %s', (_, token, unbound) => {
  expect(isSurelyUnbound(token)).toBe(unbound);
});

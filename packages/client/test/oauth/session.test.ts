import { expect, it } from 'vitest';

import { isFresh, readSession, writeSession, type Session } from '../../src/oauth/session.js';

const session: Session = {
  accessToken: 'access',
  tokenType: 'Bearer',
  expiresAt: Date.now() + 600_000,
  obtainedAt: Date.now(),
  refreshToken: 'refresh',
  scopes: ['ask'],
  asked: undefined,
  resource: undefined,
};

it('is read as it was written', () => {
  expect(readSession(writeSession(session))).toEqual(session);
});

it.each([
  ['nothing', ''],
  ['half of it', writeSession(session).slice(0, 50)],
  ['another version', writeSession(session).replace('"version":1', '"version":2')],
  ['a list', '[]'],
  ['null', 'null'],
  ['a token that breaks out of its header', writeSession({ ...session, accessToken: 'a\r\nx: y' })],
  ['scopes that are none', writeSession({ ...session, asked: [1] as never })],
  ['an end that is none', writeSession({ ...session, expiresAt: 'later' as never })],
])('%s counts as none', (_, text) => {
  expect(readSession(text)).toBeUndefined();
});

it.each([
  [600, 569, true],
  [600, 571, false],
  [10, 7.9, true],
  [10, 8.1, false],
  [0, 0, false],
])('a token of %d seconds is fresh after %d: %s', (lifetime, age, fresh) => {
  const obtainedAt = Date.now() - age * 1000;
  expect(isFresh({ ...session, obtainedAt, expiresAt: obtainedAt + lifetime * 1000 })).toBe(fresh);
});

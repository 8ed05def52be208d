import { describe, expect, it } from 'vitest';

import { redact } from '../src/redact.js';

const secret = 'p"w\\é+/=1 x';

describe('a message', () => {
  it.each([
    ['as it is', secret, `no ${secret} here`],
    ['in JSON', secret, `row ${JSON.stringify({ of: secret })} is missing`],
    ['in a URL', secret, `GET https://idp.example/check?p=${encodeURIComponent(secret)} failed`],
    ['in base64', secret, `bad value ${Buffer.from(secret).toString('base64')}`],
    ['as part of a credential', { username: 'al', password: secret }, `no ${secret} here`],
    [
      'as the header of basic credentials',
      { username: 'al', password: secret },
      `Basic ${Buffer.from(`al:${secret}`).toString('base64')}`,
    ],
  ])('shows no credential %s', (_how, credential, text) => {
    const shown = redact(text, credential);
    expect(shown).toContain('[credential]');
    for (const spelling of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]) {
      expect(shown).not.toContain(spelling);
    }
    expect(shown).not.toMatch(/[A-Za-z0-9+/]{16,}={0,2}$/);
  });

  it('is left as it is when it quotes nothing', () => {
    expect(redact('The key has ended.', 'a-key-that-is-not-quoted')).toBe('The key has ended.');
  });

  it('is cleaned of a credential that has more in it than text', () => {
    const credential = { token: 'a-secret', kind: Symbol('kind'), more: Object.create(null) as object };
    expect(redact('no a-secret here', credential)).toBe('no [credential] here');
  });

  it('is cleaned of a secret that is no well-formed Unicode', () => {
    expect(redact('bad \ud800 token', '\ud800')).toBe('bad [credential] token');
  });
});

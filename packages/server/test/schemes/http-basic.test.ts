import { httpBasic, type BasicCredential, type HttpBasicOptions, type Validator } from '@a2a-auth/server';
import { describe, expect, it, vi } from 'vitest';

import { renderChallenge } from '../../src/challenge.js';
import { decisionBy, denied } from '../support/agent.js';
import { authorization, authRequest } from '../support/auth-request.js';

const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64');

/** Accepts everybody, so that who is denied was denied before the password was looked at. */
const anybody = vi.fn<Validator<BasicCredential>>(() => ({ principal: 'somebody' }));
const outcomeOf = async (...fields: string[]) => {
  anybody.mockClear();
  const decision = await decisionBy(httpBasic({ validator: anybody }), authorization(...fields));
  return decision.granted ? anybody.mock.calls[0]?.[0] : decision.reason;
};

describe('basic credentials', () => {
  it.each([
    ['a name and a password', 'Aladdin:open sesame', 'Aladdin', 'open sesame'],
    ['a colon in the password', 'alice:a:b:', 'alice', 'a:b:'],
    ['UTF-8 (RFC 7617 §2.1)', 'test:123£', 'test', '123£'],
    ['a name in UTF-8', 'Zoë✓:geheim', 'Zoë✓', 'geheim'],
    ['a byte order mark, which is part of the name', '\uFEFFalice:b', '\uFEFFalice', 'b'],
    ['an empty password', 'alice:', 'alice', ''],
    ['an empty name', ':secret', '', 'secret'],
    ['a prototype name', '__proto__:x', '__proto__', 'x'],
  ])('with %s are read', async (_what, text, username, password) => {
    expect(await outcomeOf(`Basic ${base64(text)}`)).toEqual({ username, password });
  });

  it.each(['basic', 'BASIC', 'Basic '])('are read after %j', async (scheme) => {
    expect(await outcomeOf(`${scheme} ${base64('a:b')}`)).toEqual({ username: 'a', password: 'b' });
  });

  it.each([
    ['nothing', ''],
    ['a space', ' '],
    ['no base64', 'alice:secret'],
    ['base64 without its padding', 'YWxpY2U6YQ'],
    [
      'base64 of the URL alphabet',
      base64('a:\u00ff\u00ff\u00ff').replaceAll('/', '_').replaceAll('+', '-') + '_',
    ],
    ['base64 with a line break', 'YTpi\n'],
    ['base64 with a space inside', 'YTpi YTpi'],
    ['base64 with a tab', `\t${base64('a:b')}`],
    ['a trailing space', `${base64('a:b')} `],
    ['two credentials', `${base64('a:b')}, Basic ${base64('a:b')}`],
    ['no colon', base64('alice')],
    ['Latin-1', base64(Uint8Array.of(0x61, 0x3a, 0xe9))],
    ['an overlong encoding', base64(Uint8Array.of(0x61, 0x3a, 0xc0, 0x80))],
    ['a control character in the name', base64('a\u0000:b')],
    ['a line break in the password', base64('a:b\r\n')],
    ['a delete character', base64('a:\u007f')],
    ['64 KiB', base64('a'.repeat(65_536))],
  ])('of %s are malformed, and not verified', async (_what, credentials) => {
    expect(await outcomeOf(`Basic ${credentials}`)).toBe('invalid_credential');
    expect(anybody).not.toHaveBeenCalled();
  });

  it('in two Authorization headers are malformed', async () => {
    const field = `Basic ${base64('a:b')}`;
    expect(await outcomeOf(field, field)).toBe('invalid_credential');
  });

  it.each(['Bearer abc', 'Basicx YTpi', 'Bas YTpi', ''])(
    'are missing from %j: it is for another scheme',
    async (field) => {
      expect(await outcomeOf(field)).toBe('missing_credential');
    },
  );
});

describe('httpBasic', () => {
  it('asks for UTF-8 (RFC 7617 §2.1)', async () => {
    const decision = denied(await decisionBy(httpBasic({ validator: anybody }), authRequest()));
    expect(decision.challenges.map(renderChallenge)).toEqual(['Basic realm="a2a", charset="UTF-8"']);
  });

  it('is published', () => {
    expect(httpBasic({ validator: anybody, description: 'Ask us.' }).declaration).toEqual({
      type: 'http',
      scheme: 'Basic',
      description: 'Ask us.',
    });
  });

  it.each([undefined, null, 'yes', {}])('is refused at start-up with %j for a validator', (validator) => {
    expect(() => httpBasic({ validator } as unknown as HttpBasicOptions)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('validator') as string,
      }),
    );
  });
});

import { apiKey, basic, bearer, type CredentialRequest, type CredentialSource } from '@a2a-auth/client';
import { describe, expect, it } from 'vitest';

const http = { type: 'http', scheme: 'bearer' } as const;
const oauth = {
  type: 'oauth2',
  flow: { type: 'clientCredentials', tokenUrl: 'https://issuer.example/token', scopes: {} },
} as const;
const oidc = { type: 'openIdConnect', openIdConnectUrl: 'https://issuer.example' } as const;
const key = { type: 'apiKey', in: 'header', name: 'X-Key' } as const;
const login = { type: 'http', scheme: 'Basic' } as const;
const mtls = { type: 'mutualTLS' } as const;
const schemes = { http, oauth, oidc, key, login, mtls };

const ask = (source: CredentialSource, scheme: CredentialRequest['scheme']) =>
  source.credential({
    schemeId: 's',
    scheme,
    scopes: [],
    resource: undefined,
    http: { method: 'POST', url: 'https://agent.example' },
  });

it.each([
  ['apiKey', apiKey('k'), ['key']],
  ['bearer', bearer('t'), ['http', 'oauth', 'oidc']],
  ['basic', basic('u', 'p'), ['login']],
])('%s meets the schemes it is for', (_name, source, met) => {
  const fitting = Object.entries(schemes).filter(([, scheme]) => source.unfitFor(scheme) === undefined);
  expect(fitting.map(([name]) => name)).toEqual(met);
});

it.each(['', ' k', 'k ', 'k\r\nx: y', 'k\n', 'kö', 'k\0', undefined, 7])(
  'apiKey refuses %j',
  async (value) => {
    expect(() => apiKey(value as string)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    await expect(
      ask(
        apiKey(() => value as string),
        key,
      ),
    ).rejects.toMatchObject({ code: 'CREDENTIAL_UNUSABLE' });
  },
);

it.each(['', 'two tokens', 't\r\nx: y', 't"', 'tö', '=t', undefined])('bearer refuses %j', async (value) => {
  expect(() => bearer(value as string)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  await expect(
    ask(
      bearer(() => value as string),
      http,
    ),
  ).rejects.toMatchObject({ code: 'CREDENTIAL_UNUSABLE' });
});

it.each(['Bearer abc', 'abc\n'])('bearer says what is wrong with %j', (token) => {
  expect(() => bearer(token)).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(
        'without "Bearer" before it, and with no space or line break around it',
      ) as string,
    }),
  );
});

it.each([
  ['apiKey', apiKey(() => undefined as unknown as string), key],
  ['bearer', bearer(() => undefined as unknown as string), http],
])('%s names the scheme for which its function gives nothing', async (_name, source, scheme) => {
  await expect(ask(source, scheme)).rejects.toMatchObject({
    code: 'CREDENTIAL_UNUSABLE',
    message: expect.stringContaining('"s"') as string,
  });
});

it.each([
  ['a:b', 'p'],
  ['a\n', 'p'],
  ['a', 'p\0'],
  [undefined, 'p'],
  ['a', undefined],
])('basic refuses %j, %j', (user, password) => {
  expect(() => basic(user as string, password as string)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  );
});

describe('a fixed credential', () => {
  it.each([apiKey('k'), bearer('t'), basic('u', 'p')])('has no other to offer (%#)', (source) => {
    expect('renew' in source).toBe(false);
  });
});

it('passes on what the function throws', async () => {
  const failure = new Error('The vault is shut.');
  await expect(
    ask(
      bearer(() => Promise.reject(failure)),
      http,
    ),
  ).rejects.toBe(failure);
});

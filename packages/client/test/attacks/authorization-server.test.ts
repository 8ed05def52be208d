import { clientCredentials } from '@a2a-auth/client';
import { describe, expect, it } from 'vitest';

import { oauthScheme, requestFor, tokenOf } from '../../../../test/client-oauth/support.js';

const client = { clientId: 'c', clientSecret: 'S3CRET' };

describe('a function that trusts by the text of an address', () => {
  /** What people write. */
  const trust = (url: string) => /^https:\/\/([^/]+\.)?login\.example[:/]/.test(url);

  const called = async (at: string) => {
    const urls: string[] = [];
    const source = clientCredentials({
      ...client,
      trust,
      fetch: async (input) => {
        urls.push(input instanceof Request ? input.url : String(input));
        return Response.json({ access_token: 't', token_type: 'Bearer' });
      },
    });
    const scheme = oauthScheme('clientCredentials', at);
    if (source.unfitFor(scheme) === undefined) await tokenOf(source, requestFor(undefined, { scheme }));
    return urls;
  };

  it('is shown the address of the one that it trusts', async () => {
    expect(await called('https://eu.login.example')).toEqual(['https://eu.login.example/token']);
  });

  it.each([
    'https://evil.example\\.login.example',
    'https://evil.example?.login.example',
    'https://evil.example#.login.example',
    'https://login.example:x@evil.example',
    'https://x.login.example:@evil.example',
    'https://login.exam\tple:443@evil.example',
    'http://login.example',
    ' https://evil.example/ .login.example',
  ])('is not led to another by %j', async (at) => {
    expect(await called(at)).toEqual([]);
  });
});

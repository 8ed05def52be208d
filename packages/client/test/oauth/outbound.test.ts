import { expect, it } from 'vitest';

import { boundedFetch } from '../../src/oauth/outbound.js';

const refusal = (answer: object) => async () => Response.json(answer, { status: 400 });
const ask = async (answer: object, body: Record<string, string>) => {
  const send = boundedFetch({ fetch: refusal(answer) });
  const response = await send('https://login.example/token', {
    method: 'POST',
    body: new URLSearchParams(body),
  });
  return response.json();
};

it('takes a secret that the server echoes out of its answer', async () => {
  const answer = { error: 's3cret', error_description: 'No client has s3cret.' };
  expect(await ask(answer, { client_secret: 's3cret' })).toEqual({
    error: '[redacted]',
    error_description: 'No client has [redacted].',
  });
});

it.each(['slow_down', 'authorization_pending', 'invalid_grant', 'use_dpop_nonce'])(
  'leaves the error code %s as it is, whatever the secret',
  async (error) => {
    for (const secret of ['d', 'grant', 'nonce', error]) {
      expect(await ask({ error }, { device_code: secret, client_secret: secret })).toEqual({ error });
    }
  },
);

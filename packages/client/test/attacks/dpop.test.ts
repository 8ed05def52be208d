import { authenticatingFetch, clientCredentials, dpop } from '@a2a-auth/client';
import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';

import { scriptedFetch, sendMessage } from '../support/agent.js';
import { bearerScheme, cardJson } from '../support/card.js';

const url = 'https://agent.example';
const card = cardJson({ token: bearerScheme }, [{ token: [] }]);

/** An agent that answers so, a source of bound tokens for it, and how many of those there were. */
function startAgent(answer: () => Response) {
  const agent = scriptedFetch(answer);
  let tokens = 0;
  const source = dpop(
    clientCredentials({
      tokenEndpoint: 'https://login.example/token',
      clientId: 'c',
      clientSecret: 's',
      fetch: async () => Response.json({ access_token: `t-${String(++tokens)}`, token_type: 'DPoP' }),
    }),
  );
  const fetch = authenticatingFetch({ url, card, credentials: [source], fetch: agent.fetch });
  return { ...agent, source, call: () => fetch(`${url}/rpc`, sendMessage()), tokens: () => tokens };
}

const wantsNonce = (nonce: string, status = 401) =>
  new Response('{}', {
    status,
    headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': nonce },
  });

describe('an agent that asks for another nonce each time', () => {
  it('is asked twice a call, and costs no token', async () => {
    let nonce = 0;
    const agent = startAgent(() => wantsNonce(`n-${String(++nonce)}`));
    for (let call = 1; call <= 10; call++) {
      expect((await agent.call()).status).toBe(401);
      expect(agent.seen).toHaveLength(2 * call);
    }
    expect(agent.tokens()).toBe(1);
  });

  it('is asked once when it is the one that was sent', async () => {
    const agent = startAgent(() => wantsNonce('n'));
    await agent.call();
    await agent.call();
    expect(agent.seen).toHaveLength(3);
  });
});

it.each(['a b', 'a"b', 'a\\b', 'x'.repeat(1_025), 'é'])(
  'the nonce %j is put into no proof',
  async (nonce) => {
    const agent = startAgent(() => wantsNonce(nonce));
    await agent.call();
    await agent.call();
    for (const { headers } of agent.seen) {
      expect(decodeJwt(headers.get('dpop') ?? '').nonce).toBeUndefined();
    }
  },
);

it('no two requests carry the same proof, and none that of another address', async () => {
  const agent = startAgent(() => new Response('{}'));
  await Promise.all(Array.from({ length: 20 }, () => agent.call()));
  const proofs = agent.seen.map(({ headers }) => decodeJwt(headers.get('dpop') ?? ''));
  expect(new Set(proofs.map(({ jti }) => jti)).size).toBe(20);
  expect(new Set(proofs.map(({ htm, htu }) => `${String(htm)} ${String(htu)}`))).toEqual(
    new Set([`POST ${url}/rpc`]),
  );
});

it('shows the private key to nobody', async () => {
  const agent = startAgent(() => new Response('{}'));
  await agent.call();
  const [header = ''] = (agent.seen[0]?.headers.get('dpop') ?? '').split('.');
  const { jwk } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { jwk: object };
  expect(Object.keys(jwk).sort()).toEqual(['crv', 'kty', 'x', 'y']);
});

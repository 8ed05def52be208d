import { createServer } from 'node:http';

import { generatePushKey, jwksResponse, jwksRoute, pushKeys } from '@a2a-auth/server/push';
import { decodeProtectedHeader, exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterEach, expect, it, vi } from 'vitest';

import { closeWebhooksAfterTests, listen } from './support.js';

closeWebhooksAfterTests();
afterEach(() => {
  vi.useRealTimers();
});

const issuer = 'https://agent.example';
const notification = {
  id: 'n',
  taskId: 't',
  url: new URL('https://hooks.example/hook'),
  body: new Uint8Array(),
};
const kidOf = (token: string) => decodeProtectedHeader(token).kid;

it.each(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256'])('signs with %s', async (alg) => {
  const keys = pushKeys({ issuer, keys: [await generatePushKey(alg)] });
  expect(decodeProtectedHeader(await keys.sign(notification)).alg).toBe(alg);
});

it.each(['ES256', 'EdDSA', 'RS256'])('publishes nothing private of a key for %s', async (alg) => {
  const keys = pushKeys({ issuer, keys: [await generatePushKey(alg)] });
  const [published = {}] = keys.jwks().keys;
  expect(
    Object.keys(published).filter((name) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name)),
  ).toEqual([]);
});

it('signs with the first key, and publishes all', async () => {
  const [first, second] = [await generatePushKey(), await generatePushKey()];
  const keys = pushKeys({ issuer, keys: [first, second] });
  expect(kidOf(await keys.sign(notification))).toBe(first.kid);
  expect(keys.jwks().keys.map(({ kid }) => kid)).toEqual([first.kid, second.kid]);
});

it('publishes a key that was rotated out for as long as the overlap', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const [first, second] = [await generatePushKey(), await generatePushKey()];
  const keys = pushKeys({ issuer, keys: [first], overlap: 60 });
  keys.rotate([second]);
  expect(kidOf(await keys.sign(notification))).toBe(second.kid);
  expect(keys.jwks().keys.map(({ kid }) => kid)).toEqual([second.kid, first.kid]);
  vi.setSystemTime(Date.now() + 60_001);
  expect(keys.jwks().keys.map(({ kid }) => kid)).toEqual([second.kid]);
});

it('goes on with its keys when it is given bad ones', async () => {
  const first = await generatePushKey();
  const keys = pushKeys({ issuer, keys: [first] });
  expect(() => {
    keys.rotate([]);
  }).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  expect(kidOf(await keys.sign(notification))).toBe(first.kid);
});

it('does not publish a key twice that came back', async () => {
  const [first, second] = [await generatePushKey(), await generatePushKey()];
  const keys = pushKeys({ issuer, keys: [first] });
  keys.rotate([second]);
  keys.rotate([first]);
  expect(keys.jwks().keys.map(({ kid }) => kid)).toEqual([first.kid, second.kid]);
});

const ec = await generatePushKey();
const small = { ...(await exportJWK((await generateKeyPair('RS256', { extractable: true })).privateKey)) };
it.each<[string, JWK[]]>([
  ['no key', []],
  ['a public key', [{ kty: 'EC', crv: 'P-256', x: ec.x ?? '', y: ec.y ?? '', kid: 'k', alg: 'ES256' }]],
  ['a secret', [{ kty: 'oct', k: 'c2VjcmV0', kid: 'k', alg: 'HS256' }]],
  ['a key without kid', [{ ...ec, kid: '' }]],
  ['a key without alg', [{ ...small, kid: 'k' }]],
  ['a key for another algorithm', [{ ...ec, alg: 'ES384' }]],
  ['an algorithm for another key', [{ ...small, kid: 'k', alg: 'ES256' }]],
  ['no algorithm', [{ ...ec, alg: 'none' }]],
  ['two keys with one kid', [ec, ec]],
])('refuses %s, and shows nothing of it', (_, keys) => {
  const create = () => pushKeys({ issuer, keys });
  expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  expect(create).not.toThrow(new RegExp(ec.d ?? '-'));
});

it('serves the keys, and passes on what is not for it', async () => {
  const keys = pushKeys({ issuer, keys: [ec] });
  const route = jwksRoute(keys);
  const port = await listen(
    createServer((req, res) => {
      route(req, res, () => res.writeHead(418).end());
    }),
  );
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method });
  const answer = await ask('/.well-known/jwks.json?x=1');
  expect(await answer.json()).toEqual(keys.jwks());
  expect(answer.headers.get('content-type')).toBe('application/jwk-set+json');
  expect((await ask('/.well-known/jwks.json', 'HEAD')).status).toBe(200);
  expect((await ask('/.well-known/jwks.json', 'POST')).status).toBe(418);
  expect((await ask('/')).status).toBe(418);
});

it('serves the keys to node:http alone', async () => {
  const port = await listen(createServer(jwksRoute(pushKeys({ issuer, keys: [ec] }), '/keys')));
  expect((await fetch(`http://127.0.0.1:${port}/keys`)).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
});

it('gives the keys as a Response', async () => {
  const keys = pushKeys({ issuer, keys: [ec] });
  expect(await jwksResponse(keys).json()).toEqual(keys.jwks());
});

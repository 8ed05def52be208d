import { apiKey, bearer, ClientError, connect, planAuthentication, verifyCard } from '@a2a-auth/client';
import { AgentCard, generateAgentCardSignature } from '@a2a-js/sdk';
import { exportJWK, FlattenedSign, generateKeyPair, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';

import { json, rpc, scriptedFetch } from '../support/agent.js';
import { bearerScheme, cardJson, headerKey, oauthScheme } from '../support/card.js';
import { serve } from '../support/serve.js';

const header = { alg: 'ES256', kid: 'key-1', typ: 'JOSE' };
let trusted: JWK;
let signed: Record<string, unknown>;
let sign: (card: unknown) => Promise<Record<string, unknown>>;

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  trusted = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'ES256' };
  const generate = generateAgentCardSignature(privateKey, header);
  sign = async (card) =>
    JSON.parse(JSON.stringify(await generate(card as AgentCard))) as Record<string, unknown>;
  signed = await sign(
    cardJson({ oauth: oauthScheme(), key: headerKey() }, [{ oauth: ['read'] }, { oauth: ['write'] }]),
  );
});

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'verified',
    (error: unknown) => (error instanceof ClientError ? error.code : error),
  );

it('verifies a card that was signed with a trusted key', async () => {
  const card = await verifyCard(signed, { keys: [trusted] });
  expect(card.name).toBe('Test agent');
  expect(planAuthentication(card, { oauth: bearer('t') }).chosen?.requirement).toEqual({ oauth: ['read'] });
});

it('verifies a card that is held or served as the SDK holds it in memory', async () => {
  const held = AgentCard.fromJSON(signed);
  expect(await codeOf(verifyCard(held, { keys: [trusted] }))).toBe('verified');
  expect(await codeOf(verifyCard(JSON.parse(JSON.stringify(held)), { keys: [trusted] }))).toBe('verified');
});

it('verifies a card of which one of several signatures is good', async () => {
  const { privateKey } = await generateKeyPair('ES256');
  const twice = (await generateAgentCardSignature(privateKey, { ...header, kid: 'other' })(
    AgentCard.fromJSON({ ...signed, signatures: [] }),
  )) as unknown as { signatures: unknown[] };
  const signatures = [...twice.signatures, ...(signed.signatures as unknown[])];
  expect(await codeOf(verifyCard({ ...signed, signatures }, { keys: [trusted] }))).toBe('verified');
});

describe('a card is not verified', () => {
  const rejections: readonly [string, (card: Record<string, unknown>) => unknown, string][] = [
    ['without signatures', (card) => ({ ...card, signatures: [] }), 'CARD_UNSIGNED'],
    ['that is none', () => 'card', 'CARD_UNSIGNED'],
    ['with another name', (card) => ({ ...card, name: 'Evil agent' }), 'CARD_SIGNATURE_INVALID'],
    [
      'with another interface',
      (card) => ({
        ...card,
        supportedInterfaces: [{ url: 'https://evil.example', protocolBinding: 'JSONRPC' }],
      }),
      'CARD_SIGNATURE_INVALID',
    ],
    [
      'with another place for its key',
      (card) => ({ ...card, securitySchemes: { oauth: oauthScheme(), key: headerKey('X-Evil') } }),
      'CARD_SIGNATURE_INVALID',
    ],
    [
      'with a scheme more',
      (card) => ({
        ...card,
        securitySchemes: { oauth: oauthScheme(), key: headerKey(), token: bearerScheme },
      }),
      'CARD_SIGNATURE_INVALID',
    ],
    [
      'with fewer scopes',
      (card) => ({ ...card, securityRequirements: [{ schemes: { oauth: { list: ['read'] } } }] }),
      'CARD_SIGNATURE_INVALID',
    ],
    [
      'with signatures that are none',
      (card) => ({ ...card, signatures: [{}, { protected: 7 }] }),
      'CARD_SIGNATURE_INVALID',
    ],
    ['with too many signatures', (card) => ({ ...card, signatures: Array(11).fill({}) }), 'CARD_INVALID'],
  ];
  it.each(rejections)('%s', async (_name, change, code) => {
    expect(await codeOf(verifyCard(change(signed), { keys: [trusted] }))).toBe(code);
  });

  it('by the key of somebody else', async () => {
    const { publicKey } = await generateKeyPair('ES256', { extractable: true });
    const other = { ...(await exportJWK(publicKey)), kid: 'key-1' };
    expect(await codeOf(verifyCard(signed, { keys: [other] }))).toBe('CARD_SIGNATURE_INVALID');
  });

  it('by a shared secret, though it is among the trusted keys', async () => {
    const secret = {
      kty: 'oct',
      k: Buffer.from('0123456789abcdef0123456789abcdef').toString('base64url'),
      kid: 's',
    };
    const { canonicalizeAgentCard } = await import('@a2a-js/sdk');
    const card = cardJson({ key: headerKey() });
    const { protected: protectedHeader, signature } = await new FlattenedSign(
      new TextEncoder().encode(canonicalizeAgentCard(card as unknown as AgentCard)),
    )
      .setProtectedHeader({ alg: 'HS256', kid: 's', typ: 'JOSE' })
      .sign(Buffer.from(secret.k, 'base64url'));
    const forged = { ...card, signatures: [{ protected: protectedHeader, signature }] };
    expect(await codeOf(verifyCard(forged, { keys: [secret] }))).toBe('CARD_SIGNATURE_INVALID');
  });

  it('whose signature leaves the schemes out', async () => {
    // What the SDK signs of its own object lacks the schemes.
    const incomplete = await sign(AgentCard.fromJSON(cardJson({ key: headerKey() })));
    const wire = AgentCard.toJSON(incomplete as unknown as AgentCard);
    await expect(verifyCard(wire, { keys: [trusted] })).rejects.toMatchObject({
      code: 'CARD_SIGNATURE_INVALID',
      message: expect.stringContaining('leaves its security schemes out') as string,
    });
  });
});

it('gives back nothing that the signature does not cover', async () => {
  const tampered = {
    ...signed,
    url: 'https://evil.example/rpc',
    additionalInterfaces: [{ url: 'https://evil.example/rest', transport: 'HTTP+JSON' }],
    security: [{ evil: [] }],
    security_schemes: { evil: { type: 'apiKey', in: 'header', name: 'X-Evil' } },
  };
  const card = await verifyCard(tampered, { keys: [trusted] });
  expect(JSON.stringify(card)).not.toMatch(/evil/i);
});

it('lets nobody add security to a signed card that has none', async () => {
  const anonymous = await sign(cardJson({}));
  const tampered = {
    ...anonymous,
    security: [{ key: [] }],
    security_schemes: { key: { type: 'apiKey', in: 'header', name: 'X-Evil' } },
  };
  const agent = scriptedFetch(json(tampered), json(rpc({ id: 't' })));
  const client = await connect('https://agent.example', {
    credentials: { key: apiKey('k') },
    requireSignedCard: { keys: [trusted] },
    fetch: agent.fetch,
  });
  await client.getTask({ tenant: '', id: 't' });
  expect(agent.seen[1]?.headers.has('x-evil')).toBe(false);
});

describe('keys', () => {
  const serveKeys = async (body: unknown) => {
    const url = await serve((_request, response) => response.end(JSON.stringify(body)));
    return `${url}/jwks`;
  };

  it('are fetched from a trusted address', async () => {
    expect(await codeOf(verifyCard(signed, { jwksUri: await serveKeys({ keys: [trusted] }) }))).toBe(
      'verified',
    );
  });

  it.each([[{ keys: [] }], [{}], [[]], ['keys']])('that are none verify nothing: %j', async (body) => {
    expect(await codeOf(verifyCard(signed, { jwksUri: await serveKeys(body) }))).toBe(
      'CARD_SIGNATURE_INVALID',
    );
  });

  it('that cannot be fetched are an error of their own', async () => {
    expect(await codeOf(verifyCard(signed, { jwksUri: 'http://127.0.0.1:1/jwks' }))).toBe(
      'PROVIDER_UNAVAILABLE',
    );
  });

  it('are never those that the card names', async () => {
    const jku = await serveKeys({ keys: [trusted] });
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    const forged = (await generateAgentCardSignature(privateKey, { ...header, jku, jwk })(
      cardJson({}) as unknown as AgentCard,
    )) as unknown;
    expect(await codeOf(verifyCard(forged, { keys: [trusted] }))).toBe('CARD_SIGNATURE_INVALID');
  });

  it.each([
    {},
    { keys: [] },
    { keys: [{ kty: 'EC' }], jwksUri: 'https://a.example' },
    { jwksUri: 'http://a.example/jwks' },
    { jwksUri: 'jwks' },
  ])('have to be named well: %j', async (trust) => {
    expect(await codeOf(verifyCard(signed, trust))).toBe('INVALID_OPTION');
  });
});

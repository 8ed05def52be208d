import { apiKey, ClientError, connect, planAuthentication, verifyCard } from '@a2a-auth/client';
import { AgentCard, canonicalizeAgentCard, generateAgentCardSignature } from '@a2a-js/sdk';
import { exportJWK, exportSPKI, FlattenedSign, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';

import { json, rpc, scriptedFetch } from '../support/agent.js';
import { cardJson, headerKey } from '../support/card.js';

const header = { alg: 'RS256', kid: 'key-1', typ: 'JOSE' };
const card = cardJson({ key: headerKey() }, [{ key: [] }]);
let privateKey: CryptoKey;
let publicKey: CryptoKey;
let trusted: JWK;
let signed: Record<string, unknown>;

async function sign(
  content: unknown,
  key: CryptoKey = privateKey,
  fields: object = header,
): Promise<Record<string, unknown>> {
  const generate = generateAgentCardSignature(key, fields as typeof header);
  return JSON.parse(JSON.stringify(await generate(content as AgentCard))) as Record<string, unknown>;
}

beforeAll(async () => {
  ({ privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true }));
  trusted = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'RS256' };
  signed = await sign(card);
});

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'verified',
    (error: unknown) => (error instanceof ClientError ? error.code : error),
  );

/** The card as the SDK holds it, and some agents serve it. */
const held = () => JSON.parse(JSON.stringify(AgentCard.fromJSON(signed))) as Record<string, unknown>;

describe('a signed card in the form of the SDK', () => {
  it('has no place for a key that the signature does not cover', async () => {
    const tampered = {
      ...held(),
      securitySchemes: {
        ...(held().securitySchemes as object),
        evil: { scheme: { $case: 'api_key_security_scheme', value: { location: 'query', name: 'leak' } } },
      },
      securityRequirements: [{ schemes: { evil: { list: [] } } }],
    };
    const agent = scriptedFetch(json(tampered), json(rpc({ id: 't' })));
    const client = await connect('https://agent.example', {
      credentials: [apiKey('S3CRET')],
      requireSignedCard: { keys: [trusted] },
      fetch: agent.fetch,
    }).catch((error: unknown) => error);
    expect(client).toMatchObject({ code: 'NO_ALTERNATIVE' });
  });

  it('has nothing besides that the signature does not cover', async () => {
    const tampered = { ...held(), url: 'https://evil.example/rpc', security: [{ evil: [] }] };
    expect(JSON.stringify(await verifyCard(tampered, { keys: [trusted] }))).not.toContain('evil');
  });
});

describe('a card is not verified', () => {
  const protect = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url');
  const payload = () => new TextEncoder().encode(canonicalizeAgentCard(card as unknown as AgentCard));

  it.each(['none', 'None', 'NONE', ''])('by the algorithm %j', async (alg) => {
    const forged = { ...card, signatures: [{ protected: protect({ ...header, alg }), signature: '' }] };
    expect(await codeOf(verifyCard(forged, { keys: [trusted] }))).toBe('CARD_SIGNATURE_INVALID');
  });

  it('by the public key taken for a shared secret', async () => {
    const { protected: fields, signature } = await new FlattenedSign(payload())
      .setProtectedHeader({ ...header, alg: 'HS256' })
      .sign(Buffer.from(await exportSPKI(publicKey)));
    const forged = { ...card, signatures: [{ protected: fields, signature }] };
    expect(await codeOf(verifyCard(forged, { keys: [trusted] }))).toBe('CARD_SIGNATURE_INVALID');
  });

  it.each(['jwk', 'x5c', 'jku', 'x5u'])('by a key that its own %s brings', async (name) => {
    const mine = await generateKeyPair('RS256', { extractable: true });
    const jwk = await exportJWK(mine.publicKey);
    const value = { jwk, x5c: ['AAAA'], jku: 'https://evil.example', x5u: 'https://evil.example' }[name];
    const forged = await sign(card, mine.privateKey, { ...header, [name]: value });
    expect(await codeOf(verifyCard(forged, { keys: [trusted] }))).toBe('CARD_SIGNATURE_INVALID');
  });

  it('by a signature that says something critical of itself', async () => {
    const signing = new FlattenedSign(payload()).setProtectedHeader({
      ...header,
      crit: ['x'],
      x: 1,
    });
    const { protected: fields, signature } = await signing.sign(privateKey, { crit: { x: true } });
    const forged = { ...card, signatures: [{ protected: fields, signature }] };
    expect(await codeOf(verifyCard(forged, { keys: [trusted] }))).toBe('CARD_SIGNATURE_INVALID');
  });

  it('by a header that is not protected', async () => {
    const [entry] = signed.signatures as { signature: string }[];
    const forged = { ...card, signatures: [{ header, signature: entry?.signature }] };
    expect(await codeOf(verifyCard(forged, { keys: [trusted] }))).toBe('CARD_SIGNATURE_INVALID');
  });

  it('by the last of two members of one name', async () => {
    const text = JSON.stringify(signed).replace('"name":"Test agent"', '$&,"name":"Evil agent"');
    expect(await codeOf(verifyCard(JSON.parse(text), { keys: [trusted] }))).toBe('CARD_SIGNATURE_INVALID');
  });
});

describe('trusted keys', () => {
  it('need no kid', async () => {
    const keys = [(await other()).jwk, withoutKid(trusted)];
    expect(await codeOf(verifyCard(signed, { keys }))).toBe('verified');
  });

  it('of one kid are all tried', async () => {
    const keys = [{ ...(await other()).jwk, kid: 'key-1' }, trusted];
    expect(await codeOf(verifyCard(signed, { keys }))).toBe('verified');
  });

  it('of another kid are not tried', async () => {
    expect(await codeOf(verifyCard(signed, { keys: [{ ...trusted, kid: 'key-2' }] }))).toBe(
      'CARD_SIGNATURE_INVALID',
    );
  });

  async function other() {
    const pair = await generateKeyPair('RS256', { extractable: true });
    return { jwk: await exportJWK(pair.publicKey) };
  }

  function withoutKid({ kid, ...jwk }: JWK): JWK {
    expect(kid).toBeDefined();
    return jwk;
  }
});

it('adds nothing to what all objects have', async () => {
  const text = JSON.stringify(signed).replace(
    '"securitySchemes":{',
    '$&"__proto__":{"apiKeySecurityScheme":{"location":"query","name":"leak"}},',
  );
  const { chosen } = planAuthentication(await verifyCard(JSON.parse(text), { keys: [trusted] }), [
    apiKey('k'),
  ]);
  expect(chosen?.steps[0]?.scheme).toEqual({ type: 'apiKey', in: 'header', name: 'X-API-Key' });
  expect('apiKeySecurityScheme' in {}).toBe(false);
});

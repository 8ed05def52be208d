import { AgentCard } from '@a2a-js/sdk';
import { describe, expect, it } from 'vitest';

import { toCardJson, toLegacyCardJson } from '../../src/card/publish.js';
import { agentCard, headerScheme, securityOf } from '../support/agent.js';

const device = {
  type: 'oauth2',
  flow: {
    type: 'deviceCode',
    deviceAuthorizationUrl: 'https://as.example/device',
    tokenUrl: 'https://as.example/token',
    scopes: { read: 'Read' },
  },
} as const;
const security = () =>
  securityOf(
    {
      key: headerScheme('X-API-Key'),
      device: headerScheme('authorization', undefined, { declaration: device }),
      hidden: headerScheme('x-hidden', undefined, { declaration: undefined }),
    },
    [{ device: ['read'], hidden: [] }, { key: [] }],
  );
const signature = { protected: 'e30', signature: 'AAAA' };

describe('publishing', () => {
  it('writes schemes and requirements into the card, in their order', () => {
    expect(AgentCard.toJSON(security().publish(agentCard()))).toMatchObject({
      name: 'Test agent',
      securitySchemes: {
        key: { apiKeySecurityScheme: { location: 'header', name: 'X-API-Key' } },
        device: { oauth2SecurityScheme: { flows: { deviceCode: { tokenUrl: 'https://as.example/token' } } } },
      },
      securityRequirements: [{ schemes: { device: { list: ['read'] } } }, { schemes: { key: {} } }],
    });
  });

  it('leaves out what is not to be published', () => {
    expect(JSON.stringify(security().publish(agentCard()))).not.toContain('hidden');
  });

  it('leaves the card it was given alone', () => {
    const card = agentCard();
    security().publish(card);
    expect(card).toEqual(agentCard());
  });

  it('twice is publishing once', () => {
    const published = security().publish(agentCard());
    expect(security().publish(published)).toBe(published);
  });

  it('on a card that says the same by hand changes nothing', () => {
    const byHand = AgentCard.fromJSON(AgentCard.toJSON(security().publish(agentCard())));
    expect(security().publish(byHand)).toBe(byHand);
  });

  it.each([
    ['other schemes', { securitySchemes: { other: { mtlsSecurityScheme: {} } } }],
    ['other requirements', { securityRequirements: [{ schemes: { other: { list: [] } } }] }],
    ['an anonymous requirement', { securityRequirements: [{ schemes: {} }] }],
  ])('on a card that declares %s: CARD_CONFLICT', (_what, fields) => {
    expect(() => security().publish(agentCard(fields))).toThrow(
      expect.objectContaining({
        code: 'CARD_CONFLICT',
        message: expect.stringMatching(/"Test agent".*Remove them/) as string,
      }),
    );
  });

  it('on a card that asks for one scope less: CARD_CONFLICT', () => {
    const card = security().publish(agentCard());
    const [first] = card.securityRequirements;
    first?.schemes.device?.list.pop();
    expect(() => security().publish(card)).toThrow(expect.objectContaining({ code: 'CARD_CONFLICT' }));
  });

  it('on a card that is signed already: CARD_SIGNED', () => {
    expect(() => security().publish(agentCard({ signatures: [signature] }))).toThrow(
      expect.objectContaining({
        code: 'CARD_SIGNED',
        message: expect.stringMatching(/"Test agent".*Sign what AgentSecurity.publish/) as string,
      }),
    );
  });

  it('on a card that was signed with the same on it keeps the signature', () => {
    const signed = { ...security().publish(agentCard()), signatures: [{ ...signature, header: undefined }] };
    expect(security().publish(signed)).toBe(signed);
  });
});

describe('the JSON of a card', () => {
  it('of 1.0 is what the SDK reads back', () => {
    const card = security().publish(agentCard());
    expect(AgentCard.fromJSON(JSON.parse(JSON.stringify(toCardJson(card))))).toEqual(card);
  });

  it('of 0.3 has all schemes and flows, and the requirements', async () => {
    const card = security().publish(agentCard());
    expect(await toLegacyCardJson(card, security().published)).toMatchObject({
      name: 'Test agent',
      protocolVersion: expect.stringMatching(/^0\.3/) as string,
      securitySchemes: {
        key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        device: {
          type: 'oauth2',
          flows: { deviceCode: { deviceAuthorizationUrl: 'https://as.example/device' } },
        },
      },
      security: [{ device: ['read'] }, { key: [] }],
    });
  });

  it('of 0.3 is not there for an agent without a 0.3 interface', async () => {
    const supportedInterfaces = [
      { url: 'https://agent.example', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    ];
    const card = security().publish(agentCard({ supportedInterfaces }));
    expect(await toLegacyCardJson(card, security().published)).toBeUndefined();
  });
});

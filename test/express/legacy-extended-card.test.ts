import { AgentSecurity, apiKey, oauth2DeviceCode } from '@a2a-auth/server';
import { beforeAll, describe, expect, it } from 'vitest';

import { combinations, connect } from '../support/client.js';
import { closeServersAfterTests, startAgent, type RunningAgent } from '../support/server.js';

closeServersAfterTests();

const deviceCode = {
  deviceAuthorizationUrl: 'https://as.example/device',
  tokenUrl: 'https://as.example/token',
  scopes: { ask: 'To ask' },
};
const headers = { 'x-key': 'a-key' };

/** An agent whose card has a flow that the SDK's 0.3 translation does not know. */
function securityWithDeviceCode() {
  return new AgentSecurity()
    .addSecurityScheme('key', apiKey({ in: 'header', name: 'X-Key', keys: ['a-key'] }))
    .addSecurityScheme(
      'device',
      oauth2DeviceCode({ ...deviceCode, verifier: { verify: () => Promise.reject(new Error('unused')) } }),
    )
    .addSecurityRequirement({ key: [] })
    .addSecurityRequirement({ device: ['ask'] });
}

describe('the extended card of an agent with a device code flow', () => {
  let agent: RunningAgent;
  beforeAll(async () => {
    agent = await startAgent({ lifetime: 'file', security: securityWithDeviceCode() });
  });

  it('has the flow as flows.deviceCode over JSON-RPC 0.3', async () => {
    const response = await fetch(agent.jsonRpcUrl, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'agent/getAuthenticatedExtendedCard' }),
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      jsonrpc: '2.0',
      id: 7,
      result: {
        protocolVersion: '0.3',
        securitySchemes: { device: { type: 'oauth2', flows: { deviceCode } } },
        security: [{ key: [] }, { device: ['ask'] }],
      },
    });
  });

  it('has no such scheme over HTTP+JSON 0.3, whose protocol buffers have no such flow', async () => {
    const response = await fetch(`${agent.restUrl}/v1/card`, { headers });
    expect(response.status).toBe(200);
    const card = (await response.json()) as { securitySchemes: object };
    expect(Object.keys(card.securitySchemes)).toEqual(['key']);
    expect(card).toMatchObject({
      securitySchemes: { key: { apiKeySecurityScheme: { name: 'X-Key' } } },
      security: [{ schemes: { key: {} } }, { schemes: { device: { list: ['ask'] } } }],
    });
  });

  it('says that there is none as the SDK does', async () => {
    const without = await startAgent({
      security: securityWithDeviceCode(),
      card: { capabilities: { extensions: [], extendedAgentCard: false } },
    });
    const response = await fetch(`${without.restUrl}/v1/card`, { headers });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: expect.any(Number) as unknown });
  });

  // Over JSON-RPC 0.3, the official client knows no such flow either.
  it.each([
    ...combinations
      .filter(({ version }) => version === '1.0')
      .map((combination) => [combination, ['key', 'device']] as const),
    [{ binding: 'HTTP+JSON', version: '0.3' }, ['key']] as const,
  ])('reaches the official client over %j', async (combination, ids) => {
    const client = await connect(agent.url, combination, headers);
    const card = await client.getAgentCard();
    expect(Object.keys(card.securitySchemes)).toEqual(ids);
  });
});

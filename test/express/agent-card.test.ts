import { AgentCard, SecurityScheme } from '@a2a-js/sdk';
import { AgentSecurity, type SecuritySchemeDeclaration } from '@a2a-auth/server';
import { DefaultAgentCardResolver } from '@a2a-js/sdk/client';
import { beforeAll, describe, expect, it } from 'vitest';

import { agentCard } from '../support/agent.js';
import { closeServersAfterTests, startAgent, type RunningAgent } from '../support/server.js';

closeServersAfterTests();

interface Declared {
  readonly declaration: SecuritySchemeDeclaration;
  /** The JSON of A2A 1.0. */
  readonly json: Readonly<Record<string, unknown>>;
  /** The JSON of A2A 0.3. */
  readonly legacyJson: Readonly<Record<string, unknown>>;
}

const scopes = { read: 'To read', write: 'To write' };
const tokenUrl = 'https://as.example/token';
const refreshUrl = 'https://as.example/refresh';
const authorizationUrl = 'https://as.example/authorize';
const deviceAuthorizationUrl = 'https://as.example/device';
const oauth2MetadataUrl = 'https://as.example/.well-known/oauth-authorization-server';

function apiKeyIn(place: 'header' | 'query' | 'cookie'): Declared {
  const name = `key-${place}`;
  return {
    declaration: { type: 'apiKey', in: place, name, description: `A key in the ${place}.` },
    json: { apiKeySecurityScheme: { location: place, name, description: `A key in the ${place}.` } },
    legacyJson: { type: 'apiKey', in: place, name, description: `A key in the ${place}.` },
  };
}

/** Every scheme type, with as much as it can say, and with as little. */
const declared: Readonly<Record<string, Declared>> = {
  headerKey: apiKeyIn('header'),
  queryKey: apiKeyIn('query'),
  cookieKey: apiKeyIn('cookie'),
  bearer: {
    declaration: { type: 'http', scheme: 'Bearer', bearerFormat: 'JWT', description: 'A token.' },
    json: { httpAuthSecurityScheme: { scheme: 'Bearer', bearerFormat: 'JWT', description: 'A token.' } },
    legacyJson: { type: 'http', scheme: 'Bearer', bearerFormat: 'JWT', description: 'A token.' },
  },
  basic: {
    declaration: { type: 'http', scheme: 'Basic' },
    json: { httpAuthSecurityScheme: { scheme: 'Basic' } },
    legacyJson: { type: 'http', scheme: 'Basic' },
  },
  code: {
    declaration: {
      type: 'oauth2',
      description: 'For people.',
      oauth2MetadataUrl,
      flow: { type: 'authorizationCode', authorizationUrl, tokenUrl, refreshUrl, scopes, pkceRequired: true },
    },
    json: {
      oauth2SecurityScheme: {
        description: 'For people.',
        oauth2MetadataUrl,
        flows: { authorizationCode: { authorizationUrl, tokenUrl, refreshUrl, scopes, pkceRequired: true } },
      },
    },
    legacyJson: {
      type: 'oauth2',
      description: 'For people.',
      oauth2MetadataUrl,
      flows: { authorizationCode: { authorizationUrl, tokenUrl, refreshUrl, scopes } },
    },
  },
  client: {
    declaration: { type: 'oauth2', flow: { type: 'clientCredentials', tokenUrl, scopes } },
    json: { oauth2SecurityScheme: { flows: { clientCredentials: { tokenUrl, scopes } } } },
    legacyJson: { type: 'oauth2', flows: { clientCredentials: { tokenUrl, scopes } } },
  },
  device: {
    declaration: {
      type: 'oauth2',
      flow: { type: 'deviceCode', deviceAuthorizationUrl, tokenUrl, refreshUrl, scopes },
    },
    json: {
      oauth2SecurityScheme: {
        flows: { deviceCode: { deviceAuthorizationUrl, tokenUrl, refreshUrl, scopes } },
      },
    },
    legacyJson: {
      type: 'oauth2',
      flows: { deviceCode: { deviceAuthorizationUrl, tokenUrl, refreshUrl, scopes } },
    },
  },
  oidc: {
    declaration: {
      type: 'openIdConnect',
      openIdConnectUrl: 'https://op.example/.well-known/openid-configuration',
    },
    json: {
      openIdConnectSecurityScheme: {
        openIdConnectUrl: 'https://op.example/.well-known/openid-configuration',
      },
    },
    legacyJson: {
      type: 'openIdConnect',
      openIdConnectUrl: 'https://op.example/.well-known/openid-configuration',
    },
  },
  certificate: {
    declaration: { type: 'mutualTLS', description: 'A certificate.' },
    json: { mtlsSecurityScheme: { description: 'A certificate.' } },
    legacyJson: { type: 'mutualTLS', description: 'A certificate.' },
  },
};

const requirements: readonly Readonly<Record<string, readonly string[]>>[] = [
  { headerKey: [] },
  { queryKey: [], cookieKey: [] },
  { code: ['read', 'write'], certificate: [] },
  { client: ['read'] },
  { device: [] },
  { bearer: [], headerKey: [] },
  { basic: [] },
  { oidc: ['read'] },
];

/** Declares, and lets nobody in. */
function declare(ids = Object.keys(declared)): AgentSecurity<string> {
  const security: AgentSecurity<string> = new AgentSecurity<string>();
  for (const [id, { declaration }] of Object.entries(declared)) {
    if (!ids.includes(id)) continue;
    security.addSecurityScheme(id, {
      declaration,
      extract: () => undefined,
      verify: () => ({ verified: false, reason: 'invalid', detail: 'Nobody passes.' }),
    });
  }
  for (const requirement of requirements) {
    if (Object.keys(requirement).every((id) => ids.includes(id)))
      security.addSecurityRequirement(requirement);
  }
  return security;
}

const json = (of: 'json' | 'legacyJson') =>
  Object.fromEntries(Object.entries(declared).map(([id, forms]) => [id, forms[of]]));

let agent: RunningAgent;
beforeAll(async () => {
  agent = await startAgent({ lifetime: 'file', security: declare() });
});

const fetchCard = (version: string | undefined, init: RequestInit = {}, url = agent.cardUrl) =>
  fetch(url, {
    ...init,
    headers: { ...(version === undefined ? {} : { 'A2A-Version': version }), ...(init.headers as object) },
  });

type Json = Record<string, unknown>;
const cardOf = async (response: Response) => (await response.json()) as Json;

describe('the card of A2A 1.0', () => {
  it('has every scheme and requirement, in the JSON of the protocol', async () => {
    const response = await fetchCard('1.0');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    const card = await cardOf(response);
    expect(card.securitySchemes).toEqual(json('json'));
    expect(card.securityRequirements).toEqual(
      requirements.map((requirement) => ({
        schemes: Object.fromEntries(
          Object.entries(requirement).map(([id, list]) => [id, list.length === 0 ? {} : { list }]),
        ),
      })),
    );
    expect(card).not.toHaveProperty('security');
  });

  it('keeps everything else as the agent has it', async () => {
    const { securitySchemes, securityRequirements, ...rest } = await cardOf(await fetchCard('1.0'));
    expect(Object.keys(securitySchemes as Json)).toEqual(Object.keys(declared));
    expect(securityRequirements).toHaveLength(requirements.length);
    expect(rest).toEqual(JSON.parse(JSON.stringify(AgentCard.toJSON(agent.card))));
  });

  it("is read back by the SDK's resolver as it was declared", async () => {
    const card = await new DefaultAgentCardResolver().resolve(agent.url);
    expect(card).toEqual(agent.security.publish(agent.card));
    for (const [id, { json: expected }] of Object.entries(declared)) {
      const scheme = card.securitySchemes[id];
      expect(scheme && SecurityScheme.toJSON(scheme), id).toEqual(expected);
    }
  });

  it.each(['1.0', '1.1', '2.0', 'nonsense', '0.2'])('is what A2A-Version %s gets', async (version) => {
    expect(await cardOf(await fetchCard(version))).toHaveProperty('supportedInterfaces');
  });
});

describe('the card of A2A 0.3', () => {
  it('has every scheme and requirement, the device code flow too, in the JSON of that version', async () => {
    const response = await fetchCard('0.3');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    const card = await cardOf(response);
    expect(card).toMatchObject({
      protocolVersion: '0.3',
      url: agent.jsonRpcUrl,
      preferredTransport: 'JSONRPC',
      supportsAuthenticatedExtendedCard: true,
      securitySchemes: json('legacyJson'),
      security: requirements,
    });
    expect(card).not.toHaveProperty('securityRequirements');
    expect(card).not.toHaveProperty('supportedInterfaces');
  });

  it("is read back by the SDK's resolver as it was declared", async () => {
    // All but the device code flow, at which this resolver throws: 0.3 itself does not know it.
    const ids = Object.keys(declared).filter((id) => id !== 'device');
    const { url, card: own, security } = await startAgent({ security: declare(ids) });
    const resolver = new DefaultAgentCardResolver({
      legacyCompat: { enabled: true },
      fetchImpl: (input, init) => fetch(input, { ...init, headers: { 'A2A-Version': '0.3' } }),
    });
    const card = await resolver.resolve(url);
    expect(card.supportedInterfaces.map(({ protocolVersion }) => protocolVersion)).toEqual(['0.3', '0.3']);
    expect(card.securityRequirements).toEqual(security.publish(own).securityRequirements);
    for (const id of ids) {
      const scheme = card.securitySchemes[id];
      const expected = structuredClone(declared[id]?.json);
      // 0.3 cannot say this.
      const flows = (expected?.oauth2SecurityScheme as { flows?: Record<string, Json> } | undefined)?.flows;
      delete flows?.authorizationCode?.pkceRequired;
      expect(scheme && SecurityScheme.toJSON(scheme), id).toEqual(expected);
    }
    expect(Object.keys(card.securitySchemes)).toEqual(ids);
  });

  it.each([undefined, '', '0.3', '0.3.0', '0.4'])('is what A2A-Version %s gets', async (version) => {
    expect(await cardOf(await fetchCard(version))).toHaveProperty('protocolVersion', '0.3');
  });

  it.each([undefined, ''])(
    'has the interfaces of all versions for whoever asks without A2A-Version (%s), as a 1.0 client may that left it out',
    async (version) => {
      const { supportedInterfaces, ...legacy } = await cardOf(await fetchCard(version));
      expect(supportedInterfaces).toEqual((await cardOf(await fetchCard('1.0'))).supportedInterfaces);
      expect(legacy).toEqual(await cardOf(await fetchCard('0.3')));
    },
  );

  it('is not there when the card has no 0.3 interface: callers without A2A-Version get the one of 1.0', async () => {
    const { supportedInterfaces } = agentCard('https://agent.example');
    const modern = await startAgent({
      card: {
        supportedInterfaces: supportedInterfaces.filter(({ protocolVersion }) => protocolVersion === '1.0'),
      },
    });
    for (const version of [undefined, '0.3']) {
      const card = await cardOf(await fetchCard(version, {}, modern.cardUrl));
      expect(card).toHaveProperty('supportedInterfaces');
      expect(card).toHaveProperty('securityRequirements');
    }
  });
});

describe.each(['1.0', '0.3', undefined])('the card route with A2A-Version %s', (version) => {
  it('needs no credential', async () => {
    const response = await fetchCard(version);
    expect(response.status).toBe(200);
    expect(response.headers.get('www-authenticate')).toBeNull();
  });

  it('lets callers and proxies keep the card for an hour, by version', async () => {
    const { headers } = await fetchCard(version);
    expect(headers.get('cache-control')).toBe('public, max-age=3600');
    expect(headers.get('vary')).toMatch(/\bA2A-Version\b/i);
    expect(headers.get('etag')).toMatch(/^"[\w-]+"$/);
  });

  it('answers 304 to whoever has this very card', async () => {
    const etag = (await fetchCard(version)).headers.get('etag') ?? '';
    for (const sent of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const response = await fetchCard(version, { headers: { 'If-None-Match': sent } });
      expect(response.status).toBe(304);
      expect(response.headers.get('etag')).toBe(etag);
      expect(response.headers.get('vary')).toMatch(/\bA2A-Version\b/i);
      expect(response.headers.get('cache-control')).toBe('public, max-age=3600');
      expect(response.headers.get('content-type')).toBeNull();
      expect(await response.text()).toBe('');
    }
  });

  it('answers 200 to whoever has another one', async () => {
    const other = (await fetchCard(version === '1.0' ? '0.3' : '1.0')).headers.get('etag') ?? '';
    for (const sent of ['"other"', other]) {
      expect((await fetchCard(version, { headers: { 'If-None-Match': sent } })).status).toBe(200);
    }
  });

  it('answers HEAD as GET, without the card', async () => {
    const get = await fetchCard(version);
    const head = await fetchCard(version, { method: 'HEAD' });
    expect(head.status).toBe(200);
    for (const name of ['content-type', 'content-length', 'etag', 'cache-control', 'vary']) {
      expect(head.headers.get(name)).toBe(get.headers.get(name));
    }
    expect(await head.text()).toBe('');
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH'])('refuses %s', async (method) => {
    const response = await fetchCard(version, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
  });
});

it('cardMaxAge says how long the card may be kept, and 0 that it must be asked for each time', async () => {
  for (const [cardMaxAge, expected] of [
    [60, 'public, max-age=60'],
    [0, 'no-cache'],
  ] as const) {
    const { cardUrl } = await startAgent({ router: { cardMaxAge } });
    expect((await fetchCard('1.0', {}, cardUrl)).headers.get('cache-control')).toBe(expected);
  }
});

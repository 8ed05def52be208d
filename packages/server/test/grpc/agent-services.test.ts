import { AgentSecurity, allowAll, apiKey, ConfigurationError, type SecurityScheme } from '@a2a-auth/server';
import { agentServices } from '@a2a-auth/server/grpc';
import { LegacyA2AService } from '@a2a-js/sdk/compat/v0_3/server/grpc';
import { AgentCard } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import { A2AService } from '@a2a-js/sdk/server/grpc';
import { describe, expect, it } from 'vitest';

/** Nothing here is called. */
const requestHandler = {
  getAgentCard: () => Promise.resolve(AgentCard.fromJSON({})),
} as Partial<A2ARequestHandler> as A2ARequestHandler;

const inHeader = (name: string) => apiKey({ in: 'header', name, keys: ['a-key'] });
const inQuery = apiKey({ in: 'query', name: 'key', keys: ['a-key'] });
const inCookie = apiKey({ in: 'cookie', name: 'session', keys: ['a-key'] });
const mutualTls: SecurityScheme = {
  declaration: { type: 'mutualTLS' },
  extract: () => undefined,
  verify: () => ({ verified: false, reason: 'invalid', detail: '' }),
};

function problemOf(security: AgentSecurity<string>): ConfigurationError | undefined {
  try {
    agentServices({ security, requestHandler });
    return undefined;
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
}

describe('agentServices', () => {
  it('has a service for each version, with all of its methods and nothing else', () => {
    const security = new AgentSecurity()
      .addSecurityScheme('key', inHeader('X-Key'))
      .addSecurityRequirement({ key: [] });
    const services = agentServices({ security, requestHandler });
    expect(services.map(({ definition }) => definition)).toEqual([A2AService, LegacyA2AService]);
    for (const { definition, implementation } of services) {
      expect(new Set(Object.keys(implementation))).toEqual(new Set(Object.keys(definition)));
    }
  });

  it('says at once that nothing would be enforced', () => {
    expect(problemOf(new AgentSecurity())).toMatchObject({ code: 'NO_REQUIREMENT' });
  });

  it.each([
    ['a query', inQuery, 'an API key in a query parameter'],
    ['a cookie', inCookie, 'an API key in a cookie'],
    ['a header that announces bytes', inHeader('X-Key-Bin'), 'the header X-Key-Bin'],
    ['a header that is of gRPC', inHeader('grpc-key'), 'the header grpc-key'],
    ['a header whose name metadata cannot have', inHeader("X-Partner's-Key"), "the header X-Partner's-Key"],
  ])('refuses an agent whose only key is in %s', (_place, scheme, culprit) => {
    const security = new AgentSecurity()
      .addSecurityScheme('key', scheme)
      .addSecurityScheme('unused', inHeader('X-Unused'))
      .addSecurityRequirement({ key: [] });
    const problem = problemOf(security);
    expect(problem?.code).toBe('UNREACHABLE_SCHEME');
    expect(problem?.message).toContain(`"key" (${culprit}`);
    expect(problem?.message).toContain('Add an alternative');
  });

  it('names every scheme that stands in the way, once', () => {
    const security = new AgentSecurity()
      .addSecurityScheme('query', inQuery)
      .addSecurityScheme('cookie', inCookie)
      .addSecurityScheme('header', inHeader('X-Key'))
      .addSecurityRequirement({ query: [] })
      .addSecurityRequirement({ query: [], header: [] })
      .addSecurityRequirement({ cookie: [], header: [] });
    const { message = '' } = problemOf(security) ?? {};
    expect(message.match(/"[a-z]+"/g)).toEqual(['"query"', '"cookie"']);
  });

  it.each<[string, (security: AgentSecurity<'query'>) => AgentSecurity<string>]>([
    ['anonymous', (security) => security.addSecurityRequirement({})],
    [
      'a key in a header',
      (security) =>
        security.addSecurityScheme('header', inHeader('X_Key.1')).addSecurityRequirement({ header: [] }),
    ],
    [
      'a client certificate',
      (security) => security.addSecurityScheme('tls', mutualTls).addSecurityRequirement({ tls: [] }),
    ],
    [
      'a scheme that is not on the card',
      (security) => security.addSecurityScheme('dev', allowAll()).addSecurityRequirement({ dev: [] }),
    ],
  ])('serves an agent with a key in the query where another alternative is %s', (_other, add) => {
    const security = new AgentSecurity()
      .addSecurityScheme('query', inQuery)
      .addSecurityRequirement({ query: [] });
    expect(problemOf(add(security))).toBeUndefined();
  });

  it('serves an agent that is open to everyone', () => {
    expect(problemOf(new AgentSecurity({ allowAnonymous: true }))).toBeUndefined();
  });
});

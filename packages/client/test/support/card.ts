/** A card of A2A 1.0 with this security, as JSON. */
export function cardJson(
  securitySchemes: Readonly<Record<string, unknown>>,
  securityRequirements: readonly Readonly<Record<string, readonly string[]>>[] = [],
  fields: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    name: 'Test agent',
    description: 'An agent for tests.',
    version: '1.0.0',
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    supportedInterfaces: [
      { url: 'https://agent.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    ],
    securitySchemes,
    securityRequirements: securityRequirements.map((requirement) => ({
      schemes: Object.fromEntries(Object.entries(requirement).map(([id, list]) => [id, { list }])),
    })),
    ...fields,
  };
}

export const headerKey = (name = 'X-API-Key') => ({ apiKeySecurityScheme: { location: 'header', name } });
export const queryKey = (name = 'key') => ({ apiKeySecurityScheme: { location: 'query', name } });
export const cookieKey = (name = 'key') => ({ apiKeySecurityScheme: { location: 'cookie', name } });
export const bearerScheme = { httpAuthSecurityScheme: { scheme: 'Bearer' } };
export const basicScheme = { httpAuthSecurityScheme: { scheme: 'Basic' } };
export const mtlsScheme = { mtlsSecurityScheme: {} };
export const oauthScheme = (scopes: Readonly<Record<string, string>> = { read: '', write: '' }) => ({
  oauth2SecurityScheme: {
    flows: { clientCredentials: { tokenUrl: 'https://issuer.example/token', scopes } },
  },
});

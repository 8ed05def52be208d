import type { OAuthFlows, SecurityRequirement, SecurityScheme } from '@a2a-js/sdk';

import type {
  OAuth2Declaration,
  OAuthFlowDeclaration,
  SecurityRequirementDeclaration,
  SecuritySchemeDeclaration,
} from './declaration.js';

/** The A2A 1.0 form of a scheme, as the SDK holds it in memory. */
export function toSecurityScheme(declaration: SecuritySchemeDeclaration): SecurityScheme {
  const description = declaration.description ?? '';
  switch (declaration.type) {
    case 'apiKey':
      return {
        scheme: {
          $case: 'apiKeySecurityScheme',
          value: { description, location: declaration.in, name: declaration.name },
        },
      };
    case 'http':
      return {
        scheme: {
          $case: 'httpAuthSecurityScheme',
          value: { description, scheme: declaration.scheme, bearerFormat: declaration.bearerFormat ?? '' },
        },
      };
    case 'oauth2':
      return {
        scheme: {
          $case: 'oauth2SecurityScheme',
          value: {
            description,
            flows: toOAuthFlows(declaration.flow),
            oauth2MetadataUrl: declaration.oauth2MetadataUrl ?? '',
          },
        },
      };
    case 'openIdConnect':
      return {
        scheme: {
          $case: 'openIdConnectSecurityScheme',
          value: { description, openIdConnectUrl: declaration.openIdConnectUrl },
        },
      };
    case 'mutualTLS':
      return { scheme: { $case: 'mtlsSecurityScheme', value: { description } } };
  }
}

function toOAuthFlows(flow: OAuthFlowDeclaration): OAuthFlows {
  const common = { tokenUrl: flow.tokenUrl, refreshUrl: flow.refreshUrl ?? '', scopes: { ...flow.scopes } };
  switch (flow.type) {
    case 'authorizationCode':
      return {
        flow: {
          $case: 'authorizationCode',
          value: { ...common, authorizationUrl: flow.authorizationUrl, pkceRequired: flow.pkceRequired },
        },
      };
    case 'clientCredentials':
      return { flow: { $case: 'clientCredentials', value: common } };
    case 'deviceCode':
      return {
        flow: {
          $case: 'deviceCode',
          value: { ...common, deviceAuthorizationUrl: flow.deviceAuthorizationUrl },
        },
      };
  }
}

/** The A2A 1.0 form of a requirement, as the SDK holds it in memory. */
export function toSecurityRequirement(requirement: SecurityRequirementDeclaration): SecurityRequirement {
  return {
    schemes: Object.fromEntries(
      Object.entries(requirement).map(([id, scopes]) => [id, { list: [...scopes] }]),
    ),
  };
}

/** The A2A 0.3 (OpenAPI) form of a scheme, as JSON. */
export function toLegacySecurityScheme(declaration: SecuritySchemeDeclaration): Record<string, unknown> {
  switch (declaration.type) {
    case 'oauth2':
      return toLegacyOAuth2(declaration);
    case 'apiKey':
    case 'http':
    case 'openIdConnect':
    case 'mutualTLS':
      return withoutUndefined({ ...declaration });
  }
}

/**
 * The 0.3 specification knows no device code flow. Agents and clients that need it agree on `flows.deviceCode`, with
 * the fields that A2A 1.0 then gave it.
 */
function toLegacyOAuth2({ flow, ...declaration }: OAuth2Declaration): Record<string, unknown> {
  const { type, ...fields } = flow;
  const published =
    type === 'authorizationCode'
      ? { ...fields, pkceRequired: undefined, scopes: { ...flow.scopes } }
      : { ...fields, scopes: { ...flow.scopes } };
  return withoutUndefined({ ...declaration, flows: { [type]: withoutUndefined(published) } });
}

function withoutUndefined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

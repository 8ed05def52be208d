/**
 * What an Agent Card says about a security scheme, independent of the protocol version. The A2A 1.0 form and the 0.3
 * (OpenAPI) form are both rendered from it.
 */
export type SecuritySchemeDeclaration =
  ApiKeyDeclaration | HttpDeclaration | OAuth2Declaration | OpenIdConnectDeclaration | MutualTlsDeclaration;

export interface ApiKeyDeclaration {
  readonly type: 'apiKey';
  readonly in: 'header' | 'query' | 'cookie';
  readonly name: string;
  readonly description?: string | undefined;
}

export interface HttpDeclaration {
  readonly type: 'http';
  /** A name of the IANA HTTP authentication scheme registry, such as `Bearer` or `Basic`. */
  readonly scheme: string;
  readonly bearerFormat?: string | undefined;
  readonly description?: string | undefined;
}

export interface OAuth2Declaration {
  readonly type: 'oauth2';
  readonly flow: OAuthFlowDeclaration;
  /** RFC 8414 metadata of the authorization server. */
  readonly oauth2MetadataUrl?: string | undefined;
  readonly description?: string | undefined;
}

/** One flow; A2A 1.0 has one flow a scheme. Scopes map each name to its description. */
export type OAuthFlowDeclaration =
  | {
      readonly type: 'authorizationCode';
      readonly authorizationUrl: string;
      readonly tokenUrl: string;
      readonly refreshUrl?: string | undefined;
      readonly scopes: Readonly<Record<string, string>>;
      readonly pkceRequired: boolean;
    }
  | {
      readonly type: 'clientCredentials';
      readonly tokenUrl: string;
      readonly refreshUrl?: string | undefined;
      readonly scopes: Readonly<Record<string, string>>;
    }
  | {
      readonly type: 'deviceCode';
      readonly deviceAuthorizationUrl: string;
      readonly tokenUrl: string;
      readonly refreshUrl?: string | undefined;
      readonly scopes: Readonly<Record<string, string>>;
    };

export interface OpenIdConnectDeclaration {
  readonly type: 'openIdConnect';
  readonly openIdConnectUrl: string;
  readonly description?: string | undefined;
}

export interface MutualTlsDeclaration {
  readonly type: 'mutualTLS';
  readonly description?: string | undefined;
}

/** One alternative of a card's security: scheme ids, each with the scopes asked of it. All of them are needed. */
export type SecurityRequirementDeclaration = Readonly<Record<string, readonly string[]>>;

/** Where a credential of a declared scheme is put. Two schemes of one place cannot be met by one request. */
export function credentialPlace(declaration: SecuritySchemeDeclaration): string {
  switch (declaration.type) {
    case 'apiKey':
      return declaration.in === 'header'
        ? `header ${declaration.name.toLowerCase()}`
        : `${declaration.in} ${declaration.name}`;
    case 'http':
    case 'oauth2':
    case 'openIdConnect':
      return 'header authorization';
    case 'mutualTLS':
      return 'client certificate';
  }
}

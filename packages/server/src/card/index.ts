/** The vocabulary of an agent card's security, without anything that enforces it. */
export {
  credentialPlace,
  type ApiKeyDeclaration,
  type HttpDeclaration,
  type MutualTlsDeclaration,
  type OAuth2Declaration,
  type OAuthFlowDeclaration,
  type OpenIdConnectDeclaration,
  type SecurityRequirementDeclaration,
  type SecuritySchemeDeclaration,
} from './declaration.js';

export { AgentSecurity, type AgentSecurityOptions, type DenialPresentation } from './agent-security.js';
export type { AuthRequest } from './auth-request.js';
export type { AuthRequiredData } from './auth-required-task.js';
export { callerCredential, NotAuthenticated, principalOf, principalsOf } from './caller.js';
export type {
  ApiKeyDeclaration,
  HttpDeclaration,
  MutualTlsDeclaration,
  OAuth2Declaration,
  OAuthFlowDeclaration,
  OpenIdConnectDeclaration,
  SecurityRequirementDeclaration,
  SecuritySchemeDeclaration,
} from './card/declaration.js';
export type { PublishedSecurity } from './card/publish.js';
export type { Challenge } from './challenge.js';
export type { Decision, Denied, DenialReason, Granted } from './decision.js';
export {
  DECISION_CHANNEL,
  type DecisionEvent,
  type DecisionListener,
  type SchemeReport,
} from './decision-event.js';
export {
  ConfigurationError,
  MalformedCredential,
  TooManyAttempts,
  VerifierUnavailable,
  type ConfigurationProblem,
  type ConfigurationProblemCode,
} from './errors.js';
export type { Operation } from './operation.js';
export type { Actor, ClientCertificate, Principal, PrincipalClaims } from './principal.js';
export { UnauthenticatedCall } from './protect.js';
export type { RefusalReason, SchemeDenial, SecurityScheme, Verification, VerifyContext } from './scheme.js';
export { allowAll } from './schemes/allow-all.js';
export {
  apiKey,
  apiKeyDigest,
  type ApiKeyEntry,
  type ApiKeyOptions,
  type ApiKeyRecord,
  type ApiKeyStore,
} from './schemes/api-key.js';
export { createApiKey, isWellFormedApiKey } from './schemes/api-key-format.js';
export { httpBasic, type BasicCredential, type HttpBasicOptions } from './schemes/http-basic.js';
export { httpBearer, type HttpBearerOptions, type TokenVerifier } from './schemes/http-bearer.js';
export { jwt, type JwtOptions, type JwtVerifier } from './tokens/jwt.js';
export type { TokenCacheOptions } from './tokens/verified-token-cache.js';
export type { Validated, Validator } from './validator.js';

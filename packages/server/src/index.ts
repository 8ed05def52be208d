export { AgentSecurity, type AgentSecurityOptions, type DenialPresentation } from './agent-security.js';
export type { AuthRequest, PresentedCertificate } from './auth-request.js';
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
export { albClientCertificate, type AlbClientCertificateOptions } from './certificates/forwarded-alb.js';
export { clientCertHeader } from './certificates/forwarded-client-cert.js';
export {
  envoyClientCertificate,
  type EnvoyClientCertificateOptions,
} from './certificates/forwarded-envoy.js';
export {
  nginxClientCertificate,
  type NginxClientCertificateOptions,
} from './certificates/forwarded-nginx.js';
export {
  createDevelopmentPki,
  type CertificateFiles,
  type DevelopmentPki,
  type DevelopmentPkiOptions,
} from './certificates/development-pki.js';
export type { CertificateSubject } from './certificates/identity.js';
export {
  certificateTrust,
  type CertificateTrust,
  type TrustOptions,
  type TrustVerdict,
} from './certificates/trust.js';
export { renderChallenge, type Challenge } from './challenge.js';
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
export type { ForwardedCertificateFormat, ForwardedCertificateOptions } from './forwarded-certificate.js';
export type { Operation } from './operation.js';
export { checkOptions, type OptionKind } from './options.js';
export type { Actor, ClientCertificate, Principal, PrincipalClaims } from './principal.js';
export type { ProtectedResourceMetadata } from './protected-resource.js';
export { DeniedCall } from './protect.js';
export type {
  Permission,
  PermittedCall,
  RefusalReason,
  SchemeDenial,
  SecurityScheme,
  StepUp,
  Verification,
  VerifyContext,
} from './scheme.js';
export { allowAll } from './schemes/allow-all.js';
export {
  apiKey,
  type ApiKeyEntry,
  type ApiKeyOptions,
  type ApiKeyRecord,
  type ApiKeyStore,
} from './schemes/api-key.js';
export { apiKeyDigest } from './schemes/api-key-digest.js';
export { createApiKey, isWellFormedApiKey } from './schemes/api-key-format.js';
export { authorizationCredentials } from './schemes/authorization-header.js';
export { httpBasic, type BasicCredential, type HttpBasicOptions } from './schemes/http-basic.js';
export { httpBearer, type HttpBearerOptions } from './schemes/http-bearer.js';
export { mutualTls, type IdentifiedCertificate, type MutualTlsOptions } from './schemes/mutual-tls.js';
export {
  oauth2AuthorizationCode,
  oauth2ClientCredentials,
  oauth2DeviceCode,
  type OAuth2AuthorizationCodeOptions,
  type OAuth2DeviceCodeOptions,
  type OAuth2Options,
} from './schemes/oauth2.js';
export {
  oauth2FromIssuer,
  type OAuth2Flow,
  type OAuth2FromIssuerOptions,
} from './schemes/oauth2-from-issuer.js';
export {
  agentServiceConfig,
  type AgentServiceConfig,
  type AgentServiceOptions,
  type ServiceSkill,
} from './service/agent-service-config.js';
export { openIdConnect, type OpenIdConnectOptions } from './schemes/open-id-connect.js';
export type { CircuitOptions } from './tokens/circuit.js';
export type { DelegationOptions } from './tokens/delegation.js';
export { dpop, type DpopOptions, type DpopProblem, type DpopVerifier } from './tokens/dpop.js';
export {
  introspection,
  type ClientAuthentication,
  type IntrospectionOptions,
} from './tokens/introspection.js';
export { jwt, type JwtOptions } from './tokens/jwt.js';
export type { ScopesMapper } from './tokens/jwt-claims.js';
export { jwtFromIssuer, type JwtFromIssuerOptions, type TrustedIssuer } from './tokens/jwt-from-issuer.js';
export type { KeySetOptions } from './tokens/key-set.js';
export { OutboundError, type OutboundOptions } from './tokens/outbound.js';
export {
  REFUSED_CONNECTION_CHANNEL,
  type RefusedConnectionEvent,
  type RefusedConnectionListener,
} from './tls/refused-connection.js';
export { serveMutualTls, type MutualTlsServer, type ServeMutualTlsOptions } from './tls/serve-mutual-tls.js';
export type { ServerCertificateFiles } from './tls/server-certificate.js';
export { auth0, cognito, entraId, google, keycloak, okta } from './tokens/presets.js';
export { memoryReplayStore, type ReplayStore } from './tokens/replay-store.js';
export type { TokenCacheOptions, TokenMemoryOptions } from './tokens/token-memory.js';
export type { TokenVerifier } from './tokens/token-verifier.js';
export type { Validated, Validator } from './validator.js';

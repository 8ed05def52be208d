export { apiKey } from './sources/api-key.js';
export {
  authenticatingFetch,
  type AuthenticatingFetchOptions,
  type AuthenticationOptions,
} from './authenticating-fetch.js';
export { authenticationHandler, type AuthenticationHandlerOptions } from './authentication-handler.js';
export { basic } from './sources/basic.js';
export { bearer } from './sources/bearer.js';
export type { ClientTransport, OpenTransport, TransportSession } from './client-transport.js';
export { connect, type ConnectOptions } from './connect.js';
export type {
  AgentResponse,
  Credential,
  CredentialRequest,
  CredentialSource,
  ReceivedChallenge,
  Refusal,
  TlsIdentity,
} from './credential-source.js';
export type { AuthRequiredTask } from './denial.js';
export { ClientError, type ClientErrorCode } from './errors.js';
export {
  planAuthentication,
  type AuthenticationPlan,
  type AuthenticationStep,
  type Credentials,
  type PlannedAlternative,
  type PlanPolicy,
} from './plan.js';
export { CLIENT_NOTICE_CHANNEL, type ClientNotice } from './notice.js';
export type { ClientPolicy } from './policy.js';
export type { JsonObject } from './card/json.js';
export { verifyCard, type CardTrust } from './card/verify-card.js';
export type { AliasOptions, ServiceAlias } from './delegation/aliases.js';
export type { DelegationOptions, DelegationTarget } from './delegation/delegated-tokens.js';
export {
  DelegationClient,
  type DelegatedConnectOptions,
  type DelegatedToken,
  type DelegationClientOptions,
  type ExchangeOptions,
} from './delegation/delegation-client.js';
export type { DelegationGrant } from './delegation/exchange.js';
export {
  ServiceDiscovery,
  type DiscoveredService,
  type ServiceDiscoveryOptions,
} from './delegation/service-discovery.js';
export {
  DeviceFlowClient,
  type DeviceFlowClientOptions,
  type DeviceFlowStart,
} from './device-flow-client.js';
export { authorizationCode, type AuthorizationCodeOptions } from './oauth/authorization-code.js';
export type { ClientAuthenticationOptions } from './oauth/client-authentication.js';
export { clientCredentials } from './oauth/client-credentials.js';
export { deviceCode, type DeviceCodeOptions } from './oauth/device-code.js';
export type { DevicePrompt } from './oauth/device-login.js';
export { dpop, type DpopOptions } from './oauth/dpop.js';
export { jwtBearer, type JwtBearerOptions } from './oauth/jwt-bearer.js';
export type { RedirectOptions } from './oauth/loopback-redirect.js';
export type { OAuthOptions, OAuthSource } from './oauth/oauth-source.js';
export type { OutboundOptions } from './oauth/outbound.js';
export type { ProviderOptions } from './oauth/provider.js';
export { refreshing, type RefreshingOptions } from './oauth/refreshing.js';
export {
  tokenExchange,
  type TokenExchangeOptions,
  type TokenFunction,
  type TokenTypeUri,
} from './oauth/token-exchange.js';
export type { Tokens } from './oauth/tokens.js';
export type { Trust } from './oauth/trusted-server.js';
export { fileTokenStore, type FileTokenStoreOptions } from './stores/file.js';
export { keychainTokenStore, type Keychain, type KeychainTokenStoreOptions } from './stores/keychain.js';
export { memoryTokenStore } from './stores/memory.js';
export type { TokenStore } from './stores/token-store.js';
export { mutualTls } from './tls/mutual-tls.js';
export { mutualTlsFetch } from './tls/mutual-tls-fetch.js';
export type { TlsFiles } from './tls/tls-files.js';

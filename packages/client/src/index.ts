export { apiKey } from './sources/api-key.js';
export {
  authenticatingFetch,
  type AuthenticatingFetchOptions,
  type AuthenticationOptions,
} from './authenticating-fetch.js';
export { authenticationHandler, type AuthenticationHandlerOptions } from './authentication-handler.js';
export { basic } from './sources/basic.js';
export { bearer } from './sources/bearer.js';
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
export type { ClientPolicy } from './policy.js';
export { verifyCard, type CardTrust } from './card/verify-card.js';

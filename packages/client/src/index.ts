export type {
  AgentResponse,
  Credential,
  CredentialRequest,
  CredentialSource,
  ReceivedChallenge,
  Refusal,
  TlsIdentity,
} from './credential-source.js';
export { ClientError, type ClientErrorCode } from './errors.js';

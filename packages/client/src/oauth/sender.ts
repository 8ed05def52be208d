import type { DPoPHandle } from 'openid-client';

import type { AgentResponse, CredentialRequest } from '../credential-source.js';

/** The key that tokens are bound to (RFC 9449). */
export interface Sender {
  /** The thumbprint of the key: tokens of another key are of no use. */
  thumbprint(): Promise<string>;
  /** For openid-client, which remembers the nonces of authorization servers in it. */
  handle(): Promise<DPoPHandle>;
  /** A proof for one request to an agent. */
  proof(http: CredentialRequest['http'], accessToken: string): Promise<string>;
  /** Remembers the nonce of an agent. */
  observe(response: AgentResponse): void;
  /** Whether a proof was refused for want of a nonce that is known by now. */
  hasNewerNonce(http: CredentialRequest['http'], proof: string | undefined): boolean;
}

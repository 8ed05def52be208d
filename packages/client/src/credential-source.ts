import type { SecuritySchemeDeclaration } from '@a2a-auth/server/card';

/**
 * Where a credential comes from, and which declared schemes it can meet. A source knows nothing of cards, alternatives
 * or transports: whoever calls it decides what is asked for and where the answer may be sent.
 */
export interface CredentialSource {
  /** Whether a person may be needed to get the credential. */
  readonly interactive: boolean;

  /** Why this source cannot meet a scheme, for people to read; undefined when it can. Synchronous, without I/O. */
  unfitFor(scheme: SecuritySchemeDeclaration): string | undefined;

  /**
   * Gets the credential for one request, from memory where it is still good. Concurrent calls share what they wait for.
   *
   * @throws {ClientError} when it cannot be had
   */
  credential(request: CredentialRequest): Promise<Credential>;

  /**
   * Called after the agent refused what `credential` gave. Forgets what was refused, so that the next `credential` gets
   * another, unless that happened already. Left out: the source has nothing else to offer.
   *
   * @returns whether it makes sense to try again
   * @throws {ClientError} when another was asked for, such as by a login, and cannot be had
   */
  renew?(refusal: Refusal): Promise<boolean>;

  /** Told of every response of the agent, such as for the nonces of RFC 9449 §8. */
  observe?(response: AgentResponse): void;
}

/** What a credential is for. */
export interface CredentialRequest {
  readonly schemeId: string;
  /** As the card declares it. */
  readonly scheme: SecuritySchemeDeclaration;
  /** The scopes that the requirement asks for, and what policy allows of a step-up. */
  readonly scopes: readonly string[];
  /** The agent's resource identifier (RFC 8707), where it is known. */
  readonly resource: string | undefined;
  /** The request that is to be authenticated. */
  readonly http: { readonly method: string; readonly url: string };
  readonly signal?: AbortSignal | undefined;
}

/** What is added to a request. The names of headers are in lower case. */
export interface Credential {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly cookies?: Readonly<Record<string, string>> | undefined;
  /** For the TLS handshake. */
  readonly tls?: TlsIdentity | undefined;
}

/** A client certificate with its key, and whom to trust; all in PEM. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly key: string;
  /** The authorities that server certificates are checked against. Left out: those of Node. */
  readonly ca?: string | undefined;
}

/** How the agent refused. */
export interface Refusal extends CredentialRequest {
  /** What was sent. */
  readonly refused: Credential;
  /** The challenge for this scheme, where there was one. */
  readonly challenge: ReceivedChallenge | undefined;
}

/** One challenge of a WWW-Authenticate field (RFC 9110 §11.6.1). */
export interface ReceivedChallenge {
  /** In lower case. */
  readonly scheme: string;
  /** By lower-case name. */
  readonly params: Readonly<Record<string, string>>;
  /** What some schemes have in the place of parameters, such as Negotiate. */
  readonly token68?: string | undefined;
}

export interface AgentResponse {
  readonly url: string;
  /** Over gRPC, the HTTP status that its code stands for. */
  readonly status: number;
  readonly headers: Headers;
}

/** What can go wrong on the way to an authenticated call. Stable: callers may compare it. */
export type ClientErrorCode =
  /** The card cannot be fetched, or is none. */
  | 'CARD_UNAVAILABLE'
  | 'CARD_INVALID'
  | 'CARD_UNSIGNED'
  | 'CARD_SIGNATURE_INVALID'
  /** No alternative of the card can be met with the given credentials. */
  | 'NO_ALTERNATIVE'
  /** A card, a redirect or a provider named an address that policy does not allow. */
  | 'ADDRESS_REFUSED'
  | 'ISSUER_NOT_TRUSTED'
  | 'SCOPE_NOT_ALLOWED'
  /** The authorization server did not give a token. */
  | 'TOKEN_REFUSED'
  | 'PROVIDER_UNAVAILABLE'
  /** A person is needed and did not, or would not, log in. */
  | 'LOGIN_REQUIRED'
  | 'LOGIN_FAILED'
  | 'LOGIN_EXPIRED'
  /** What a source gave cannot be sent: no header value, or two credentials for one place. */
  | 'CREDENTIAL_UNUSABLE'
  /** A token store cannot be read or written. */
  | 'STORE_UNAVAILABLE'
  | 'INVALID_OPTION';

/** An error of this library. Its message names the culprit and the mend, and never a secret. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

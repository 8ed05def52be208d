import { AuthorizationResponseError, ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client';

import { ClientError, type ClientErrorCode } from '../errors.js';

const invalidGrants = new WeakSet<ClientError>();

/** Whether what the token was to be had for has ended, was revoked, or was used before (RFC 6749 §5.2). */
export function isInvalidGrant(error: unknown): boolean {
  return error instanceof ClientError && invalidGrants.has(error);
}

/** An error of this library among the causes: openid-client wraps what the fetch throws. */
export function clientErrorIn(error: unknown): ClientError | undefined {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; depth++) {
    if (current instanceof ClientError) return current;
    current = current.cause;
  }
  return undefined;
}

/**
 * Says what went wrong at an authorization server. The error has no cause: those of openid-client hold what was received,
 * and so tokens.
 *
 * @param refused the code of a refusal
 */
export function toClientError(error: unknown, server: string, refused: ClientErrorCode): ClientError {
  const own = clientErrorIn(error);
  if (own !== undefined) return own;
  if (error instanceof ResponseBodyError || error instanceof AuthorizationResponseError) {
    const { error: oauthError, error_description: description } = error;
    const isDown =
      (error instanceof ResponseBodyError && (error.status === 429 || error.status >= 500)) ||
      ['server_error', 'temporarily_unavailable'].includes(oauthError);
    const refusal = new ClientError(
      isDown ? 'PROVIDER_UNAVAILABLE' : refused,
      `${server} ${isDown ? 'cannot answer now' : 'refused'}: ${printable(oauthError, 100)}${
        description === undefined ? '' : ` (${printable(description, 300)})`
      }.${mendOf(oauthError)}`,
    );
    if (oauthError === 'invalid_grant') invalidGrants.add(refusal);
    return refusal;
  }
  if (error instanceof WWWAuthenticateChallengeError) {
    const oauthError =
      error.cause.map(({ parameters }) => parameters.error).find(Boolean) ?? 'invalid_client';
    return new ClientError(
      refused,
      `${server} refused: HTTP ${error.status}, ${printable(oauthError, 100)}.${mendOf(oauthError)}`,
    );
  }
  const { cause } = error as { cause?: unknown };
  if (cause instanceof Response) {
    return new ClientError(
      'PROVIDER_UNAVAILABLE',
      `${server} answered with HTTP ${cause.status}, and not as OAuth has it.`,
    );
  }
  return new ClientError(
    'PROVIDER_UNAVAILABLE',
    `${server} answered in a way that cannot be used${isFixedSentence(cause) ? `: ${cause.message}` : ''}.`,
  );
}

/** These errors say what is wrong without a word of what was received. */
function isFixedSentence(cause: unknown): cause is Error {
  return (
    cause instanceof Error && ['OperationProcessingError', 'UnsupportedOperationError'].includes(cause.name)
  );
}

/** Text of a server, made fit for a terminal and a log. */
function printable(text: string, length: number): string {
  return text
    .replaceAll(/[^\P{C}]+/gu, ' ')
    .slice(0, length)
    .replace(/[.\s]+$/, '');
}

function mendOf(oauthError: string): string {
  switch (oauthError) {
    case 'invalid_client':
      return ' Check clientId and how the client authenticates.';
    case 'unauthorized_client':
      // Keycloak says so of a wrong secret as well.
      return ' Check clientId and how the client authenticates. It also has to be allowed this grant type there.';
    case 'unsupported_grant_type':
      return ' The client has to be allowed this grant type there.';
    case 'invalid_scope':
      return ' Check the scopes that the card asks for, and the option scopes.';
    case 'invalid_target':
      return ' Check the options resource and audience.';
    default:
      return '';
  }
}

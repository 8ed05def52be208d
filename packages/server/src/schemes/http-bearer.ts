import type { AuthRequest } from '../auth-request.js';
import type { HttpDeclaration } from '../card/declaration.js';
import type { Challenge } from '../challenge.js';
import { configurationError, MalformedCredential } from '../errors.js';
import type { SchemeDenial, SecurityScheme, Verification, VerifyContext } from '../scheme.js';
import { verifyWith, type Validator } from '../validator.js';
import { authorizationCredentials } from './authorization-header.js';

/** Proves a bearer token. Built by `jwt()`, or written by hand. */
export interface TokenVerifier {
  verify(token: string, context: VerifyContext): Verification | Promise<Verification>;
}

export type HttpBearerOptions = {
  /** Published as a hint on how tokens are formatted, such as `JWT`. */
  readonly bearerFormat?: string;
  /** Published. */
  readonly description?: string;
  /** The scopes that requirements may ask for. Left out: any. */
  readonly scopes?: readonly string[];
} & (
  | {
      /**
       * Says who a token belongs to, or nothing when it is not good.
       */
      readonly validator: Validator<string>;
      readonly verifier?: undefined;
    }
  | { readonly verifier: TokenVerifier; readonly validator?: undefined }
);

/**
 * HTTP bearer tokens (RFC 6750), taken from the Authorization header alone (§2.1): never from the query or the body.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` unless exactly one of `validator` and `verifier` is given
 */
export function httpBearer(options: HttpBearerOptions): SecurityScheme<string> {
  const { bearerFormat, description, scopes, validator, verifier } = options;
  if ((typeof validator === 'function') === (typeof verifier?.verify === 'function')) {
    throw configurationError(
      'INVALID_OPTION',
      'httpBearer needs either a validator(token, context) or a verifier such as jwt({ ... }): without one, nobody could tell a good token from a bad one.',
    );
  }
  const declaration: HttpDeclaration = { type: 'http', scheme: 'Bearer', bearerFormat, description };
  return {
    declaration,
    scopes,
    extract: extractBearerToken,
    verify: validator === undefined ? (token, context) => verifier.verify(token, context) : verifyWith(validator),
    challenge: bearerChallenge,
  };
}

/**
 * @returns the token, or undefined when the request has no Bearer credentials
 * @throws {MalformedCredential} when they are no single b64token (RFC 6750 §2.1)
 */
export function extractBearerToken(request: AuthRequest): string | undefined {
  const token = authorizationCredentials(request, 'Bearer');
  if (token !== undefined && !/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) {
    throw new MalformedCredential('The Authorization header holds no single well-formed bearer token.');
  }
  return token;
}

/** RFC 6750 §3: no error code when nothing was presented; the scope where one is asked for. */
export function bearerChallenge({ reason, requiredScopes, realm }: SchemeDenial): Challenge {
  const errors: Record<SchemeDenial['reason'], string | undefined> = {
    missing: undefined,
    malformed: 'invalid_request',
    invalid: 'invalid_token',
    insufficient_scope: 'insufficient_scope',
    not_permitted: 'insufficient_scope',
  };
  return {
    scheme: 'Bearer',
    params: {
      realm,
      error: errors[reason],
      scope: requiredScopes.length === 0 ? undefined : requiredScopes.join(' '),
    },
  };
}

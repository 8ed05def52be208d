import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { SecurityScheme } from '../scheme.js';
import type { DpopVerifier } from '../tokens/dpop.js';
import type { TokenVerifier } from '../tokens/token-verifier.js';
import { verifyWith, type Validator } from '../validator.js';
import { bearerTokenScheme } from './bearer-token.js';

export type HttpBearerOptions = {
  /** Published as a hint on how tokens are formatted, such as `JWT`. */
  readonly bearerFormat?: string;
  /** Published. */
  readonly description?: string;
  /** The scopes that requirements may ask for. Left out: any. */
  readonly scopes?: readonly string[];
  /** Accepts tokens that are bound to a key, with their DPoP proofs; see `dpop()`. Left out: such tokens are refused. */
  readonly dpop?: DpopVerifier;
} & (
  | {
      /** Says who a token belongs to, or nothing when it is not good. */
      readonly validator: Validator<string>;
      readonly verifier?: undefined;
    }
  | {
      /** Such as `jwt()`, `jwtFromIssuer()` or `introspection()`. */
      readonly verifier: TokenVerifier;
      readonly validator?: undefined;
    }
);

/**
 * HTTP bearer tokens (RFC 6750), taken from the Authorization header alone (§2.1): never from the query or the body.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` unless exactly one of `validator` and `verifier` is given
 */
export function httpBearer(options: HttpBearerOptions): SecurityScheme<string> {
  checkOptions('httpBearer()', options, {
    bearerFormat: 'string',
    description: 'string',
    scopes: 'strings',
    dpop: 'any',
    validator: 'any',
    verifier: 'any',
  });
  const { bearerFormat, description, scopes, dpop, validator, verifier } = options;
  if ((typeof validator === 'function') === (typeof verifier?.verify === 'function')) {
    throw configurationError(
      'INVALID_OPTION',
      'httpBearer needs exactly one of validator(token, context) and a verifier such as jwt({ ... }): without one, nobody could tell a good token from a bad one.',
    );
  }
  return bearerTokenScheme({
    declaration: { type: 'http', scheme: 'Bearer', bearerFormat, description },
    scopes,
    dpop,
    verifier: typeof validator === 'function' ? { verify: verifyWith(validator) } : verifier,
  });
}

import { toEpochMilliseconds, type PrincipalClaims } from './principal.js';
import type { Verification, VerifyContext } from './scheme.js';

/**
 * A function that knows who a credential belongs to. It returns nothing when the credential is not good, and throws
 * `VerifierUnavailable` when it cannot tell; any other exception is a denial.
 */
export type Validator<Credential> = (
  credential: Credential,
  context: VerifyContext,
) => Validated | undefined | null | Promise<Validated | undefined | null>;

/** Who a credential belongs to. */
export interface Validated {
  /** The subject, or the subject with whatever else is known. Never the credential itself. */
  readonly principal: string | PrincipalClaims;
  /** The scopes the credential carries. Left out: none. */
  readonly scopes?: readonly string[];
  /** When the credential ends: seconds since the epoch (as a JWT's `exp`), or a Date. Left out: it does not. */
  readonly expiresAt?: number | Date;
}

/** Makes a scheme's `verify` of a validator. */
export function verifyWith<Credential>(
  validator: Validator<Credential>,
): (credential: Credential, context: VerifyContext) => Promise<Verification> {
  return async (credential, context) => {
    const validated: unknown = await validator(credential, context);
    if (!isValidated(validated)) {
      const gaveNothing = validated === undefined || validated === null;
      return {
        verified: false,
        reason: 'invalid',
        detail: gaveNothing
          ? 'The validator did not accept the credential.'
          : 'The validator returned no { principal }, which must be a non-empty string or an object.',
      };
    }
    const claims =
      typeof validated.principal === 'string' ? { subject: validated.principal } : validated.principal;
    const expiresAt = validated.expiresAt ?? claims.expiresAt;
    if (expiresAt !== undefined && toEpochMilliseconds(expiresAt) <= Date.now()) {
      return {
        verified: false,
        reason: 'expired',
        detail: 'The validator says that the credential has ended.',
      };
    }
    return { verified: true, principal: { ...claims, expiresAt }, scopes: validated.scopes };
  };
}

/** Only an object that names a principal is a yes: `true`, a string or `{}` is not. */
function isValidated(value: unknown): value is Validated {
  if (typeof value !== 'object' || value === null || !('principal' in value)) return false;
  const { principal } = value;
  return (
    (typeof principal === 'string' && principal !== '') ||
    (typeof principal === 'object' && principal !== null)
  );
}

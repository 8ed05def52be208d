import { hash } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import { toEpochMilliseconds } from '../principal.js';
import type { Verification } from '../scheme.js';

/** How long verified tokens are remembered. */
export interface TokenCacheOptions {
  /** Seconds after which a token is verified again at the latest. Default 60. */
  readonly maxAge?: number;
  /** How many tokens are remembered at most; the least recently used go first. Default 10 000. */
  readonly maxTokens?: number;
}

/** Options that every token verifier has. */
export interface TokenMemoryOptions {
  /** How long verified tokens are remembered; false to verify every one every time. */
  readonly cache?: TokenCacheOptions | false | undefined;
  /**
   * Asked with every presentation of a good token, remembered or not, so that a revocation takes effect at once. The
   * token's id is its `jti`; without one it is the base64url SHA-256 digest of the token, of a JWT without its signature
   * (`header.payload`), which can be varied. An exception is a denial.
   */
  readonly revoked?: ((tokenId: string) => boolean | Promise<boolean>) | undefined;
}

interface Entry {
  readonly verification: Verification;
  readonly until: number;
}

/**
 * Puts a memory in front of a token verification: verified tokens are remembered by their SHA-256 digest until they
 * end, or for `maxAge`, whichever is earlier; concurrent presentations of one token are verified once. Refusals are
 * remembered only for `refusedMaxAge`, apart from the good tokens, so that bad tokens cannot displace them.
 *
 * @param refusedMaxAge seconds; 0 when a refusal costs nothing
 * @param identifying the part of a token that identifies it for `revoked`, where its bearer can vary the rest
 */
export function rememberTokens(
  verify: (token: string) => Promise<Verification>,
  { cache = {}, revoked }: TokenMemoryOptions,
  refusedMaxAge = 0,
  identifying = (token: string) => token,
): (token: string) => Verification | Promise<Verification> {
  const recall = cache === false ? undefined : memory(verify, cache, refusedMaxAge);
  return (token) => {
    const verification = recall === undefined ? verify(token) : recall(token, digestOf(token));
    return revoked === undefined
      ? verification
      : unlessRevoked(verification, () => digestOf(identifying(token)), revoked);
  };
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64url');
}

function memory(
  verify: (token: string) => Promise<Verification>,
  options: TokenCacheOptions,
  refusedMaxAge: number,
): (token: string, digest: string) => Verification | Promise<Verification> {
  checkOptions('cache', options, { maxAge: 'number', maxTokens: 'number' });
  const { maxAge = 60, maxTokens = 10_000 } = options;
  if (!(maxAge > 0 && Number.isFinite(maxAge)) || !Number.isInteger(maxTokens) || maxTokens < 1) {
    throw configurationError(
      'INVALID_OPTION',
      'cache must be { maxAge: a positive number of seconds, maxTokens: a positive integer }, or false.',
    );
  }
  const accepted = new LRUCache<string, Entry>({ max: maxTokens });
  const refused = new LRUCache<string, Entry>({ max: 1_000 });
  const pending = new Map<string, Promise<Verification>>();

  function remember(digest: string, verification: Verification): void {
    const now = Date.now();
    if (!verification.verified) {
      if (refusedMaxAge > 0) refused.set(digest, { verification, until: now + refusedMaxAge * 1000 });
      return;
    }
    const { expiresAt } = verification.principal;
    const end = expiresAt === undefined ? Infinity : toEpochMilliseconds(expiresAt);
    accepted.set(digest, { verification, until: Math.min(end, now + maxAge * 1000) });
  }

  async function verifyAndRemember(token: string, digest: string): Promise<Verification> {
    try {
      const verification = await verify(token);
      remember(digest, verification);
      return verification;
    } finally {
      pending.delete(digest);
    }
  }

  return (token, digest) => {
    const entry = accepted.get(digest) ?? refused.get(digest);
    if (entry !== undefined) {
      if (entry.until > Date.now()) return entry.verification;
      accepted.delete(digest);
      refused.delete(digest);
    }
    const running = pending.get(digest) ?? verifyAndRemember(token, digest);
    pending.set(digest, running);
    return running;
  };
}

async function unlessRevoked(
  pending: Verification | Promise<Verification>,
  digest: () => string,
  revoked: (tokenId: string) => boolean | Promise<boolean>,
): Promise<Verification> {
  const verification = await pending;
  if (!verification.verified) return verification;
  const jti = verification.principal.claims?.jti;
  const answer: unknown = await revoked(typeof jti === 'string' && jti !== '' ? jti : digest());
  // Only a plain no lets the token pass.
  return answer === false
    ? verification
    : {
        verified: false,
        reason: 'revoked',
        detail: 'The token is revoked.',
        principal: verification.principal,
      };
}

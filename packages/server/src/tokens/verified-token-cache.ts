import { hash } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { toEpochMilliseconds } from '../principal.js';
import type { Verification } from '../scheme.js';

type Verified = Verification & { readonly verified: true };

/** How long verified tokens are remembered. */
export interface TokenCacheOptions {
  /** Seconds after which a token is verified again at the latest. Default 60. */
  readonly maxAge?: number;
  /** How many tokens are remembered at most; the least recently used go first. Default 10 000. */
  readonly maxTokens?: number;
}

/**
 * Remembers tokens that were verified, by their SHA-256 digest. An entry ends with the token, or after `maxAge`,
 * whichever is earlier. Refusals are not remembered, so that bad tokens cannot displace good ones.
 */
export class VerifiedTokenCache {
  readonly #entries: LRUCache<string, { readonly verified: Verified; readonly until: number }>;
  readonly #maxAge: number;

  constructor({ maxAge = 60, maxTokens = 10_000 }: TokenCacheOptions) {
    this.#entries = new LRUCache({ max: maxTokens });
    this.#maxAge = maxAge * 1000;
  }

  /** What was found out about this token, or else what `verify` finds out now. */
  through(token: string, verify: () => Promise<Verification>): Verification | Promise<Verification> {
    const digest = hash('sha256', token, 'base64url');
    const entry = this.#entries.get(digest);
    if (entry !== undefined) {
      if (entry.until > Date.now()) return entry.verified;
      this.#entries.delete(digest);
    }
    return this.#remember(digest, verify());
  }

  async #remember(digest: string, pending: Promise<Verification>): Promise<Verification> {
    const verification = await pending;
    if (verification.verified) {
      const { expiresAt } = verification.principal;
      const end = expiresAt === undefined ? Infinity : toEpochMilliseconds(expiresAt);
      this.#entries.set(digest, {
        verified: verification,
        until: Math.min(end, Date.now() + this.#maxAge),
      });
    }
    return verification;
  }
}

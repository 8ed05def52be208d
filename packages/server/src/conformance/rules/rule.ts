import type { SchemeFixture } from '../fixture.js';
import type { Trial } from '../trial.js';

/** A rule of the contract. */
export interface Rule {
  readonly title: string;
  /** What the fixture has to give. */
  readonly needs?: keyof SchemeFixture;
  /** @throws when the rule is broken */
  readonly check: (trial: Trial) => void | Promise<void>;
}

import { checkOptions } from '../options.js';
import type { SchemeFixture } from './fixture.js';
import { cardRules } from './rules/card.js';
import { challengeRules } from './rules/challenge.js';
import { decisionRules } from './rules/decision.js';
import { extractRules } from './rules/extract.js';
import { secretRules } from './rules/secrets.js';
import { verifyRules } from './rules/verify.js';
import { startTrial } from './trial.js';

/** One rule of the plug-in contract, to be tried. */
export interface ConformanceCase {
  /** What the rule says. */
  readonly title: string;
  /** Rejects with an error that names what is broken, and the mend. */
  readonly run: () => Promise<void>;
}

/**
 * The rules of the plug-in contract, each as a case that any test runner can run. A rule that the fixture gives nothing
 * for is left out.
 *
 * ```ts
 * for (const { title, run } of schemeConformance({ create, good, bad })) test(title, run);
 * ```
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when the fixture has a member that there is not
 */
export function schemeConformance<Credential>(
  fixture: SchemeFixture<Credential>,
): readonly ConformanceCase[] {
  checkOptions<SchemeFixture<Credential>>('schemeConformance()', fixture, {
    create: 'function',
    good: 'function',
    bad: 'function',
    other: 'function',
    malformed: 'function',
    refused: 'object',
    scopes: 'strings',
    unavailable: 'object',
    permits: 'object',
    singleUse: 'boolean',
    secrets: 'function',
    resource: 'string',
  });
  const untyped = fixture as SchemeFixture;
  return [...extractRules, ...verifyRules, ...secretRules, ...cardRules, ...challengeRules, ...decisionRules]
    .filter(({ needs }) => needs === undefined || untyped[needs] !== undefined)
    .map(({ title, check }) => ({ title, run: async () => check(await startTrial(untyped)) }));
}

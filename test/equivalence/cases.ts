import { apiKey, type CredentialSource } from '@a2a-auth/client';
import type { DenialReason } from '@a2a-auth/server';

import type { Outcome, Presented, Subject } from './subjects.js';

/** Requirements by name, over the scheme under test (`it`) and an API key beside it (`other`). */
export const policies = {
  alone: ['it'],
  'with another (AND)': ['it+other'],
  'or another (OR)': ['it', 'other'],
  'or nothing (anonymous)': ['it', ''],
} as const;
export type PolicyName = keyof typeof policies;

/** The ids of an alternative. */
export const schemesOf = (alternative: string): readonly string[] =>
  alternative.split('+').filter((id) => id !== '');

/** What must come of it: the schemes that vouched, or why nobody is let in. */
type Expected = { readonly by: readonly string[] } | { readonly reason: DenialReason };

export interface Case {
  readonly policy: PolicyName;
  readonly it: Outcome;
  readonly other: 'granted' | 'missing' | 'invalid';
  readonly expected: Expected;
}

const by = (...schemes: string[]): Expected => ({ by: schemes });
const because = (reason: DenialReason): Expected => ({ reason });
const row = (policy: PolicyName, it: Outcome, other: Case['other'], expected: Expected): Case => ({
  policy,
  it,
  other,
  expected,
});

export const cases: readonly Case[] = [
  row('alone', 'granted', 'missing', by('it')),
  row('alone', 'missing', 'missing', because('missing_credential')),
  row('alone', 'invalid', 'missing', because('invalid_credential')),
  row('alone', 'insufficient', 'missing', because('insufficient_scope')),
  row('alone', 'unavailable', 'missing', because('unavailable')),

  row('with another (AND)', 'granted', 'granted', by('it', 'other')),
  row('with another (AND)', 'granted', 'missing', because('missing_credential')),
  row('with another (AND)', 'granted', 'invalid', because('invalid_credential')),
  row('with another (AND)', 'missing', 'granted', because('missing_credential')),
  row('with another (AND)', 'invalid', 'granted', because('invalid_credential')),
  row('with another (AND)', 'insufficient', 'granted', because('insufficient_scope')),
  row('with another (AND)', 'unavailable', 'granted', because('unavailable')),
  row('with another (AND)', 'unavailable', 'invalid', because('invalid_credential')),

  row('or another (OR)', 'granted', 'granted', by('it')),
  row('or another (OR)', 'invalid', 'granted', by('other')),
  row('or another (OR)', 'insufficient', 'granted', by('other')),
  row('or another (OR)', 'unavailable', 'granted', by('other')),
  row('or another (OR)', 'insufficient', 'invalid', because('insufficient_scope')),
  row('or another (OR)', 'unavailable', 'invalid', because('unavailable')),
  row('or another (OR)', 'invalid', 'invalid', because('invalid_credential')),
  row('or another (OR)', 'granted', 'missing', by('it')),
  row('or another (OR)', 'invalid', 'missing', because('invalid_credential')),
  row('or another (OR)', 'insufficient', 'missing', because('insufficient_scope')),
  row('or another (OR)', 'unavailable', 'missing', because('unavailable')),
  row('or another (OR)', 'missing', 'granted', by('other')),
  row('or another (OR)', 'missing', 'invalid', because('invalid_credential')),

  row('or nothing (anonymous)', 'granted', 'missing', by('it')),
  row('or nothing (anonymous)', 'missing', 'missing', by()),
  row('or nothing (anonymous)', 'invalid', 'missing', by()),
];

export const OTHER_KEY = 'the-other-key';

const otherKeys = { granted: OTHER_KEY, invalid: 'no-such-key' };

/** Everything that the official client sends in a case: whatever the caller has. */
export function presentedIn({ it, other }: Case, { credentials }: Subject): Presented {
  const own = it === 'missing' ? {} : credentials[it];
  const key = other === 'missing' ? {} : { 'x-other-key': otherKeys[other] };
  return { ...own, headers: { ...own.headers, ...key } };
}

/** What the caller has in a case, for our client to choose from. */
export function sourcesIn({ it, other }: Case, { source }: Subject): Record<string, CredentialSource> {
  return {
    ...(it === 'missing' ? {} : { it: source(it) }),
    ...(other === 'missing' ? {} : { other: apiKey(otherKeys[other]) }),
  };
}

/** A case as our client has to take it. */
export interface Choice {
  readonly given: Case;
  /** The alternative that it chooses; undefined when none can be met. */
  readonly chosen:
    | {
        readonly schemes: readonly string[];
        /** The case in which a caller has nothing but what these need. */
        readonly same: Case;
      }
    | undefined;
}

/**
 * The cases of a policy that are different to our client: of those in which it does the same, the first, which has the
 * most that must not be sent.
 *
 * @param isInteractive whether a person may be needed for the scheme under test
 */
export function choicesIn(policy: PolicyName, isInteractive: boolean): readonly Choice[] {
  const choices = cases
    .filter((given) => given.policy === policy)
    .map((given): Choice => {
      const schemes = chosenIn(given, isInteractive);
      return { given, chosen: schemes && { schemes, same: reducedTo(schemes, given) } };
    });
  const isFirst = ({ chosen }: Choice, index: number) =>
    choices.findIndex((other) => other.chosen?.same === chosen?.same) === index;
  return choices.filter((choice, index) => choice.chosen === undefined || isFirst(choice, index));
}

/** The first that can be met without a person, else none at all where that is allowed, else the first. */
function chosenIn(given: Case, isInteractive: boolean): readonly string[] | undefined {
  const has = (id: string) => given[id === 'it' ? 'it' : 'other'] !== 'missing';
  const meetable = policies[given.policy].map(schemesOf).filter((ids) => ids.every(has));
  return (
    meetable.find((ids) => ids.length > 0 && !(isInteractive && ids.includes('it'))) ??
    meetable.find((ids) => ids.length === 0) ??
    meetable[0]
  );
}

function reducedTo(schemes: readonly string[], { policy, it, other }: Case): Case {
  const own = schemes.includes('it') ? it : 'missing';
  const rest = schemes.includes('other') ? other : 'missing';
  const found = cases.find((each) => each.policy === policy && each.it === own && each.other === rest);
  if (found === undefined) throw new Error(`There is no case of ${policy} with ${own} and ${rest}.`);
  return found;
}

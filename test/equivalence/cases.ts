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

  row('or another (OR)', 'granted', 'missing', by('it')),
  row('or another (OR)', 'missing', 'granted', by('other')),
  row('or another (OR)', 'invalid', 'granted', by('other')),
  row('or another (OR)', 'insufficient', 'granted', by('other')),
  row('or another (OR)', 'unavailable', 'granted', by('other')),
  row('or another (OR)', 'insufficient', 'invalid', because('insufficient_scope')),
  row('or another (OR)', 'unavailable', 'invalid', because('unavailable')),
  row('or another (OR)', 'invalid', 'invalid', because('invalid_credential')),

  row('or nothing (anonymous)', 'granted', 'missing', by('it')),
  row('or nothing (anonymous)', 'missing', 'missing', by()),
  row('or nothing (anonymous)', 'invalid', 'missing', by()),
];

export const OTHER_KEY = 'the-other-key';

/** Everything that a caller sends in a case. */
export function presentedIn({ it, other }: Case, { credentials }: Subject): Presented {
  const own = it === 'missing' ? {} : credentials[it];
  const key = { granted: OTHER_KEY, invalid: 'no-such-key', missing: undefined }[other];
  return { ...own, headers: { ...own.headers, ...(key === undefined ? {} : { 'x-other-key': key }) } };
}

import type { PermittedCall } from '@a2a-auth/server';

import type { RequestFact } from './engine-jobs.js';

/**
 * What the authorizer and the token's checks are told of a call. Each value is a term by itself and never part of the
 * datalog text, whatever it holds.
 *
 * @param agent the agent's own name
 * @param now milliseconds since the epoch
 * @returns undefined when a value cannot be told apart from others: UTF-8 has no lone surrogates
 */
export function requestFacts(
  { operation, principals }: PermittedCall,
  agent: string | undefined,
  now: number,
): readonly RequestFact[] | undefined {
  const facts: RequestFact[] = [
    ['operation', operation],
    ['time', { date: new Date(now).toISOString() }],
  ];
  if (agent !== undefined) facts.push(['agent', agent]);
  for (const [schemeId, { id, subject, certificate }] of principals) {
    facts.push(['principal', schemeId, id]);
    if (certificate === undefined) continue;
    facts.push(['peer', id], ['peer_subject', subject], ['peer_fingerprint', certificate.fingerprint256]);
  }
  const texts = facts.flat().filter((term) => typeof term === 'string');
  return texts.every((text) => !/\p{Surrogate}/u.test(text)) ? facts : undefined;
}

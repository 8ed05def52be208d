import { isChallenge, renderChallenge, type Challenge } from '../../challenge.js';
import type { SchemeDenial } from '../../scheme.js';
import { SCHEME_ID, type Trial } from '../trial.js';
import { show, violation } from '../violation.js';
import type { Rule } from './rule.js';

const reasons: readonly SchemeDenial['reason'][] = [
  'missing',
  'malformed',
  'invalid',
  'insufficient_scope',
  'insufficient_authentication',
  'not_permitted',
];

export const challengeRules: readonly Rule[] = [
  {
    title: 'challenge() phrases a well-formed challenge for every denial',
    check(trial) {
      for (const { reason, challenges } of challengesFor(trial)) {
        for (const challenge of challenges) {
          if (isChallenge(challenge)) continue;
          throw violation(
            `challenge() answered ${show(challenge)} to "${reason}".`,
            'Return { scheme, params?, headers? } or a list of such: a token for each name, texts for params, and headers without line breaks or other characters that are no ASCII. The engine quotes the params.',
          );
        }
        if (challenges.length > 0 || reason === 'insufficient_authentication') continue;
        if (trial.scheme.challenge === undefined) continue;
        throw violation(
          `challenge() has no challenge for "${reason}".`,
          'Return at least one: RFC 9110 §11.6.1 wants one in each 401.',
        );
      }
    },
  },
  {
    title: 'challenge() names the realm it is given, or none',
    check(trial) {
      for (const { realm, challenges } of challengesFor(trial)) {
        for (const { params } of challenges.filter(isChallenge)) {
          if (params?.realm === undefined || params.realm === realm) continue;
          throw violation(
            `challenge() names the realm ${show(params.realm)}.`,
            "Use the agent's realm, which it is given: clients reuse credentials within a realm.",
          );
        }
      }
    },
  },
];

/** What a scheme asks for after every kind of denial. */
export function challengesFor({
  scheme,
}: Trial): readonly (SchemeDenial & { readonly challenges: readonly Challenge[] })[] {
  if (scheme.challenge === undefined) return [];
  return denials().map((denial) => {
    let phrased: unknown;
    try {
      phrased = scheme.challenge?.(denial);
    } catch (error) {
      throw violation(
        `challenge() threw ${error instanceof Error ? error.name : typeof error} about "${denial.reason}".`,
        'Phrase a challenge for every denial: error, stepUp and resourceMetadataUrl may be undefined, and requiredScopes empty.',
      );
    }
    const challenges = [phrased].flat() as Challenge[];
    // What cannot be rendered must not be: the next rule says so.
    for (const challenge of challenges) if (isChallenge(challenge)) renderChallenge(challenge);
    return { ...denial, challenges };
  });
}

function denials(): readonly SchemeDenial[] {
  return reasons.flatMap((reason): SchemeDenial[] => [
    {
      schemeId: SCHEME_ID,
      reason,
      error: undefined,
      requiredScopes: [],
      stepUp: undefined,
      realm: 'conformance',
      resourceMetadataUrl: undefined,
    },
    {
      schemeId: SCHEME_ID,
      reason,
      error: 'conformance_error',
      requiredScopes: ['first', 'second'],
      stepUp: { acrValues: ['gold', 'silver'], maxAge: 300 },
      realm: 'A "quoted" realm, with a comma',
      resourceMetadataUrl: 'https://agent.example/.well-known/oauth-protected-resource',
    },
  ]);
}

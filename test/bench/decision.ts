import { Child } from './child.js';
import type { Effort } from './settings.js';

/** Microseconds for one decision, by variant and round. */
export type DecisionTimes = Readonly<Record<string, readonly number[]>>;

export interface DecisionMeasurements {
  /** What nobody can do without who keeps keys as digests: how fast the machine is. */
  readonly hmac: DecisionTimes;
  /** By the number of keys stored. */
  readonly apiKey: DecisionTimes;
  readonly seenJwt: DecisionTimes;
  /** By the number of alternatives, of which the last matches. */
  readonly alternatives: DecisionTimes;
  /** A call of the client, by what it sends. */
  readonly client: DecisionTimes;
}

/** The decision, and the client's part, without HTTP; each kind in a process of its own. */
export async function measureDecisions(effort: Effort): Promise<DecisionMeasurements> {
  const measure = async (kind: string): Promise<DecisionTimes> => {
    const child = new Child(`decisions/${kind}`, effort);
    try {
      return await child.message<DecisionTimes>();
    } finally {
      await child.stop();
    }
  };
  return {
    hmac: await measure('hmac'),
    apiKey: await measure('api-key'),
    seenJwt: await measure('seen-jwt'),
    alternatives: await measure('alternatives'),
    client: await measure('client'),
  };
}

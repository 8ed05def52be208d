import { Child } from './child.js';
import type { Effort } from './settings.js';
import { rotated } from './statistics.js';

/** Microseconds for one decision, by variant. */
export type RoundTimes = Readonly<Record<string, number>>;

/** Microseconds for one decision, by variant and round. */
export type DecisionTimes = Readonly<Record<string, readonly number[]>>;

export interface DecisionMeasurements {
  /** HMAC-SHA-256 as Node.js offers it: how fast the machine is. */
  readonly hmac: DecisionTimes;
  /** By the number of keys stored. */
  readonly apiKey: DecisionTimes;
  readonly seenJwt: DecisionTimes;
  /** By the number of alternatives, of which the last matches. */
  readonly alternatives: DecisionTimes;
  /** A call of the client, by what it sends. */
  readonly client: DecisionTimes;
}

/** The first rounds are for warming up. */
const WARM_UP_ROUNDS = 2;

/** The decision, and the client's part, without HTTP; each kind in a process of its own. */
export async function measureDecisions(effort: Effort): Promise<DecisionMeasurements> {
  return {
    hmac: await measureRounds('hmac', [effort]),
    // In one process, a million keys would slow down what is measured with one.
    apiKey: await measureRounds(
      'api-key',
      effort.keyCounts.map((count) => ({ ...effort, keyCounts: [count] })),
    ),
    seenJwt: await measureRounds('seen-jwt', [effort]),
    alternatives: await measureRounds('alternatives', [effort]),
    client: await measureRounds('client', [effort]),
  };
}

/** @param efforts one for each process; they take turns */
async function measureRounds(kind: string, efforts: readonly Effort[]): Promise<DecisionTimes> {
  const children: Child[] = [];
  try {
    for (const effort of efforts) {
      const child = new Child(`decisions/${kind}`, effort);
      children.push(child);
      await child.message();
    }
    const times: Record<string, number[]> = {};
    const rounds = efforts[0]?.rounds ?? 0;
    for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
      for (const child of rotated(children, round + WARM_UP_ROUNDS)) {
        const measured = await child.ask<RoundTimes>('round');
        if (round < 0) continue;
        for (const [name, microseconds] of Object.entries(measured)) (times[name] ??= []).push(microseconds);
      }
    }
    return times;
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

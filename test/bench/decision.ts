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

/** A file of the folder `decisions`, and how much it measures. */
type Process = readonly [file: string, effort: Effort];

/** The decision, and the client's part, without HTTP; each kind in a process of its own. */
export async function measureDecisions(effort: Effort): Promise<DecisionMeasurements> {
  const [hmac, apiKey, seenJwt, alternatives] = await measureRounds(effort.rounds, [
    [['hmac', effort]],
    // In one process, a million keys would slow down what is measured with one.
    effort.keyCounts.map((count): Process => ['api-key', { ...effort, keyCounts: [count] }]),
    [['seen-jwt', effort]],
    [['alternatives', effort]],
  ]);
  const [client] = await measureRounds(effort.rounds, [[['client', effort]]]);
  return { hmac, apiKey, seenJwt, alternatives, client };
}

/**
 * The times of each kind. All processes take turns, so that each kind is measured over the whole time, in which the machine
 * is now faster and now slower.
 */
async function measureRounds<const Kinds extends readonly (readonly Process[])[]>(
  rounds: number,
  kinds: Kinds,
): Promise<{ [Index in keyof Kinds]: DecisionTimes }> {
  const measured = kinds.map((): Record<string, number[]> => ({}));
  const children: { readonly child: Child; readonly times: Record<string, number[]> }[] = [];
  try {
    for (const [index, times] of measured.entries()) {
      for (const [file, effort] of kinds[index] ?? []) {
        const child = new Child(`decisions/${file}`, effort);
        children.push({ child, times });
        await child.message();
      }
    }
    for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
      for (const { child, times } of rotated(children, round + WARM_UP_ROUNDS)) {
        const ofRound = await child.ask<RoundTimes>('round');
        if (round < 0) continue;
        for (const [name, microseconds] of Object.entries(ofRound)) (times[name] ??= []).push(microseconds);
      }
    }
    return measured as { [Index in keyof Kinds]: DecisionTimes };
  } finally {
    await Promise.all(children.map(({ child }) => child.stop()));
  }
}

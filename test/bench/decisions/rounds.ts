import type { AgentSecurity, AuthRequest } from '@a2a-auth/server';

import type { RoundTimes } from '../decision.js';
import type { Effort } from '../settings.js';
import { rotated } from '../statistics.js';

/** What is measured, done for the first time, the second, and so on. */
export type Work = (index: number) => Promise<void>;

const none: readonly string[] = [];

/** Measures work, all variants once each time the parent process asks for it, and sends the microseconds for one. */
export async function measureRounds(
  prepare: (effort: Effort) => Record<string, Work> | Promise<Record<string, Work>>,
): Promise<void> {
  const effort = JSON.parse(process.argv[2] ?? '') as Effort;
  const variants = Object.entries(await prepare(effort));
  let rounds = 0;
  const measure = async (): Promise<RoundTimes> => {
    // In the order of the table, which is not that of this round.
    const times = Object.fromEntries(variants.map(([name]) => [name, NaN]));
    for (const [name, work] of rotated(variants, rounds++)) {
      times[name] = await timeOf(work, effort.decisions);
    }
    return times;
  };
  process.on('message', () => {
    void measure().then((times) => process.send?.(times));
  });
  process.once('disconnect', () => process.exit(0));
  process.send?.('prepared');
}

/** Microseconds for one of so many. */
async function timeOf(work: Work, count: number): Promise<number> {
  const startedAt = performance.now();
  for (let index = 0; index < count; index++) await work(index);
  return ((performance.now() - startedAt) / count) * 1000;
}

/** @param valueOf the value of the header with the credential, for the first request, the second, and so on */
export function decisions(
  security: AgentSecurity<string>,
  header: string,
  valueOf: (index: number) => string,
): Work {
  return async (index) => {
    const decision = await security.authenticate(new Presented(header, valueOf(index)));
    if (!decision.granted) throw new Error(`Denied: ${decision.reason}`);
  };
}

/** A class, because tsx has each named function that is made anew define its name anew, and that takes as long as a decision. */
class Presented implements AuthRequest {
  readonly method = 'POST';
  readonly url = 'http://localhost/';
  readonly remoteAddress = '127.0.0.1';
  readonly #header: string;
  readonly #present: readonly string[];

  constructor(header: string, value: string) {
    this.#header = header;
    this.#present = [value];
  }

  header(name: string): readonly string[] {
    return name.toLowerCase() === this.#header ? this.#present : none;
  }

  query(): readonly string[] {
    return none;
  }

  cookie(): readonly string[] {
    return none;
  }
}

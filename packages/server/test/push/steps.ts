import { Session } from 'node:inspector';

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

// From the beginning: of functions that were compiled before, the calls would be counted and not the loops in them.
const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

/** How many blocks of the sources in src/push are entered while it works: the same on machines of any speed. */
export async function stepsOf(work: () => Promise<void> | void): Promise<number> {
  stepsUntilNow();
  await work();
  return stepsUntilNow();
}

/** Since it was last asked. */
function stepsUntilNow(): number {
  let counted: Coverage | undefined;
  session.post('Profiler.takePreciseCoverage', (_, coverage) => (counted = coverage));
  return (counted?.result ?? [])
    .filter(({ url }) => url.includes('/src/push/'))
    .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
    .reduce((sum, { count }) => sum + count, 0);
}

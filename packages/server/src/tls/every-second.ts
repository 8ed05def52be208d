const INTERVAL = 1000;

/**
 * Does these things again and again, one after the other, with a second between. One that fails makes the process warn,
 * once until it fails otherwise or succeeds, and keeps none of the others from being done.
 *
 * @param tasks by what they are about
 * @returns stops it
 */
export function everySecond(tasks: Readonly<Record<string, () => unknown>>): () => void {
  const problems = new Map<string, string>();
  let isStopped = false;
  let timer: NodeJS.Timeout;

  const round = async (): Promise<void> => {
    for (const [subject, task] of Object.entries(tasks)) {
      try {
        await task();
        problems.delete(subject);
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        if (problems.get(subject) === problem) continue;
        problems.set(subject, problem);
        process.emitWarning(`${subject} stays as it was: ${problem}`, { code: 'A2A_AUTH_TLS_RELOAD' });
      }
    }
    schedule();
  };
  const schedule = (): void => {
    if (isStopped) return;
    timer = setTimeout(() => void round(), INTERVAL);
    // What listens keeps the process alive, not this.
    timer.unref();
  };
  schedule();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

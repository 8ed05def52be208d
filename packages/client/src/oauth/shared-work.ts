/**
 * Does work of one name once for all who want it at the same time. Who gives up stops waiting; when all did, the work is
 * told to stop.
 */
export function sharedWork<T>(): (
  name: string,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
) => Promise<T> {
  interface Job {
    readonly result: Promise<T>;
    readonly controller: AbortController;
    waiting: number;
  }
  const jobs = new Map<string, Job>();

  const start = (name: string, work: (signal: AbortSignal) => Promise<T>): Job => {
    const controller = new AbortController();
    const result = work(controller.signal).finally(() => {
      if (jobs.get(name) === job) jobs.delete(name);
    });
    result.catch(() => undefined);
    const job: Job = { result, controller, waiting: 0 };
    jobs.set(name, job);
    return job;
  };

  return async (name, signal, work) => {
    signal?.throwIfAborted();
    const job = jobs.get(name) ?? start(name, work);
    job.waiting++;
    try {
      return await (signal === undefined ? job.result : unlessAborted(job.result, signal));
    } finally {
      if (--job.waiting === 0) {
        if (jobs.get(name) === job) jobs.delete(name);
        job.controller.abort();
      }
    }
  };
}

/** Waits for a result no longer than the signal allows. */
export async function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody waits for it, once this does not.
  result.catch(() => undefined);
  signal.throwIfAborted();
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Does works of one name one after the other. */
export function oneByOne(): <T>(name: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const before = last.get(name) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    last.set(name, settled);
    try {
      return await mine;
    } finally {
      if (last.get(name) === settled) last.delete(name);
    }
  };
}

import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';

import type { Answer, Job, Jobs, Report } from './engine-jobs.js';

/** The biscuit library, in a thread of its own that is replaced when it can no longer be relied upon. */
export interface Engine {
  /**
   * @param milliseconds after which the thread is ended and the job is refused
   * @throws {EngineUnavailable} when there is no thread, or too much waits for it
   */
  ask<Kind extends keyof Jobs>(
    kind: Kind,
    job: Jobs[Kind]['ask'],
    milliseconds: number,
  ): Promise<Answer<Jobs[Kind]['answer']>>;
  /**
   * Blocks until the answer is there; for start-up.
   *
   * @throws {EngineUnavailable} when there is none
   */
  askNow<Kind extends keyof Jobs>(kind: Kind, job: Jobs[Kind]['ask']): Answer<Jobs[Kind]['answer']>;
}

/** Nothing is known about the token. */
export class EngineUnavailable extends Error {
  override readonly name = 'EngineUnavailable';
}

interface Task {
  readonly job: Job;
  readonly milliseconds: number;
  readonly resolve: (answer: Answer<never>) => void;
  readonly reject: (error: EngineUnavailable) => void;
}

interface Thread {
  readonly worker: Worker;
  isReady: boolean;
}

/** A token and a wait of milliseconds each: far more than a caller would wait for. */
const MAX_WAITING = 1000;
const START_TIMEOUT = 10_000;

/** @param maxMemory bytes of the library's memory, which never shrinks, after which its thread is replaced */
export function createEngine(maxMemory = 64 * 2 ** 20): Engine {
  const waiting: Task[] = [];
  let thread: Thread | undefined;
  let current: Task | undefined;
  let timer: NodeJS.Timeout | undefined;

  function start(): Thread {
    // Neither the flags nor the environment of the process: no hook, and no secret, has a business in there.
    const worker = new Worker(new URL('./engine-worker.js', import.meta.url), { execArgv: [], env: {} });
    const started: Thread = { worker, isReady: false };
    worker.unref();
    worker.on('message', (message: Report | 'ready') => {
      if (thread !== started) return;
      if (message === 'ready') started.isReady = true;
      else settle(message);
      proceed();
    });
    const lose = () => {
      if (thread === started) abandon('The thread of the biscuit library ended.');
    };
    worker.on('error', lose);
    worker.on('exit', lose);
    return started;
  }

  function proceed(): void {
    if (current !== undefined) return;
    const [next] = waiting;
    if (next === undefined) {
      // A process that has nothing else to do may end.
      thread?.worker.unref();
      return;
    }
    thread ??= start();
    thread.worker.ref();
    if (!thread.isReady) {
      timer ??= setTimeout(abandon, START_TIMEOUT, 'The thread of the biscuit library did not start.');
      return;
    }
    clearTimeout(timer);
    waiting.shift();
    current = next;
    timer = setTimeout(expire, next.milliseconds, next);
    thread.worker.postMessage({ job: next.job });
  }

  function settle({ answer, panicked, memory }: Report): void {
    const task = finish();
    if (panicked || memory > maxMemory) retire();
    task?.resolve(answer as Answer<never>);
  }

  /** A report that waits to be read, because this thread was busy itself, is read first. */
  function expire(task: Task): void {
    setImmediate(() => {
      if (current !== task) return;
      finish();
      retire();
      task.resolve({
        status: 'refused',
        detail: `The evaluation was ended after ${String(task.milliseconds)} ms.`,
      });
      proceed();
    });
  }

  /**
   * Who waits is served by another thread, unless this one could not even start: then nobody waits in vain, and the next
   * one to ask has it tried again.
   */
  function abandon(reason: string): void {
    const lost = [finish(), ...(thread?.isReady === true ? [] : waiting.splice(0))];
    retire();
    for (const task of lost) task?.reject(new EngineUnavailable(reason));
    proceed();
  }

  function finish(): Task | undefined {
    clearTimeout(timer);
    timer = undefined;
    const task = current;
    current = undefined;
    return task;
  }

  function retire(): void {
    const retired = thread;
    thread = undefined;
    void retired?.worker.terminate();
  }

  return {
    ask: (kind, job, milliseconds) =>
      new Promise((resolve, reject) => {
        if (waiting.length >= MAX_WAITING) {
          reject(new EngineUnavailable('Too many biscuits wait to be looked at.'));
          return;
        }
        waiting.push({ job: { kind, ...job } as Job, milliseconds, resolve, reject });
        proceed();
      }),
    askNow: (kind, job) => {
      thread ??= start();
      const signal = new Int32Array(new SharedArrayBuffer(4));
      const { port1, port2 } = new MessageChannel();
      try {
        thread.worker.postMessage({ job: { kind, ...job }, sync: { port: port2, signal } }, [port2]);
        Atomics.wait(signal, 0, 0, START_TIMEOUT);
        const received = receiveMessageOnPort(port1) as { readonly message: Report } | undefined;
        if (received === undefined) {
          retire();
          throw new EngineUnavailable('The thread of the biscuit library did not start.');
        }
        const { answer, panicked } = received.message;
        if (panicked) retire();
        return answer as Answer<never>;
      } finally {
        port1.close();
      }
    },
  };
}

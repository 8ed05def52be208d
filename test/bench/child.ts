import { fork, type ChildProcess, type Serializable } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Another process of the benchmark, which has its compiled code and its memory to itself. */
export class Child {
  readonly #name: string;
  readonly #process: ChildProcess;

  /** @param file relative to this folder, without its ending */
  constructor(file: string, settings: unknown = {}) {
    this.#name = file;
    this.#process = fork(fileURLToPath(new URL(`${file}.ts`, import.meta.url)), [JSON.stringify(settings)], {
      execArgv: ['--import', 'tsx'],
    });
  }

  /** The next message it sends. */
  async message<T>(): Promise<T> {
    const ended = new AbortController();
    const exited = once(this.#process, 'exit', { signal: ended.signal }).then(([code]) => {
      throw new Error(`${this.#name} ended with ${String(code)} before it answered.`);
    });
    try {
      const [message] = (await Promise.race([once(this.#process, 'message', ended), exited])) as [T];
      return message;
    } finally {
      exited.catch(() => undefined);
      ended.abort();
    }
  }

  ask<T>(question: Serializable): Promise<T> {
    const answer = this.message<T>();
    this.#process.send(question);
    return answer;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.disconnect();
    await exited;
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** A program of this repository, running. */
export class Program {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<number | null>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#ended = once(this.child, 'close').then(([code]) => code as number | null);
  }

  /** Resolves once standard output matches, and fails when the program ends before. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.stdout);
      if (found !== null) return found;
      const next = this.child.stdout && once(this.child.stdout, 'data').then(() => 'more' as const);
      const what = await Promise.race([next, this.#ended]);
      if (what !== 'more' && !pattern.test(this.stdout)) {
        throw new Error(`The program ended with ${String(what)}:\n${this.stdout}\n${this.stderr}`);
      }
    }
  }

  /** The exit code, once everything that was printed has been read. */
  ends(): Promise<number | null> {
    return this.#ended;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Below those that systems give to connections: one of these could be gone before the program listens. */
const PORTS = [20_000, 32_000] as const;

/** A port that is free, and so are the next three. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const port = randomInt(...PORTS);
    const servers = Array.from({ length: 4 }, () => createServer());
    const free = await Promise.all(
      servers.map((server, index) =>
        once(server.listen(port + index), 'listening').then(
          () => true,
          () => false,
        ),
      ),
    );
    await Promise.all(
      servers.filter(({ listening }) => listening).map((server) => once(server.close(), 'close')),
    );
    if (free.every(Boolean)) return port;
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
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

/** A port that is free, and so are the next three. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const first = createServer();
    await once(first.listen(0), 'listening');
    const { port } = first.address() as { port: number };
    const servers = [first, createServer(), createServer(), createServer()];
    const free = await Promise.all(
      servers.map(async (server, index) => {
        if (index === 0) return true;
        if (port + index > 65_535) return false;
        return once(server.listen(port + index), 'listening').then(
          () => true,
          () => false,
        );
      }),
    );
    await Promise.all(
      servers.filter(({ listening }) => listening).map((server) => once(server.close(), 'close')),
    );
    if (free.every(Boolean)) return port;
  }
}

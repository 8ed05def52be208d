import { join } from 'node:path';

import { freePorts, Program } from './program.js';

const main = join(import.meta.dirname, '../../examples/quickstart/dist/main.js');

/** What the quickstart says of itself with `--json`. */
export interface QuickstartJson {
  readonly cardUrl: string;
  readonly endpoints: Readonly<Record<'JSONRPC' | 'HTTP+JSON', string>>;
  readonly alternatives: readonly {
    readonly name: string;
    readonly headers: Readonly<Record<string, string>>;
  }[];
  readonly authorizationServer: {
    readonly issuer: string;
    readonly resource: string;
    readonly clients: readonly {
      readonly client_id: string;
      readonly client_secret: string;
      readonly grant_types: readonly string[];
      readonly scope: string;
    }[];
  };
}

/** Somebody else may take a port between its being found free and the quickstart's listening on it. */
const ATTEMPTS = 5;

/** Runs the quickstart as a program of its own. */
export async function startQuickstart(): Promise<{ json: QuickstartJson; program: Program }> {
  for (let attempt = 1; ; attempt++) {
    const program = new Program([main, '--json'], { PORT: String(await freePorts()) });
    try {
      const [line] = await program.prints(/^.*\n/);
      return { json: JSON.parse(line) as QuickstartJson, program };
    } catch (error) {
      if (attempt === ATTEMPTS || !program.stderr.includes('EADDRINUSE')) throw error;
    }
  }
}

import { join } from 'node:path';

import { afterEach, expect, it } from 'vitest';

import { Program } from '../support/program.js';

const main = join(import.meta.dirname, '../../examples/delegation-chain/dist/main.js');
let program: Program | undefined;

afterEach(async () => {
  await program?.stop();
});

it('shows the chain, where it is refused, and ends', async () => {
  program = new Program([main], {});
  expect(await program.ends()).toBe(0);
  expect(program.stdout).toBe(
    [
      'Ada logs in.',
      'Asked directly, agent-a says who called:',
      '  ada',
      'Asked through agent-a, agent-b says who called:',
      '  ada, for whom agent-a acts',
      'Asked through agent-c, of which it takes no tokens, agent-b says:',
      '  Authentication failed: the presented credentials were not accepted.',
      'Asked through agent-c and agent-a, which is one too many, agent-b says:',
      '  Authentication failed: the presented credentials were not accepted.',
      '',
    ].join('\n'),
  );
});

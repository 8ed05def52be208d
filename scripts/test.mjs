// `npm test`: makes the working copy runnable, then runs the tests. Arguments go to vitest.
import { join } from 'node:path';
import { exitWith, prepare, root, run } from './prepare.mjs';

await prepare().catch(exitWith);

const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
await run(process.execPath, [vitest, 'run', ...process.argv.slice(2)], { stdio: 'inherit' }).catch(exitWith);

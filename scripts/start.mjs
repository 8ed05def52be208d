// `npm start`: makes the working copy runnable, then becomes the quickstart example. The example runs in this
// very process, so a signal sent to it reaches the example and nothing can be left running behind it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exitWith, prepare, root } from './prepare.mjs';

await prepare().catch(exitWith);

const main = join(root, 'examples', 'quickstart', 'dist', 'main.js');
process.argv[1] = main;
await import(pathToFileURL(main).href);

// `npm start`: makes the working copy runnable, then becomes the quickstart example; `npm run example <name>`
// becomes another one. The example runs in this very process, so a signal sent to it reaches the example and nothing
// can be left running behind it.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exitWith, prepare, root } from './prepare.mjs';

const isNamed = process.env.npm_lifecycle_event === 'example';
const name = isNamed ? process.argv[2] : 'quickstart';
const examples = readdirSync(join(root, 'examples')).filter((folder) => folder !== 'authorization-server');
if (!examples.includes(name)) {
  console.error(`Which example? npm run example <name>, where name is one of: ${examples.join(', ')}`);
  process.exit(1);
}
if (isNamed) process.argv.splice(2, 1);

await prepare().catch(exitWith);

const main = join(root, 'examples', name, 'dist', 'main.js');
process.argv[1] = main;
await import(pathToFileURL(main).href);

// `npm run bench`: measures the built packages and writes bench/results.md. With `--quick` it only sees whether
// everything runs, and writes nothing.
import { mkdir, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { measureDecisions } from './decision.js';
import { measureHttp } from './http.js';
import { measureLatency } from './latency.js';
import { report } from './report.js';
import { fullEffort, quickEffort } from './settings.js';

const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values;
const effort = quick ? quickEffort : fullEffort;

// The tests read the sources; what users run is the build.
if (!import.meta.resolve('@a2a-auth/server').endsWith('/dist/index.js')) {
  throw new Error('The benchmark must measure the built package.');
}

const http = await measureHttp(effort);
const latency = await measureLatency(effort);
const decisions = await measureDecisions(effort);
const results = report(effort, { http, latency, decisions });
console.log(results);

if (!quick) {
  const folder = new URL('../../bench/', import.meta.url);
  await mkdir(folder, { recursive: true });
  await writeFile(new URL('results.md', folder), results);
}

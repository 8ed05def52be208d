// Prints the Debian packages that are missing here for all suites of this folder to run, one to a line.
import { missingPrograms } from './programs.js';

for (const name of new Set(missingPrograms().map(({ apt }) => apt))) console.log(name);

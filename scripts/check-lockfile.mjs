// The lock file must not name the registry somebody happened to install from, and must be complete: one that
// was made on one platform can lack the optional dependencies of the others, and `npm ci` then refuses it.
import { readFile } from 'node:fs/promises';

const lock = JSON.parse(await readFile(new URL('../package-lock.json', import.meta.url), 'utf8'));
const problems = [];

/** Whether a package installed at `path` finds a package of that name, there or further up. */
function finds(path, name) {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    if (lock.packages[`${at ? `${at}/` : ''}node_modules/${name}`]) return true;
    if (at === '') return false;
  }
}

for (const [path, entry] of Object.entries(lock.packages)) {
  if (entry.resolved !== undefined && !entry.link) problems.push(`${path}: resolved to ${entry.resolved}`);
  if (path.includes('node_modules/') && !entry.link && !entry.integrity && !entry.inBundle)
    problems.push(`${path}: no integrity hash`);
  for (const name of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }))
    if (!finds(path, name)) problems.push(`${path}: its dependency ${name} has no entry`);
}
if (problems.length > 0) {
  console.error(`package-lock.json:\n  ${problems.join('\n  ')}`);
  process.exit(1);
}
console.log(
  `package-lock.json: ${Object.keys(lock.packages).length} entries, complete, hashed, no registry addresses`,
);

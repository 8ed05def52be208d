// JavaScript, because a worker thread loads this file as it is: from src in the tests, from dist in use.
import { readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';

/**
 * Instantiates the library's WebAssembly beside its glue. Its own entry imports the .wasm file as a module, which needs
 * a flag before Node 22. A process that loads it twice gets the same glue, bound to the later instance: load it once.
 *
 * @returns {Promise<{ library: any, memoryInUse: () => number }>}
 */
export async function load() {
  const { WebAssembly } = /** @type {any} */ (globalThis);
  const entry = import.meta.resolve('@biscuit-auth/biscuit-wasm');
  const library = await import(new URL('biscuit_bg.js', entry).href);
  const module = await WebAssembly.compile(await readFile(new URL('biscuit_bg.wasm', entry)));
  const instance = await WebAssembly.instantiate(
    module,
    importsOf(WebAssembly.Module.imports(module), library),
  );
  library.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return { library, memoryInUse: () => instance.exports.memory.buffer.byteLength };
}

/**
 * @param {readonly { module: string, name: string }[]} wanted
 * @param {Record<string, unknown>} glue
 */
function importsOf(wanted, glue) {
  /** @type {Record<string, Record<string, unknown>>} */
  const imports = {};
  for (const { module, name } of wanted) {
    (imports[module] ??= {})[name] = importOf(name, glue);
  }
  return imports;
}

/**
 * @param {string} name
 * @param {Record<string, unknown>} glue
 */
function importOf(name, glue) {
  // It greets on standard output, where programs write what others read.
  if (/^__wbg_(log|debug|info|warn)_/.test(name)) return () => undefined;
  return name === 'performance_now' ? () => performance.now() : glue[name];
}

import type { HttpJsonQuery } from './http-json-dialect.js';

const none: HttpJsonQuery = Object.freeze({});

/**
 * The query of a request target by name: the text, or the list of texts of a parameter that is repeated. Read alike for
 * every framework, whatever a name with brackets means to its own parser.
 */
export function queryOf(target: string): HttpJsonQuery {
  // Node passes a "#" on, and what follows it is no part of the query.
  const [, query] = /^[^?#]*\?([^#]*)/.exec(target) ?? [];
  if (query === undefined) return none;
  const values = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(query)) {
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length > 1 ? all : all[0]]));
}

import { configurationError } from './errors.js';

/** What can be told of a value without knowing what it is for. `any` is what its owner looks at by itself. */
export type OptionKind = 'any' | 'boolean' | 'number' | 'function' | 'string' | 'strings' | 'object';

/** The names of options, also of those that only one alternative has. */
type NameOf<Options> = Options extends unknown ? keyof Options & string : never;

const kinds: Readonly<
  Record<Exclude<OptionKind, 'any'>, { what: string; isMet: (value: unknown) => boolean }>
> = {
  boolean: { what: 'true or false', isMet: (value) => typeof value === 'boolean' },
  number: { what: 'a number', isMet: (value) => typeof value === 'number' },
  function: { what: 'a function', isMet: (value) => typeof value === 'function' },
  string: { what: 'a string', isMet: (value) => typeof value === 'string' },
  strings: {
    what: 'a list of strings',
    isMet: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  },
  object: {
    what: 'an object',
    isMet: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  },
};

/**
 * Holds options to their names and kinds, as the compiler does for TypeScript. In JavaScript, what is misspelt would be
 * left out without a word, and be it the check that keeps somebody out; and `'false'`, from the environment, would be true.
 *
 * @param culprit whose options they are, such as `jwt()`
 * @param known all options
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function checkOptions<Options extends object>(
  culprit: string,
  options: Options,
  known: Readonly<Record<NameOf<Options>, OptionKind>>,
): void {
  const given: unknown = options;
  if (!kinds.object.isMet(given)) {
    throw configurationError('INVALID_OPTION', `${culprit} needs an object with its options.`);
  }
  const names = unknownNames(options, Object.keys(known));
  if (names.length > 0) {
    throw configurationError(
      'INVALID_OPTION',
      `${culprit} has no option ${names.join(', ')}. There are ${Object.keys(known).join(', ')}.`,
    );
  }
  for (const [name, kind] of Object.entries<OptionKind>(known)) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value === undefined || kind === 'any' || kinds[kind].isMet(value)) continue;
    throw configurationError('INVALID_OPTION', `${culprit}: ${name} must be ${kinds[kind].what}.`);
  }
}

/** Names that are not known, as they may be told: somebody may have put a secret in the place of a name. */
export function unknownNames(given: object, known: readonly string[]): readonly string[] {
  return Object.entries(given)
    .filter(([name, value]) => value !== undefined && !known.includes(name))
    .map(([name]) => (/^[A-Za-z_]{1,30}$/.test(name) ? name : '(no name)'));
}

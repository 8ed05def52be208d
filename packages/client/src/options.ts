import { ClientError } from './errors.js';

/**
 * Holds options to their names, as the compiler does for TypeScript. In JavaScript, what is misspelt would be left out
 * without a word, and be it the signature that a card must have.
 *
 * @param culprit whose options they are, such as `connect()`
 * @param known all options
 * @throws {ClientError} `INVALID_OPTION`
 */
export function checkOptions<Options extends object>(
  culprit: string,
  options: Options,
  known: Readonly<Record<keyof Options, true>>,
): void {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) {
    throw new ClientError('INVALID_OPTION', `${culprit} needs an object with its options.`);
  }
  const unknown = Object.entries(given)
    .filter(([name, value]) => value !== undefined && !Object.hasOwn(known, name))
    // Somebody may have put a secret in the place of a name.
    .map(([name]) => (/^[A-Za-z_]{1,30}$/.test(name) ? name : '(no name)'));
  if (unknown.length === 0) return;
  throw new ClientError(
    'INVALID_OPTION',
    `${culprit} has no option ${unknown.join(', ')}. There are ${Object.keys(known).join(', ')}.`,
  );
}

import { configurationError, VerifierUnavailable } from '../errors.js';
import { checkOptions } from '../options.js';
import { reasonOf } from './outbound.js';

export interface CircuitOptions {
  /** Failures in a row after which the provider is left alone. Default 5. */
  readonly failures?: number;
  /** Seconds for which it is left alone; doubled with every failed attempt after that, up to eight times. Default 5. */
  readonly pause?: number;
  /** Calls under way at the same time; more are turned away at once. Default 64. */
  readonly concurrency?: number;
}

/**
 * Puts a bound on calling a provider: after failures in a row it is left alone for a while, then tried by one call; and
 * never more than `concurrency` calls are under way.
 *
 * @param isAnswer whether a failed call shows all the same that the provider is there: nobody else has to wait for it then
 * @throws {VerifierUnavailable} from the returned function, when a call fails or is not made
 */
export function circuit<Argument, Result>(
  what: string,
  call: (argument: Argument) => Promise<Result>,
  options: CircuitOptions = {},
  isAnswer: (error: unknown) => boolean = () => false,
): (argument: Argument) => Promise<Result> {
  checkOptions('circuit', options, { failures: 'number', pause: 'number', concurrency: 'number' });
  const { failures = 5, pause = 5, concurrency = 64 } = options;
  if (![failures, concurrency].every((count) => Number.isInteger(count) && count > 0) || !(pause > 0)) {
    throw configurationError(
      'INVALID_OPTION',
      'circuit must be { failures, concurrency: positive integers, pause: a positive number of seconds }.',
    );
  }
  let failedInARow = 0;
  let failedTrials = 0;
  let openUntil = 0;
  let underWay = 0;

  function close(): void {
    failedInARow = 0;
    failedTrials = 0;
    openUntil = 0;
  }

  return async (argument) => {
    const now = Date.now();
    if (now < openUntil) {
      throw new VerifierUnavailable(
        `${what} failed ${String(failedInARow)} times in a row and is left alone.`,
        {
          retryAfter: Math.ceil((openUntil - now) / 1000),
        },
      );
    }
    if (underWay >= concurrency) {
      throw new VerifierUnavailable(`${what} has ${String(concurrency)} calls under way.`, { retryAfter: 1 });
    }
    const isTrial = failedInARow >= failures;
    // While one call tries whether the provider is back, the others go on waiting.
    if (isTrial) openUntil = now + pause * 1000;
    underWay += 1;
    try {
      const result = await call(argument);
      close();
      return result;
    } catch (error) {
      if (isAnswer(error)) {
        close();
      } else {
        failedInARow += 1;
        if (isTrial) failedTrials += 1;
        // Calls that were under way already when the pause began do not make it longer.
        if (isTrial || failedInARow === failures) {
          openUntil = Date.now() + pause * 1000 * 2 ** Math.min(3, failedTrials);
        }
      }
      throw new VerifierUnavailable(`${what} failed: ${reasonOf(error)}`, {
        retryAfter: Math.max(1, Math.ceil(Math.max(pause, (openUntil - Date.now()) / 1000))),
        cause: error,
      });
    } finally {
      underWay -= 1;
    }
  };
}

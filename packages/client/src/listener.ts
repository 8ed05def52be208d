/**
 * A listener that may fail, and may be asynchronous: nobody waits for it, and a failure makes the process warn and changes
 * nothing.
 *
 * @param option what it was given as
 */
export function lenient<Event>(
  option: string,
  listener: ((event: Event) => unknown) | undefined,
): ((event: Event) => void) | undefined {
  if (listener === undefined) return undefined;
  const warn = (error: unknown) => {
    const what = error instanceof Error ? error.message : typeof error;
    process.emitWarning(`${option} threw: ${what}`, { code: 'A2A_AUTH_LISTENER' });
  };
  return (event) => {
    try {
      Promise.resolve(listener(event)).catch(warn);
    } catch (error) {
      warn(error);
    }
  };
}

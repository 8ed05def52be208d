/**
 * Tells a listener of an event. It may be asynchronous, and nobody waits for it. One that fails makes the process warn, and
 * changes nothing.
 *
 * @param option what the listener was given as
 * @param code of the warning
 */
export function tell<Event>(
  listener: ((event: Event) => unknown) | undefined,
  event: Event,
  { option, code }: { readonly option: string; readonly code: string },
): void {
  const warn = (error: unknown) => {
    process.emitWarning(`${option} threw: ${describe(error)}`, { code });
  };
  try {
    Promise.resolve(listener?.(event)).catch(warn);
  } catch (error) {
    warn(error);
  }
}

function describe(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'something that cannot be read';
  }
}

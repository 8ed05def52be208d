/** What a case throws: which rule is broken, and the mend. */
export function violation(problem: string, mend: string): Error {
  return new Error(`${problem} ${mend}`);
}

/** Whatever was thrown or answered, in few words. */
export function show(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === 'function') return 'a function';
  try {
    const text = JSON.stringify(value) ?? String(value);
    return text.length > 200 ? `${text.slice(0, 200)}…` : text;
  } catch {
    return Object.prototype.toString.call(value);
  }
}

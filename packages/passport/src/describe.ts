/** Enough for a log. */
const MAX_LENGTH = 300;

/** What somebody else's code said, for the audit event: one line, not too long, and without these secrets. */
export function describe(said: unknown, secrets: readonly string[]): string {
  const text = secrets
    .reduce((censored, secret) => censored.replaceAll(secret, '[credential]'), textOf(said))
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}

function textOf(said: unknown): string {
  try {
    if (typeof said === 'string') return said;
    if (said instanceof Error) return `${said.name}: ${said.message}`;
    const { message } = (said ?? {}) as { message?: unknown };
    return typeof message === 'string' ? message : '';
  } catch {
    return '';
  }
}

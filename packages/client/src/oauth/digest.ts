import { createHash } from 'node:crypto';

/** What stands for a secret where it must not be seen. */
export function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

import { afterEach, beforeEach, vi } from 'vitest';

/** Keeps the SDK's own log of refused requests out of the report. To be called once in a test file. */
export function muteConsole(): void {
  beforeEach(() => {
    for (const method of ['error', 'warn', 'info'] as const) {
      vi.spyOn(console, method).mockImplementation(() => undefined);
    }
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
}

import { afterEach, beforeEach, vi } from 'vitest';

/** Stops the clock that everybody in this process reads, the authorization server too. To be called once in a file. */
export function stopClock(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

/** Moves the stopped clock on. */
export function passTime(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000);
}

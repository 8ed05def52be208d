import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from 'vitest';

import { lenient } from '../src/listener.js';

describe('a listener', () => {
  let warnings: MockInstance;
  beforeEach(() => {
    warnings = vi.spyOn(process, 'emitWarning').mockReturnValue();
  });
  afterEach(() => {
    warnings.mockRestore();
  });

  it('is told', () => {
    const listener = vi.fn();
    lenient('onEvent', listener)?.('event');
    expect(listener).toHaveBeenCalledExactlyOnceWith('event');
  });

  it('that is not given is none', () => {
    expect(lenient('onEvent', undefined)).toBeUndefined();
  });

  it('that throws is warned of, and throws nothing at who tells it', () => {
    const listener = lenient('onEvent', () => {
      throw new Error('disk full');
    });
    expect(() => listener?.('event')).not.toThrow();
    expect(warnings).toHaveBeenCalledExactlyOnceWith('onEvent threw: disk full', {
      code: 'A2A_AUTH_LISTENER',
    });
  });

  it('that fails later is warned of, and does not bring the process down', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    try {
      lenient('onEvent', () => Promise.reject(new Error('disk full')))?.('event');
      await new Promise(setImmediate);
      expect(unhandled).not.toHaveBeenCalled();
      expect(warnings).toHaveBeenCalledOnce();
    } finally {
      process.off('unhandledRejection', unhandled);
    }
  });
});

import type { StreamResponse } from '@a2a-js/sdk';

export const event: StreamResponse = {
  payload: {
    $case: 'statusUpdate',
    value: { taskId: 't-1', contextId: 'c-1', status: undefined, metadata: undefined },
  },
};

/** A stream that goes on for as long as somebody reads it, or for so many events, and says what becomes of it. */
export function source(length = Infinity, each = event) {
  const seen = { made: 0, ended: 0, returned: 0 };
  async function* generate(): AsyncGenerator<StreamResponse, void, undefined> {
    try {
      while (seen.made < length) {
        await Promise.resolve();
        seen.made++;
        yield each;
      }
    } finally {
      seen.ended++;
    }
  }
  return {
    seen,
    open: () => {
      const generator = generate();
      const end = generator.return.bind(generator);
      generator.return = (value) => {
        seen.returned++;
        return end(value);
      };
      return generator;
    },
  };
}

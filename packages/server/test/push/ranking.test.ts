import fc from 'fast-check';
import { expect, it } from 'vitest';

import { Ranking } from '../../src/push/ranking.js';

it('has what ranks lowest first, whatever was filed, filed again and taken out', () => {
  const filing = fc.tuple(fc.nat(20), fc.option(fc.integer({ min: -50, max: 50 }), { nil: undefined }));
  fc.assert(
    fc.property(fc.array(filing, { maxLength: 200 }), (filings) => {
      const ranking = new Ranking<number>();
      const expected = new Map<number, number>();
      for (const [item, rank] of filings) {
        ranking.file(item, rank);
        if (rank === undefined) expected.delete(item);
        else expected.set(item, rank);
        const lowest = expected.size === 0 ? undefined : Math.min(...expected.values());
        expect(ranking.lowest).toBe(lowest);
        expect(ranking.first === undefined ? undefined : expected.get(ranking.first)).toBe(lowest);
      }
    }),
  );
});

import { allowAll } from '@a2a-auth/server';
import { conformanceRequest, schemeConformance } from '@a2a-auth/server/conformance';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { fixtures } from './fixtures.js';

describe.each(Object.entries(fixtures))('%s', (_, fixture) => {
  for (const { title, run } of schemeConformance(fixture)) it(title, run);
});

describe('allowAll()', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  // It has no credential that could be absent or wrong: that is what it is for, and why it is for development alone.
  const exceptions = [
    'extract() finds nothing in a request without its credential',
    'verify() refuses the bad credential, and says why',
    'verify() accepts nothing that extract() would not return',
    'verify() never accepts garbage',
    'an agent denies the bad credential as invalid',
    'an agent denies a request without a credential as missing it',
  ];
  const cases = schemeConformance({
    create: allowAll,
    good: conformanceRequest,
    bad: conformanceRequest,
    scopes: [],
  });

  it.each(cases)('$title: except where everybody is let in', async ({ title, run }) => {
    vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
    if (exceptions.includes(title)) await expect(run()).rejects.toThrow(Error);
    else await run();
  });
});

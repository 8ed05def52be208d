import { conformanceRequest, schemeConformance } from '@a2a-auth/server/conformance';
import { describe, it } from 'vitest';

import { schemeOf } from './support/decide.js';
import { issuer } from './support/issuer.js';

const authority = issuer();
const { rootKey } = authority;
const rights = 'right("SendMessage"); right("GetTask");';
const alice = authority.token(`user("alice"); ${rights}`);
const bob = authority.token(`user("bob"); ${rights}`);
const expired = authority.attenuated(alice, 'check if time($time), $time < 2020-01-01T00:00:00Z');
const stolen = authority.attenuated(alice, 'check if true');
const stolenId = authority.revocationIds(stolen)[1] ?? '';

const bearing = (token: string) => conformanceRequest({ header: { authorization: `Bearer ${token}` } });

describe('the plug-in contract', () => {
  const cases = schemeConformance({
    create: () => schemeOf({ rootKeys: rootKey, revoked: (ids) => ids.includes(stolenId) }),
    good: () => bearing(alice),
    bad: () => bearing(issuer().token('user("alice");')),
    other: () => bearing(bob),
    malformed: () => [bearing(`${alice} ${alice}`), bearing('')],
    refused: { expired: () => bearing(expired), revoked: () => bearing(stolen) },
    scopes: [],
    unavailable: {
      create: () =>
        schemeOf({
          rootKeys: rootKey,
          revoked: () => {
            throw new Error('down');
          },
        }),
      request: () => bearing(alice),
    },
    permits: { allowed: ['SendMessage', 'GetTask'], forbidden: ['CancelTask', 'unknown'] },
  });
  for (const { title, run } of cases) it(title, run);
});

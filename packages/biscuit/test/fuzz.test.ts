import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { authorization } from '../../server/test/support/auth-request.js';
import { schemeOf } from './support/decide.js';
import { issuer } from './support/issuer.js';

const authority = issuer();
const scheme = schemeOf({ rootKeys: authority.rootKey });
const good = authority.withBlockOf(
  issuer(),
  authority.attenuated(
    authority.token('user("alice"); right("SendMessage"); check if time($t), $t < 2090-01-01T00:00:00Z;'),
    'check if operation("SendMessage")',
  ),
  'checked(true);',
);
const bytes = Buffer.from(good, 'base64url');
const context = { schemeId: 'biscuit', request: authorization(), resource: undefined };

/** What an accepted token says; undefined when it is refused. The revocation ids are the signatures of all its blocks. */
async function meaning(token: Uint8Array): Promise<string | undefined> {
  const verification = await scheme.verify(Buffer.from(token).toString('base64url') || '-', context);
  return verification.verified ? JSON.stringify(verification.principal) : undefined;
}

/** As many as the engine takes at a time. */
function chunks<T>(items: readonly T[], size = 500): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

async function expectNoOther(tokens: readonly Uint8Array[]): Promise<void> {
  const original = await meaning(bytes);
  expect(original).toContain('alice');
  const accepted: (string | undefined)[] = [];
  for (const some of chunks(tokens)) accepted.push(...(await Promise.all(some.map(meaning))));
  // Protocol Buffers have several ways to write the same.
  expect(accepted.filter((said) => said !== undefined && said !== original)).toEqual([]);
  // And the engine is as it was.
  expect(await meaning(bytes)).toBe(original);
}

describe(
  'a token that is broken is refused, or says the same, and breaks nothing',
  { timeout: 120_000 },
  () => {
    it('at any length', async () => {
      await expectNoOther(bytes.toJSON().data.map((_, length) => bytes.subarray(0, length)));
    });

    it('in any bit', async () => {
      const flipped = Array.from({ length: bytes.length * 8 }, (_, bit) => {
        const copy = Uint8Array.from(bytes);
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        return copy;
      });
      await expectNoOther(flipped);
    });

    it('in several bytes', async () => {
      const edits = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 8,
      });
      const edited = fc.sample(edits, 5000).map((changes) => {
        const copy = Uint8Array.from(bytes);
        for (const [at, by] of changes) copy[at] = (copy[at] ?? 0) ^ by;
        return copy;
      });
      await expectNoOther(edited.filter((copy) => !bytes.equals(copy)));
    });

    it('by being random', async () => {
      await expectNoOther(fc.sample(fc.uint8Array({ maxLength: 300 }), 5000));
    });

    it('by being random within its fields', async () => {
      const field = (tag: number) =>
        fc.uint8Array({ maxLength: 100 }).map((content) => [tag, content.length, ...content]);
      const fields = fc.tuple(field(0x12), fc.array(field(0x1a), { maxLength: 3 }), field(0x22));
      await expectNoOther(
        fc
          .sample(fields, 5000)
          .map(([first, blocks, proof]) => Uint8Array.from([...first, ...blocks.flat(), ...proof])),
      );
    });
  },
);

import { agentRouter } from '@a2a-auth/server/express';
import type { RequestHandler } from 'express';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import { expect, it } from 'vitest';

import { combinations } from '../support/client.js';
import { createSecurity, granted } from '../support/credentials.js';
import { send } from '../support/operations.js';
import { closeServersAfterTests } from '../support/server.js';
import { mountPieces, sendMessage, start } from './support.js';

closeServersAfterTests();

setFlagsFromString('--allow-natives-syntax');
const hasHiddenClass = runInThisContext('(object) => %HasFastProperties(object)') as (
  object: object,
) => boolean;

/** Calls an agent that has a middleware before it. */
async function callsBehind(
  before: RequestHandler,
  mount: 'agentRouter' | 'pieces' = 'agentRouter',
): Promise<void> {
  const agent = await start((app, created) => {
    app.use(before);
    if (mount === 'pieces') mountPieces(app, created);
    else app.use(agentRouter({ security: createSecurity(), requestHandler: created.requestHandler }));
  });
  for (const combination of combinations) {
    const url = agent.urlOf(combination);
    const response = await send(url, combination, sendMessage(combination), granted.partner);
    expect(await response.text()).toContain('Done.');
  }
}

it.each(['agentRouter', 'pieces'] as const)(
  'requests and responses have no hidden class where each would have one of its own (%s)',
  async (mount) => {
    const found: boolean[] = [];
    await callsBehind((req, res, next) => {
      res.once('finish', () => found.push(hasHiddenClass(req), hasHiddenClass(res)));
      next();
    }, mount);
    // As V8 of Node 24 on gives one to all of them.
    const expected = Number.parseInt(process.versions.node) >= 24;
    expect(found).toEqual(combinations.flatMap(() => [expected, expected]));
  },
);

it('they keep the properties that they have', async () => {
  const lost: string[] = [];
  await callsBehind((req, res, next) => {
    const { httpVersion } = req;
    const names = Object.keys(req);
    res.once('finish', () => {
      lost.push(...names.filter((name) => !Object.hasOwn(req, name)));
      if (req.httpVersion !== httpVersion || !res.writableFinished) lost.push('a value');
    });
    next();
  });
  expect(lost).toEqual([]);
});

it('a middleware may have made their properties permanent', async () => {
  await callsBehind((req, res, next) => {
    Object.defineProperty(req, 'httpVersion', { configurable: false, writable: false });
    Object.defineProperty(res, 'finished', { configurable: false });
    next();
  });
});

import type { StreamResponse } from '@a2a-js/sdk';
import { ServerCallContext } from '@a2a-js/sdk/server';
import { beforeEach, describe, expect, it } from 'vitest';

import { CallerUser } from '../src/caller.js';
import { sharedSubscriptions } from '../src/shared-subscriptions.js';
import { headerScheme, securityOf } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

type Subscribe = Parameters<typeof sharedSubscriptions>[0]['resubscribe'];

const event = (id: string) => ({ payload: { $case: 'task', value: { id } } }) as StreamResponse;
const idOf = ({ payload }: StreamResponse) => (payload?.$case === 'task' ? payload.value.id : undefined);

/** Subscriptions as the SDK has them: what one waits for alone ends it. */
class Source {
  open = 0;
  readonly #waiting: ((next: StreamResponse | undefined | Error) => void)[] = [];
  problem: Error | undefined;
  /** Without it, nothing is worked on: a subscription ends with the task as it is. */
  hasBus = true;
  looksUp = Promise.resolve();

  readonly resubscribe: Subscribe = async function* (this: Source) {
    const queue: (StreamResponse | undefined | Error)[] = [];
    let wake: () => void = () => undefined;
    const { problem, hasBus, looksUp } = this;
    this.open += 1;
    this.#waiting.push((next) => {
      queue.push(next);
      wake();
    });
    try {
      await looksUp;
      if (problem !== undefined) throw problem;
      yield event('now');
      if (!hasBus) return;
      for (;;) {
        while (queue.length > 0) {
          const next = queue.shift();
          if (next === undefined) return;
          if (next instanceof Error) throw next;
          yield next;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.open -= 1;
    }
  }.bind(this);

  publish(next: StreamResponse | undefined | Error): void {
    for (const tell of this.#waiting) tell(next);
  }
}

let source: Source;
let subscribe: Subscribe;
const security = securityOf({ key: headerScheme('x-key') });
const settled = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  source = new Source();
  subscribe = sharedSubscriptions(source);
});

async function caller(name: string): Promise<CallerUser> {
  return new CallerUser(await security.authenticate(authRequest({ header: { 'x-key': name } })));
}

async function watch(user: CallerUser, { id = 't', tenant = '', pathTenant = '' } = {}) {
  const stream = subscribe({ id, tenant }, new ServerCallContext({ user, tenant: pathTenant }));
  const seen: (string | undefined)[] = [];
  const ended = (async () => {
    for await (const next of stream) seen.push(idOf(next));
  })();
  ended.catch(() => undefined);
  await settled();
  return { seen, ended, stream };
}

describe('a subscription', () => {
  it('begins with the task as it is, and tells each event', async () => {
    const { seen, ended } = await watch(await caller('alice'));
    source.publish(event('one'));
    source.publish(event('two'));
    source.publish(undefined);
    await ended;
    expect(seen).toEqual(['now', 'one', 'two']);
  });

  it('misses no event that comes while the task is looked up', async () => {
    let found: () => void = () => undefined;
    source.looksUp = new Promise((resolve) => {
      found = resolve;
    });
    const { seen } = await watch(await caller('alice'));
    source.publish(event('meanwhile'));
    found();
    await settled();
    expect(seen).toEqual(['now', 'meanwhile']);
  });

  it('that comes later begins with the task as it is then', async () => {
    const user = await caller('alice');
    const first = await watch(user);
    source.publish(event('one'));
    await settled();
    const second = await watch(await caller('alice'));
    source.publish(event('two'));
    await settled();
    expect([first.seen, second.seen]).toEqual([
      ['now', 'one', 'two'],
      ['now', 'two'],
    ]);
  });

  it('is refused as the SDK refuses it', async () => {
    source.problem = new Error('There is no such task.');
    const { ended } = await watch(await caller('alice'));
    await expect(ended).rejects.toThrow('There is no such task.');
    expect(source.open).toBe(0);
  });

  it('is not refused because another one was', async () => {
    let found: () => void = () => undefined;
    source.looksUp = new Promise((resolve) => {
      found = resolve;
    });
    source.problem = new Error('The database is gone.');
    const first = await watch(await caller('alice'));
    source.problem = undefined;
    const second = await watch(await caller('alice'));
    found();
    await expect(first.ended).rejects.toThrow('The database is gone.');
    source.publish(event('one'));
    await settled();
    expect(second.seen).toEqual(['now', 'one']);
  });

  it('goes on when one that began before the work did is over', async () => {
    let found: () => void = () => undefined;
    source.looksUp = new Promise((resolve) => {
      found = resolve;
    });
    source.hasBus = false;
    const first = await watch(await caller('alice'));
    source.hasBus = true;
    source.looksUp = Promise.resolve();
    const second = await watch(await caller('alice'));
    found();
    await first.ended;
    source.publish(event('one'));
    source.publish(event('two'));
    await settled();
    expect([first.seen, second.seen]).toEqual([['now'], ['now', 'one', 'two']]);
  });

  it('misses nothing of what it joined, when that ends while the task is looked up', async () => {
    await watch(await caller('alice'));
    let found: () => void = () => undefined;
    source.looksUp = new Promise((resolve) => {
      found = resolve;
    });
    const second = await watch(await caller('alice'));
    source.publish(event('one'));
    source.publish(undefined);
    await settled();
    found();
    await second.ended;
    expect(second.seen).toEqual(['now', 'one']);
  });

  it('fails as the SDK fails', async () => {
    const { ended } = await watch(await caller('alice'));
    source.publish(new Error('The bus broke.'));
    await expect(ended).rejects.toThrow('The bus broke.');
  });
});

describe('a caller who leaves', () => {
  it('ends the subscription at once', async () => {
    const user = await caller('alice');
    const { ended } = await watch(user);
    CallerUser.leave(user);
    await expect(ended).resolves.toBeUndefined();
  });

  it('leaves none behind where it leaves while the task is looked up', async () => {
    let found: () => void = () => undefined;
    source.looksUp = new Promise((resolve) => {
      found = resolve;
    });
    const users = await Promise.all(Array.from({ length: 20 }, () => caller('alice')));
    for (const user of users) {
      await watch(user);
      CallerUser.leave(user);
    }
    found();
    await settled();
    expect(source.open).toBe(0);
  });

  it('ends it also before it has begun', async () => {
    const user = await caller('alice');
    CallerUser.leave(user);
    await expect((await watch(user)).ended).resolves.toBeUndefined();
  });

  it('leaves one of the SDK behind, however often, and that until the next event', async () => {
    for (let count = 0; count < 100; count++) {
      const user = await caller('alice');
      await watch(user);
      CallerUser.leave(user);
    }
    await settled();
    expect(source.open).toBe(1);
    source.publish(event('one'));
    await settled();
    expect(source.open).toBe(0);
  });

  it('may come back after that', async () => {
    const user = await caller('alice');
    await watch(user);
    CallerUser.leave(user);
    source.publish(event('one'));
    await settled();
    const again = await watch(await caller('alice'));
    source.publish(event('two'));
    await settled();
    expect(again.seen).toEqual(['now', 'two']);
  });

  it('ends no other subscription of the same caller', async () => {
    const user = await caller('alice');
    await watch(user);
    const other = await watch(await caller('alice'));
    CallerUser.leave(user);
    source.publish(event('one'));
    await settled();
    expect(other.seen).toEqual(['now', 'one']);
  });
});

it.each([
  ['two callers', 'bob', {}],
  ['two tasks', 'alice', { id: 'other' }],
  ['two tenants', 'alice', { tenant: 'other' }],
  ['two tenants of the path', 'alice', { pathTenant: 'other' }],
])('%s share nothing', async (_, name, request) => {
  await watch(await caller('alice'));
  await watch(await caller(name), request);
  expect(source.open).toBe(2);
});

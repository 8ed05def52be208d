// Uses the keychain of the session it runs in. It imports the source, and not the package: nothing is built.
import { deepEqual, equal, rejects } from 'node:assert/strict';

import { keychainTokenStore } from '../../packages/client/src/stores/keychain.js';

const [command, ...keys] = process.argv.slice(2);
const newStore = () => keychainTokenStore({ service: 'a2a-auth-test' });
const store = newStore();
const value = JSON.stringify({ text: 'é "quoted" \\ and\nlines', padding: 'x'.repeat(20_000) });

switch (command) {
  case 'use':
    equal(await store.get('key'), undefined);
    await store.set('key', 'one');
    await store.set('key', value);
    await store.set('other', 'two');
    equal(await store.get('key'), value);
    await store.delete('key');
    await store.delete('key');
    equal(await store.get('key'), undefined);
    deepEqual(await store.withLock?.('key', () => store.get('other')), 'two');
    break;
  case 'keep':
    await Promise.all(keys.map((key) => newStore().set(key, `of ${key}`)));
    break;
  case 'find':
    for (const key of keys) equal(await store.get(key), `of ${key}`);
    break;
  case 'find-it-locked':
    for (const key of keys) {
      await rejects(store.get(key), { code: 'STORE_UNAVAILABLE' });
      await rejects(store.set(key, 'new'), { code: 'STORE_UNAVAILABLE' });
    }
    break;
  default:
    throw new Error(`There is no command ${String(command)}.`);
}

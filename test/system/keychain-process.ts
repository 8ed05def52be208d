// Uses the keychain of the session it runs in. It imports the source, and not the package: nothing is built.
import { deepEqual, equal, rejects } from 'node:assert/strict';

import { keychainTokenStore } from '../../packages/client/src/stores/keychain.js';

const store = keychainTokenStore({ service: 'a2a-auth-test' });
const value = JSON.stringify({ text: 'é "quoted" \\ and\nlines', padding: 'x'.repeat(8_000) });

equal(await store.get('key'), undefined);
await store.set('key', 'one');
await store.set('key', value);
await store.set('other', 'two');
equal(await store.get('key'), value);
equal(await store.get('other'), 'two');
await rejects(store.set('key', 'x'.repeat(8_193)), { code: 'STORE_UNAVAILABLE' });
equal(await store.get('key'), value);
await store.delete('key');
await store.delete('key');
equal(await store.get('key'), undefined);
deepEqual(await store.withLock?.('key', () => store.get('other')), 'two');
console.log('The keychain works.');

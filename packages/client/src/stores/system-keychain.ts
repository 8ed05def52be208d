import { ClientError } from '../errors.js';
import type { Keychain } from './keychain.js';

/**
 * The keychain of the operating system. What may wait for a person runs in a thread. Opening it does not, and ends after
 * two seconds on Linux, when the Secret Service does not answer.
 */
export const systemKeychain: Keychain = {
  async get(service, account) {
    const entry = await open(service, account);
    const secret = await entry.getSecret();
    return secret ? Buffer.from(secret).toString() : undefined;
  },
  async set(service, account, secret) {
    const entry = await open(service, account);
    await entry.setSecret(Buffer.from(secret));
  },
};

async function open(service: string, account: string) {
  const { AsyncEntry } = await load();
  // Left to itself, it falls back to the kernel's memory where there is no Secret Service: lost with the next start.
  return new AsyncEntry(service, account, { linux: { store: 'secret-service' } });
}

async function load() {
  try {
    return await import('@napi-rs/keyring');
  } catch (cause) {
    throw new ClientError(
      'STORE_UNAVAILABLE',
      'keychainTokenStore() needs @napi-rs/keyring, which cannot be loaded: npm install @napi-rs/keyring@2',
      { cause },
    );
  }
}

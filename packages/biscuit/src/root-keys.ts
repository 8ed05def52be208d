import { configurationError } from './configuration-error.js';

/** An Ed25519 public key: `ed25519/` and 64 hex digits, as the biscuit tools print it, or its 32 bytes. */
export type BiscuitPublicKey = string | Uint8Array;

/**
 * The root keys by the id that tokens name (`rootKeyId`), and under `default` the one for tokens that name none. A key by
 * itself is the default.
 */
export type BiscuitRootKeys =
  BiscuitPublicKey | Readonly<Partial<Record<number | 'default', BiscuitPublicKey>>>;

/** Finds the key for the id that a token names. */
export type KeyById = ReadonlyMap<number | undefined, Uint8Array>;

/** @throws {ConfigurationError} `INVALID_OPTION` */
export function readRootKeys(rootKeys: BiscuitRootKeys): KeyById {
  if (typeof rootKeys === 'string' || rootKeys instanceof Uint8Array) {
    return new Map([[undefined, readKey('default', rootKeys)]]);
  }
  const entries = Object.entries(typeof rootKeys === 'object' ? (rootKeys ?? {}) : {});
  if (entries.length === 0) {
    throw configurationError(
      'rootKeys must be a public key, or public keys by id such as { default: key, 1: key }: without one, nobody could tell a good token from a bad one.',
    );
  }
  return new Map(entries.map(([id, key]) => [readId(id), readKey(id, key)]));
}

function readId(id: string): number | undefined {
  if (id === 'default') return undefined;
  if (/^(0|[1-9]\d*)$/.test(id) && Number(id) < 2 ** 32) return Number(id);
  throw configurationError(
    `rootKeys: ${JSON.stringify(id)} is no key id. Ids are whole numbers below 2^32; "default" is for tokens without one.`,
  );
}

function readKey(id: string, key: unknown): Uint8Array {
  if (key instanceof Uint8Array && key.length === 32) return Uint8Array.from(key);
  const [, hex] = typeof key === 'string' ? (/^ed25519\/([0-9a-f]{64})$/i.exec(key) ?? []) : [];
  if (hex !== undefined) return new Uint8Array(Buffer.from(hex, 'hex'));
  throw configurationError(
    `rootKeys: the key ${id} must be an Ed25519 public key: "ed25519/" with 64 hex digits, or 32 bytes.`,
  );
}

/** How a key is written in datalog. */
export function keyName(key: Uint8Array): string {
  return `ed25519/${Buffer.from(key).toString('hex')}`;
}

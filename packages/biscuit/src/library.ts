import type * as library from '@biscuit-auth/biscuit-wasm';

/** The classes of `@biscuit-auth/biscuit-wasm`. */
export type BiscuitLibrary = Pick<
  typeof library,
  | 'Authorizer'
  | 'Biscuit'
  | 'BiscuitBuilder'
  | 'BlockBuilder'
  | 'Check'
  | 'Fact'
  | 'KeyPair'
  | 'Policy'
  | 'PrivateKey'
  | 'PublicKey'
  | 'Rule'
  | 'ThirdPartyBlock'
  | 'ThirdPartyRequest'
>;

let loading: Promise<BiscuitLibrary> | undefined;

/**
 * Loads `@biscuit-auth/biscuit-wasm` so that Node 20 needs no flag for it: for issuing tokens, and for attenuating them
 * before they are handed on. Loaded once a process.
 */
export function loadBiscuit(): Promise<BiscuitLibrary> {
  loading ??= load();
  return loading;
}

async function load(): Promise<BiscuitLibrary> {
  // load.js, which has no types because it is JavaScript for the sake of the engine's thread.
  const url = new URL('./load.js', import.meta.url).href;
  // eslint-disable-next-line architecture/arrows -- A file of this folder.
  const loader = (await import(url)) as { load(): Promise<{ library: BiscuitLibrary }> };
  return (await loader.load()).library;
}

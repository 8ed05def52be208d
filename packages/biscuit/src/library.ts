import type * as library from '@biscuit-auth/biscuit-wasm';

import { load } from './load.js';

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
  loading ??= load().then(({ library }) => library as BiscuitLibrary);
  return loading;
}

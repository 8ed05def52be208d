export { biscuit, type BiscuitLimits, type BiscuitOptions } from './biscuit.js';
export { loadBiscuit, type BiscuitLibrary } from './library.js';
export type { BiscuitPublicKey, BiscuitRootKeys } from './root-keys.js';

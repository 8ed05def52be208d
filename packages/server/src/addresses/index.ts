export { isLoopbackAddress, isSpecialAddress } from './special-addresses.js';

import { randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { configurationError } from '../errors.js';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 32 letters of 62 are 190 bits. */
const RANDOM_LENGTH = 32;
/** 62^6 is more than 2^32, so six letters hold a CRC-32. */
const CHECKSUM_LENGTH = 6;
const FORMAT = new RegExp(
  `^([a-z][a-z0-9]{1,15})_([0-9A-Za-z]{${String(RANDOM_LENGTH)}})([0-9A-Za-z]{${String(CHECKSUM_LENGTH)}})$`,
);

/**
 * Makes a new API key: `<prefix>_<32 random letters><checksum>`. The prefix lets secret scanners recognise it wherever
 * it leaks to; the checksum (CRC-32, as six base-62 letters) tells a mistyped or cut key from a wrong one without
 * asking anybody. Scanners may use `\b<prefix>_[0-9A-Za-z]{38}\b`.
 *
 * @param prefix 2 to 16 lower-case letters and digits, beginning with a letter: the product or the issuer
 * @throws {ConfigurationError} `INVALID_OPTION` when the prefix is not that
 */
export function createApiKey(prefix: string): string {
  if (!/^[a-z][a-z0-9]{1,15}$/.test(prefix)) {
    throw configurationError(
      'INVALID_OPTION',
      `${JSON.stringify(prefix)} cannot be the prefix of API keys. Use 2 to 16 lower-case letters and digits, beginning with a letter.`,
    );
  }
  const random = Array.from({ length: RANDOM_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return `${prefix}_${random}${checksum(`${prefix}_${random}`)}`;
}

/** Whether a string is a key that {@link createApiKey} could have made: the format, and the checksum. */
export function isWellFormedApiKey(key: string): boolean {
  return FORMAT.test(key) && !isMistypedApiKey(key);
}

/** Whether a string has the format of {@link createApiKey}, but not the checksum. */
export function isMistypedApiKey(key: string): boolean {
  const [, prefix, random, given] = FORMAT.exec(key) ?? [];
  return prefix !== undefined && random !== undefined && given !== checksum(`${prefix}_${random}`);
}

function checksum(text: string): string {
  let rest = crc32(text);
  let letters = '';
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    letters = (ALPHABET[rest % ALPHABET.length] ?? '') + letters;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return letters;
}

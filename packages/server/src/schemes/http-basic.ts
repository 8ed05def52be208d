import type { AuthRequest } from '../auth-request.js';
import { configurationError, MalformedCredential } from '../errors.js';
import { checkOptions } from '../options.js';
import type { SecurityScheme } from '../scheme.js';
import { verifyWith, type Validator } from '../validator.js';
import { authorizationCredentials } from './authorization-header.js';

/** A user id and a password, decoded. */
export interface BasicCredential {
  readonly username: string;
  readonly password: string;
}

export interface HttpBasicOptions {
  /** Says who the credential belongs to, or nothing when it is not good. Compare passwords in constant time. */
  readonly validator: Validator<BasicCredential>;
  /** Published. */
  readonly description?: string;
  /** The scopes that requirements may ask for. Left out: any. */
  readonly scopes?: readonly string[];
}

/**
 * HTTP basic authentication (RFC 7617), in UTF-8.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` without a validator
 */
export function httpBasic(options: HttpBasicOptions): SecurityScheme<BasicCredential> {
  checkOptions('httpBasic()', options, { validator: 'any', description: 'string', scopes: 'strings' });
  const { validator, description, scopes } = options;
  if (typeof validator !== 'function') {
    throw configurationError(
      'INVALID_OPTION',
      'httpBasic needs a validator({ username, password }, context): without one, nobody could tell a good password from a bad one.',
    );
  }
  return {
    declaration: { type: 'http', scheme: 'Basic', description },
    scopes,
    extract: extractBasicCredential,
    verify: verifyWith(validator),
    challenge: ({ realm }) => ({ scheme: 'Basic', params: { realm, charset: 'UTF-8' } }),
  };
}

function extractBasicCredential(request: AuthRequest): BasicCredential | undefined {
  const encoded = authorizationCredentials(request, 'Basic');
  if (encoded === undefined) return undefined;
  const decoded = decode(encoded);
  // RFC 7617 §2: the first colon ends the user id, and neither part may hold control characters.
  const colon = decoded?.indexOf(':') ?? -1;
  // eslint-disable-next-line no-control-regex
  if (decoded === undefined || colon === -1 || /[\u0000-\u001f\u007f]/.test(decoded)) {
    throw new MalformedCredential('The Authorization header holds no well-formed basic credentials.');
  }
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** Strict base64 (RFC 4648 §4) of valid UTF-8, or undefined. */
function decode(encoded: string): string | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}

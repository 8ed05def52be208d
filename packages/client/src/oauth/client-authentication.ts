import {
  ClientSecretBasic,
  ClientSecretPost,
  modifyAssertion,
  None,
  PrivateKeyJwt,
  TlsClientAuth,
  type ClientAuth,
  type CryptoKey,
  type ServerMetadata,
} from 'openid-client';

import { ClientError } from '../errors.js';
import type { TlsFiles } from '../tls/tls-files.js';

/** Who the client is at the authorization server. With neither of the three ways it is a public client. */
export interface ClientAuthenticationOptions {
  readonly clientId: string;
  readonly clientSecret?: string;
  /** How the secret is sent. Default: `client_secret_basic`, or what the server's metadata has instead. */
  readonly clientSecretMethod?: 'client_secret_basic' | 'client_secret_post';
  /** Signs an assertion instead of sending a secret: `private_key_jwt` (RFC 7523). Such as jose's `importPKCS8` gives it. */
  readonly privateKey?: CryptoKey;
  /** The `kid` of `privateKey`, where the server knows several keys of this client. */
  readonly privateKeyId?: string;
  /**
   * Presents a client certificate (RFC 8705), to the authorization server and, where the token is bound to the
   * certificate, to the agent.
   */
  readonly tls?: TlsFiles;
}

/** Their names. */
export const CLIENT_AUTHENTICATION_OPTIONS = {
  clientId: true,
  clientSecret: true,
  clientSecretMethod: true,
  privateKey: true,
  privateKeyId: true,
  tls: true,
} as const satisfies Record<keyof ClientAuthenticationOptions, true>;

/**
 * @throws {ClientError} `INVALID_OPTION`
 */
export function checkClientAuthentication(name: string, options: ClientAuthenticationOptions): void {
  const { clientId, clientSecret, clientSecretMethod, privateKey, tls } = options;
  if (typeof clientId !== 'string' || clientId === '') {
    throw new ClientError('INVALID_OPTION', `${name}() needs a clientId.`);
  }
  if (clientSecret !== undefined && (typeof clientSecret !== 'string' || clientSecret === '')) {
    throw new ClientError('INVALID_OPTION', `${name}(): clientSecret must be a non-empty string.`);
  }
  // RFC 6749 Appendix A.2
  if (clientSecret !== undefined && /\p{Cc}/u.test(clientSecret)) {
    throw new ClientError(
      'INVALID_OPTION',
      `${name}(): clientSecret has a line break or another control character. Was it read from a file?`,
    );
  }
  if ([clientSecret, privateKey, tls].filter((way) => way !== undefined).length > 1) {
    throw new ClientError('INVALID_OPTION', `${name}() takes one of clientSecret, privateKey and tls.`);
  }
  if (privateKey !== undefined && privateKey.type !== 'private') {
    throw new ClientError('INVALID_OPTION', `${name}(): privateKey must be a private CryptoKey.`);
  }
  if (
    clientSecretMethod !== undefined &&
    !['client_secret_basic', 'client_secret_post'].includes(clientSecretMethod)
  ) {
    throw new ClientError(
      'INVALID_OPTION',
      `${name}(): clientSecretMethod must be client_secret_basic or client_secret_post.`,
    );
  }
}

/**
 * @param isIssuerKnown whether the metadata has the server's real issuer, which assertions are meant for
 */
export function toClientAuth(
  options: ClientAuthenticationOptions,
  server: ServerMetadata,
  isIssuerKnown: boolean,
): ClientAuth {
  const { clientSecret, clientSecretMethod, privateKey, privateKeyId, tls } = options;
  if (tls !== undefined) return TlsClientAuth();
  if (privateKey !== undefined) {
    return PrivateKeyJwt(
      privateKeyId === undefined ? privateKey : { key: privateKey, kid: privateKeyId },
      isIssuerKnown
        ? {}
        : {
            // RFC 7523 §3: the token endpoint stands for a server of which nothing else is known.
            [modifyAssertion](_header, payload) {
              payload.aud = server.token_endpoint;
            },
          },
    );
  }
  if (clientSecret === undefined) return None();
  // RFC 8414 §2: without a list, it is client_secret_basic.
  const supported = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  const method =
    clientSecretMethod ??
    (!supported.includes('client_secret_basic') && supported.includes('client_secret_post')
      ? 'client_secret_post'
      : 'client_secret_basic');
  return method === 'client_secret_post' ? ClientSecretPost(clientSecret) : ClientSecretBasic(clientSecret);
}

import {
  initiateDeviceAuthorization,
  pollDeviceAuthorizationGrant,
  ResponseBodyError,
  type Configuration,
  type DPoPHandle,
  type DeviceAuthorizationResponse,
  type TokenEndpointResponse,
} from 'openid-client';

import { ClientError } from '../errors.js';
import { isSecureUrl, MAX_TIMEOUT } from './outbound.js';
import { unlessAborted } from './shared-work.js';
import { clientErrorIn } from './token-error.js';

/** What a person needs to log in on another device. */
export interface DevicePrompt {
  /** To be typed in, or to be compared with what the page shows. */
  readonly userCode: string;
  /** The page to be opened. */
  readonly verificationUri: string;
  /** The same page with the code in it, such as for a QR code. */
  readonly verificationUriComplete: string | undefined;
  /** When the code ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface StartedDeviceLogin {
  readonly prompt: DevicePrompt;
  readonly authorization: DeviceAuthorizationResponse;
}

/** Asks for a code (RFC 8628 §3.1). */
export async function startDeviceLogin(
  configuration: Configuration,
  parameters: Readonly<Record<string, string>>,
): Promise<StartedDeviceLogin> {
  const authorization = await initiateDeviceAuthorization(configuration, { ...parameters });
  const {
    user_code: userCode,
    verification_uri: verificationUri,
    verification_uri_complete: verificationUriComplete,
    expires_in: expiresIn,
  } = authorization;
  // They are printed to terminals and opened in browsers.
  if (!/^[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?$/.test(userCode)) {
    throw unusable('a code that cannot be shown');
  }
  for (const uri of [verificationUri, verificationUriComplete]) {
    if (uri !== undefined && !isSecureUrl(uri)) throw unusable('an address to log in at that is not https');
  }
  return {
    authorization,
    prompt: {
      userCode,
      verificationUri: new URL(verificationUri).href,
      verificationUriComplete:
        verificationUriComplete === undefined ? undefined : new URL(verificationUriComplete).href,
      expiresAt: Date.now() + expiresIn * 1000,
    },
  };
}

/**
 * Asks until the person is through (RFC 8628 §3.4), as often as the server wants it.
 *
 * @throws {ClientError} `LOGIN_EXPIRED` when the person was not in time
 */
export async function finishDeviceLogin(
  configuration: Configuration,
  { authorization }: StartedDeviceLogin,
  options: { readonly DPoP?: DPoPHandle },
  signal?: AbortSignal,
): Promise<TokenEndpointResponse> {
  const expiry = AbortSignal.timeout(Math.min(authorization.expires_in * 1000, MAX_TIMEOUT));
  const ended = AbortSignal.any([expiry, ...(signal === undefined ? [] : [signal])]);
  let { interval = 5 } = authorization;
  for (;;) {
    try {
      return await unlessAborted(
        pollDeviceAuthorizationGrant(configuration, { ...authorization, interval }, undefined, {
          ...options,
          signal: ended,
        }),
        ended,
      );
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      if (expiry.aborted || oauthErrorOf(error) === 'expired_token') {
        throw new ClientError('LOGIN_EXPIRED', 'Nobody logged in before the code ended. Start again.');
      }
      // RFC 8628 §3.5: a server that does not answer is asked again, less often.
      if (!isOutOfOrder(error)) throw error;
      interval *= 2;
    }
  }
}

/** No answer, or none of the server's own, as while it is restarted: the person is half through. */
function isOutOfOrder(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  const answer = error instanceof ResponseBodyError ? error : cause;
  const isFailing =
    (answer instanceof ResponseBodyError || answer instanceof Response) && answer.status >= 500;
  return isFailing || clientErrorIn(error)?.code === 'PROVIDER_UNAVAILABLE';
}

function oauthErrorOf(error: unknown): unknown {
  return (error as { error?: unknown } | undefined)?.error;
}

function unusable(what: string): ClientError {
  return new ClientError('PROVIDER_UNAVAILABLE', `The authorization server gave ${what}.`);
}

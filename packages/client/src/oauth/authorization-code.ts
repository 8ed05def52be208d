import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  buildAuthorizationUrlWithPAR,
  calculatePKCECodeChallenge,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
  type Configuration,
  type TokenEndpointResponse,
} from 'openid-client';

import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { TokenStore } from '../stores/token-store.js';
import { openLoopbackRedirect, type LoopbackRedirect, type RedirectOptions } from './loopback-redirect.js';
import {
  OAUTH_OPTIONS,
  oauthSource,
  type OAuthOptions,
  type OAuthSource,
  type TokenAsk,
} from './oauth-source.js';
import { openInBrowser } from './open-browser.js';
import { isSecureUrl, MAX_TIMEOUT } from './outbound.js';
import { unlessAborted } from './shared-work.js';

export interface AuthorizationCodeOptions extends OAuthOptions {
  /**
   * Opens the address where the person logs in, in their browser. Default: the operating system's own way. Print the address
   * where there is no browser on this machine but one that can reach it.
   */
  readonly openBrowser?: (url: URL) => void | Promise<void>;
  readonly redirect?: RedirectOptions;
  /** Milliseconds that the person has. Default 300 000. */
  readonly loginTimeout?: number;
  /** Further parameters of the authorization request, such as `login_hint`. */
  readonly authorizationParameters?: Readonly<Record<string, string>>;
  /** Where the login is kept. Default: this process's memory. */
  readonly store?: TokenStore;
}

/** Parameters that are not for the user to set. */
const OWN_PARAMETERS = [
  'client_id',
  'code_challenge',
  'code_challenge_method',
  'nonce',
  'redirect_uri',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
];

/**
 * A person logs in with the browser of this machine: authorization code (RFC 6749 §4.1) with PKCE (RFC 7636), and a redirect to
 * the loopback (RFC 8252).
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export function authorizationCode(options: AuthorizationCodeOptions): OAuthSource {
  checkOptions('authorizationCode()', options, {
    ...OAUTH_OPTIONS,
    openBrowser: true,
    redirect: true,
    loginTimeout: true,
    authorizationParameters: true,
    store: true,
  });
  const {
    openBrowser = openInBrowser,
    redirect = {},
    loginTimeout = 300_000,
    authorizationParameters = {},
    store,
  } = options;
  checkOptions('authorizationCode(), redirect', redirect, { host: true, port: true, path: true });
  const { host = '127.0.0.1', port = 0, path = '/callback' } = redirect;
  if (typeof openBrowser !== 'function') throw invalid('openBrowser must be a function.');
  if (!['127.0.0.1', '[::1]', 'localhost'].includes(host)) {
    throw invalid('redirect.host must be 127.0.0.1, [::1] or localhost.');
  }
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw invalid('redirect.port must be a port number; 0 takes one that is free.');
  }
  if (!/^\/[\w\-./~]*$/.test(path) || new URL(path, 'http://localhost').pathname !== path) {
    throw invalid('redirect.path must be a plain path, such as /callback.');
  }
  if (!(loginTimeout > 0 && loginTimeout <= MAX_TIMEOUT)) {
    throw invalid('loginTimeout must be a positive number of milliseconds.');
  }
  const forbidden = Object.keys(authorizationParameters).find((name) => OWN_PARAMETERS.includes(name));
  if (forbidden !== undefined) throw invalid(`authorizationParameters must not have ${forbidden}.`);

  return oauthSource(
    {
      name: 'authorizationCode',
      interactive: true,
      flows: ['authorizationCode', 'deviceCode'],
      refused: 'LOGIN_FAILED',
      sharing: 'login',
      store,
      async obtain(configuration, ask) {
        if (!ask.isIssuerKnown) {
          // Without it, the answer of one server cannot be told from that of another (RFC 9207).
          throw new ClientError('ISSUER_NOT_TRUSTED', 'authorizationCode() needs an issuer.');
        }
        const login = await prepareLogin(configuration, { ...ask, authorizationParameters }, redirect);
        try {
          const answer = await answerOf(login, openBrowser, AbortSignal.timeout(loginTimeout), ask.signal);
          return await login.finish(answer);
        } finally {
          await login.redirect.close();
        }
      },
    },
    options,
  );
}

interface Login {
  readonly url: URL;
  readonly redirect: LoopbackRedirect;
  finish(answer: URL): Promise<TokenEndpointResponse>;
}

async function prepareLogin(
  configuration: Configuration,
  {
    parameters,
    demand,
    scopes,
    options,
    authorizationParameters,
  }: TokenAsk<undefined> & Pick<Required<AuthorizationCodeOptions>, 'authorizationParameters'>,
  redirectOptions: RedirectOptions,
): Promise<Login> {
  const expectedState = randomState();
  const pkceCodeVerifier = randomPKCECodeVerifier();
  const expectedNonce = scopes.includes('openid') ? randomNonce() : undefined;
  const redirect = await openRedirect(expectedState, redirectOptions);
  try {
    const prompts = [
      // Who is logged in there would be let through with the login that was too weak.
      ...(demand.acr_values === undefined ? [] : ['login']),
      // OpenID Connect Core §11: offline access is given with consent alone.
      ...(scopes.includes('offline_access') ? ['consent'] : []),
    ];
    const request = {
      ...(prompts.length === 0 ? {} : { prompt: prompts.join(' ') }),
      ...demand,
      ...parameters,
      ...authorizationParameters,
      redirect_uri: redirect.redirectUri,
      state: expectedState,
      code_challenge: await calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      ...(expectedNonce === undefined ? {} : { nonce: expectedNonce }),
      ...(options.DPoP === undefined ? {} : { dpop_jkt: await options.DPoP.calculateThumbprint() }),
    };
    const pushed = configuration.serverMetadata().require_pushed_authorization_requests === true;
    const url = pushed
      ? await buildAuthorizationUrlWithPAR(configuration, request, options)
      : buildAuthorizationUrl(configuration, request);
    if (!isSecureUrl(url.href)) {
      throw new ClientError('ADDRESS_REFUSED', `The page to log in at, ${url.origin}, is not https.`);
    }
    const { resource } = parameters;
    return {
      url,
      redirect,
      finish: (answer) =>
        authorizationCodeGrant(
          configuration,
          answer,
          {
            expectedState,
            pkceCodeVerifier,
            ...(expectedNonce === undefined ? {} : { expectedNonce }),
          },
          resource === undefined ? {} : { resource },
          options,
        ),
    };
  } catch (error) {
    await redirect.close();
    throw error;
  }
}

async function openRedirect(state: string, options: RedirectOptions): Promise<LoopbackRedirect> {
  try {
    return await openLoopbackRedirect(state, options);
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new ClientError(
      'LOGIN_FAILED',
      `The redirect of the login cannot be waited for at port ${String(options.port ?? 0)} (${code}).`,
    );
  }
}

/** The first that happens: the answer, no browser, no time left, nobody waiting any more. */
async function answerOf(
  { url, redirect }: Login,
  openBrowser: (url: URL) => void | Promise<void>,
  timeout: AbortSignal,
  signal: AbortSignal,
): Promise<URL> {
  signal.throwIfAborted();
  const open = async (): Promise<never> => {
    try {
      await openBrowser(new URL(url));
    } catch (error) {
      throw new ClientError(
        'LOGIN_FAILED',
        'No browser could be opened. Give openBrowser, and show the address to the person.',
        { cause: error },
      );
    }
    return new Promise<never>(() => undefined);
  };
  const ended = AbortSignal.any([timeout, signal]);
  try {
    return await unlessAborted(Promise.race([redirect.answer, open()]), ended);
  } catch (error) {
    if (timeout.aborted && !signal.aborted) {
      throw new ClientError('LOGIN_EXPIRED', 'Nobody logged in in time. Try again.');
    }
    throw error;
  }
}

function invalid(message: string): ClientError {
  return new ClientError('INVALID_OPTION', `authorizationCode(): ${message}`);
}

import type { Configuration } from 'openid-client';

import { ClientError } from './errors.js';
import {
  finishDeviceLogin,
  startDeviceLogin,
  type DevicePrompt,
  type StartedDeviceLogin,
} from './oauth/device-login.js';
import { isSecureUrl, type OutboundOptions } from './oauth/outbound.js';
import { openProvider, type Provider } from './oauth/provider.js';
import { tokensFrom, type Tokens } from './oauth/tokens.js';
import { serverOfEndpoints, type TrustedServer } from './oauth/trusted-server.js';
import { checkOptions } from './options.js';
import { isScope } from './scopes.js';

export interface DeviceFlowClientOptions extends OutboundOptions {
  readonly deviceAuthorizationUrl: string;
  readonly tokenUrl: string;
  readonly clientId: string;
  /** For a client that has one. Default: a public client. */
  readonly clientSecret?: string;
  readonly scopes?: readonly string[];
  /** The agent that the token is for (RFC 8707), for servers that issue tokens for one. */
  readonly resource?: string;
}

export interface DeviceFlowStart extends DevicePrompt {
  /** Seconds for which the code is good. */
  readonly expiresIn: number;
  /** Seconds between two questions of `pollForTokens`, to begin with. */
  readonly interval: number;
}

/**
 * The device flow (RFC 8628) step by step, for those who show the code and hand on the tokens themselves. `deviceCode()` does
 * the same as a credential source, and renews the tokens.
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export class DeviceFlowClient {
  readonly #provider: Provider;
  readonly #server: TrustedServer;
  readonly #parameters: Readonly<Record<string, string>>;
  #login: { readonly started: StartedDeviceLogin; tokens?: Promise<Tokens> } | undefined;

  constructor(options: DeviceFlowClientOptions) {
    checkOptions('DeviceFlowClient', options, {
      deviceAuthorizationUrl: true,
      tokenUrl: true,
      clientId: true,
      clientSecret: true,
      scopes: true,
      resource: true,
      timeout: true,
      fetch: true,
    });
    const { deviceAuthorizationUrl, tokenUrl, scopes = [], resource } = options;
    for (const [name, url] of Object.entries({ deviceAuthorizationUrl, tokenUrl })) {
      if (!isSecureUrl(url)) {
        throw new ClientError(
          'INVALID_OPTION',
          `DeviceFlowClient: ${name} must be an https URL, as text; plain http is for loopback addresses alone.`,
        );
      }
    }
    if (!Array.isArray(scopes) || !scopes.every(isScope)) {
      throw new ClientError('INVALID_OPTION', 'DeviceFlowClient: scopes must be a list of scopes.');
    }
    const server = serverOfEndpoints({
      token_endpoint: tokenUrl,
      device_authorization_endpoint: deviceAuthorizationUrl,
    });
    this.#server = server;
    this.#provider = openProvider('DeviceFlowClient', options, () => server);
    this.#parameters = {
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
      ...(resource === undefined ? {} : { resource }),
    };
  }

  /**
   * Gets a code for a person to log in with. A login that was started before is given up.
   *
   * @throws {ClientError} `LOGIN_FAILED`, `PROVIDER_UNAVAILABLE`
   */
  async start(options: { readonly signal?: AbortSignal } = {}): Promise<DeviceFlowStart> {
    const started = await this.#call(options.signal, (configuration) =>
      startDeviceLogin(configuration, this.#parameters),
    );
    this.#login = { started };
    const { expires_in: expiresIn, interval = 5 } = started.authorization;
    return { ...started.prompt, expiresIn, interval };
  }

  /**
   * Waits until the person has logged in. Called again, it gives the same tokens, or asks on after it was aborted.
   *
   * @throws {ClientError} `LOGIN_REQUIRED` before `start()`, `LOGIN_FAILED` when the person refused, `LOGIN_EXPIRED` when
   *   nobody logged in, `PROVIDER_UNAVAILABLE`
   */
  async pollForTokens(options: { readonly signal?: AbortSignal } = {}): Promise<Tokens> {
    const { signal } = options;
    const login = this.#login;
    if (login === undefined) throw new ClientError('LOGIN_REQUIRED', 'Call start() first.');
    login.tokens ??= this.#poll(login.started, signal).catch((error: unknown) => {
      if (signal?.aborted === true) delete login.tokens;
      throw error;
    });
    return login.tokens;
  }

  async #poll(started: StartedDeviceLogin, signal: AbortSignal | undefined): Promise<Tokens> {
    const response = await this.#call(signal, (configuration) =>
      finishDeviceLogin(configuration, started, {}, signal),
    );
    return tokensFrom(response, this.#server.name, false);
  }

  #call<T>(signal: AbortSignal | undefined, use: (configuration: Configuration) => Promise<T>): Promise<T> {
    return this.#provider.call({ server: this.#server, refused: 'LOGIN_FAILED', signal }, use);
  }
}

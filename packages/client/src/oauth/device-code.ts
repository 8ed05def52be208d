import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import type { TokenStore } from '../stores/token-store.js';
import { finishDeviceLogin, startDeviceLogin, type DevicePrompt } from './device-login.js';
import { OAUTH_OPTIONS, oauthSource, type OAuthOptions, type OAuthSource } from './oauth-source.js';
import { unlessAborted } from './shared-work.js';

export interface DeviceCodeOptions extends OAuthOptions {
  /** Shows the person where to log in, and with which code. */
  readonly show: (prompt: DevicePrompt) => void | Promise<void>;
  /** Where the login is kept. Default: this process's memory. */
  readonly store?: TokenStore;
}

/**
 * A person logs in on another device (RFC 8628): for terminals and machines without a browser.
 *
 * @throws {ClientError} `INVALID_OPTION`
 */
export function deviceCode(options: DeviceCodeOptions): OAuthSource {
  checkOptions('deviceCode()', options, { ...OAUTH_OPTIONS, show: true, store: true });
  const { show, store } = options;
  if (typeof show !== 'function') {
    throw new ClientError('INVALID_OPTION', 'deviceCode() needs show, a function that shows the code.');
  }
  return oauthSource(
    {
      name: 'deviceCode',
      interactive: true,
      flows: ['authorizationCode', 'deviceCode'],
      refused: 'LOGIN_FAILED',
      sharing: 'login',
      store,
      async obtain(configuration, { parameters, demand, options: binding, signal }) {
        const started = await startDeviceLogin(configuration, { ...demand, ...parameters });
        await unlessAborted(showTo(show, started.prompt), signal);
        return finishDeviceLogin(configuration, started, binding, signal);
      },
    },
    options,
  );
}

async function showTo(show: DeviceCodeOptions['show'], prompt: DevicePrompt): Promise<void> {
  try {
    await show(prompt);
  } catch (error) {
    throw new ClientError('LOGIN_FAILED', 'The code could not be shown: show() failed.', { cause: error });
  }
}

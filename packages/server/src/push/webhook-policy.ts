import type { TaskPushNotificationConfig } from '@a2a-js/sdk';

import { configurationError } from '../errors.js';
import { checkOptions } from '../options.js';
import { isSecure } from '../secure-url.js';
import type { PushKeys } from './push-keys.js';
import type { PushNotificationSenderOptions } from './push-notification-sender.js';
import {
  notPublic,
  resolveByDns,
  webhookAddress,
  WebhookRefused,
  type HostResolver,
  type WebhookAddress,
} from './webhook-address.js';
import { webhookCredentials, type WebhookCredentials } from './webhook-credentials.js';

/** Which webhooks are called, and how the agent authenticates there. The store and the sender are given the same one. */
export interface WebhookPolicy {
  /**
   * The only origins that are called, such as `https://hooks.example`. They may be on a private network. Default: any
   * origin with https on the public network.
   */
  readonly origins?: readonly string[];
  /** Calls webhooks on the loopback, also over http: for development. Default false. */
  readonly allowLoopback?: boolean;
  /** The webhooks that one task may have. Default 10. */
  readonly maxWebhooks?: number;
  /** Where credentials of the scheme `ApiKey` are sent. Default `X-API-Key`. */
  readonly apiKeyHeader?: string;
  /** Signs notifications for clients that give no credentials of their own. Default: nothing is signed. */
  readonly keys?: PushKeys;
  /**
   * Finds the addresses of a webhook's host. Default: the DNS is asked, and not `/etc/hosts`. Hosts in `origins` are
   * looked up as the operating system does it.
   */
  readonly resolve?: HostResolver;
}

/** A webhook that may be called as far as can be told without the network. */
interface CheckedWebhook extends WebhookAddress, WebhookCredentials {}

export interface WebhookRules {
  readonly maxWebhooks: number;
  readonly keys: PushKeys | undefined;
  /** @throws {WebhookRefused} */
  check(config: TaskPushNotificationConfig): CheckedWebhook;
  /**
   * Looks the host up as well.
   *
   * @throws {WebhookRefused}
   */
  checkReachable(config: TaskPushNotificationConfig): Promise<void>;
}

/** Callers choose it, and each notification keeps it. */
const MAX_ID_LENGTH = 256;

/** What would change the request itself, or say more than a credential. */
const RESERVED =
  /^(host|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect|cookie|authorization|x-a2a-notification-.*)$/i;

/**
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function webhookRules(caller: string, policy: WebhookPolicy): WebhookRules {
  checkOptions<WebhookPolicy & PushNotificationSenderOptions>(caller, policy, {
    origins: 'any',
    allowLoopback: 'boolean',
    maxWebhooks: 'number',
    apiKeyHeader: 'any',
    keys: 'any',
    resolve: 'function',
    // Of the sender alone, which may share its options with the store.
    timeout: 'number',
    attempts: 'number',
    retryDelay: 'number',
    ca: 'any',
    onFailure: 'function',
  });
  const {
    origins,
    allowLoopback = false,
    maxWebhooks = 10,
    apiKeyHeader = 'X-API-Key',
    keys,
    resolve = resolveByDns,
  } = policy;
  const invalid = (message: string) => configurationError('INVALID_OPTION', `${caller}: ${message}`);
  if (origins !== undefined && !(Array.isArray(origins) && origins.every(isOrigin))) {
    throw invalid(
      'origins must be a list of origins of https URLs, or of http ones of the loopback, such as https://hooks.example.',
    );
  }
  if (!Number.isInteger(maxWebhooks) || maxWebhooks < 1)
    throw invalid('maxWebhooks must be a whole number, at least 1.');
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(apiKeyHeader) || RESERVED.test(apiKeyHeader))
    throw invalid('apiKeyHeader must be the name of a header that has no meaning of its own.');
  if (keys !== undefined && typeof keys?.sign !== 'function')
    throw invalid('keys must be what pushKeys() returns.');

  const rules = {
    origins: origins && new Set(origins.map((origin: string) => new URL(origin).origin)),
    allowLoopback,
    resolve,
  };
  const check = (config: TaskPushNotificationConfig): CheckedWebhook => {
    if (String(config.id).length > MAX_ID_LENGTH)
      throw new WebhookRefused(`The id of the webhook must have at most ${MAX_ID_LENGTH} characters.`);
    return {
      ...webhookAddress(config.url, rules),
      ...webhookCredentials(config, { apiKeyHeader, canSign: keys !== undefined }),
    };
  };
  return {
    maxWebhooks,
    keys,
    check,
    async checkReachable(config) {
      const { url, resolve: find } = check(config);
      try {
        await find?.(url.hostname);
      } catch (error) {
        // Also when the DNS knows no such name: the answers must not tell the one from the other.
        throw error instanceof WebhookRefused ? error : notPublic(url);
      }
    },
  };
}

function isOrigin(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const url = new URL(value);
  return isSecure(url) && url.href === `${url.origin}/`;
}

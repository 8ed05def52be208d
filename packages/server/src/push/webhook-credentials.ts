import type { TaskPushNotificationConfig } from '@a2a-js/sdk';

import { WebhookRefused } from './webhook-address.js';

/** What is sent along with a notification to prove where it comes from. */
export interface WebhookCredentials {
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the agent signs the notification: a JWT as bearer token. */
  readonly signed: boolean;
}

const TOKEN_HEADER = 'X-A2A-Notification-Token';

/** Node's own limit for all headers together is 16 KiB. */
const MAX_LENGTH = 4096;

/**
 * What the client asked for. `authentication` decides about the Authorization field; the older `token` has a header of its
 * own.
 *
 * @throws {WebhookRefused} when the agent cannot authenticate that way
 */
export function webhookCredentials(
  { authentication, token }: Pick<TaskPushNotificationConfig, 'authentication' | 'token'>,
  { apiKeyHeader, canSign }: { apiKeyHeader: string; canSign: boolean },
): WebhookCredentials {
  const headers: Record<string, string> = {};
  if (isGiven(token)) headers[TOKEN_HEADER] = sendable(token, 'token');
  const { scheme, credentials } = authentication ?? {};
  if (!isGiven(scheme)) {
    if (isGiven(credentials)) throw new WebhookRefused('authentication has credentials, but no scheme.');
    return { headers, signed: canSign };
  }
  const name = String(scheme).toLowerCase();
  if (name === 'bearer' && !isGiven(credentials)) {
    if (canSign) return { headers, signed: true };
    throw new WebhookRefused(
      'authentication has the scheme Bearer without credentials, and this agent does not sign its notifications.',
    );
  }
  const write = writers.get(name);
  if (write === undefined) {
    throw new WebhookRefused('authentication.scheme must be Bearer, Basic or ApiKey.');
  }
  const [header, value] = write(sendable(credentials, 'authentication.credentials'), apiKeyHeader);
  return { headers: { ...headers, [header]: value }, signed: false };
}

/** By auth-scheme, which is compared without regard to case (RFC 9110 §11.1). */
const writers: ReadonlyMap<string, (credentials: string, apiKeyHeader: string) => readonly [string, string]> =
  new Map([
    ['bearer', (credentials) => ['Authorization', `Bearer ${withoutSpace(credentials)}`]],
    ['basic', (credentials) => ['Authorization', `Basic ${withoutSpace(userPass(credentials))}`]],
    ['apikey', (credentials, header) => [header, credentials]],
  ]);

/** RFC 7617 §2. A colon is no base64, so this is what was meant to be encoded. */
function userPass(credentials: string): string {
  return credentials.includes(':') ? Buffer.from(credentials).toString('base64') : credentials;
}

/** What comes after a space would be read as something else. */
function withoutSpace(credentials: string): string {
  if (!credentials.includes(' ')) return credentials;
  throw new WebhookRefused('authentication.credentials must hold no space.');
}

function sendable(value: unknown, name: string): string {
  if (
    typeof value === 'string' &&
    value.length <= MAX_LENGTH &&
    /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)
  )
    return value;
  throw new WebhookRefused(
    `${name} must be 1 to ${MAX_LENGTH} characters of ASCII, without a space at either end.`,
  );
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

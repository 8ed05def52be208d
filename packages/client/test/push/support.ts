import { createHash } from 'node:crypto';

import { StreamResponse, TaskState, type TaskPushNotificationConfig } from '@a2a-js/sdk';
import {
  pushNotificationReceiver,
  type PushNotification,
  type PushNotificationReceiverOptions,
} from '@a2a-auth/client/push';
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload, type JWK } from 'jose';

export const url = 'https://client.example/hook';

export function setUp(options: Partial<PushNotificationReceiverOptions> = {}) {
  const notifications: PushNotification[] = [];
  const refusals: { status: number; detail: string }[] = [];
  const receiver = pushNotificationReceiver({
    url,
    onNotification: (notification) => {
      notifications.push(notification);
    },
    onRefused: (refusal) => refusals.push(refusal),
    ...options,
  });
  return { receiver, notifications, refusals };
}

/** The body of a 1.0 notification. */
export function bodyFor(taskId = 'task-1', text = 'then'): string {
  const status = { state: TaskState.TASK_STATE_COMPLETED, message: undefined, timestamp: text };
  return JSON.stringify(
    StreamResponse.toJSON({
      payload: { $case: 'statusUpdate', value: { taskId, contextId: 'c', status, metadata: undefined } },
    }),
  );
}

/** The body of a 0.3 notification. */
export function legacyBodyFor(taskId = 'task-1'): string {
  return JSON.stringify({ kind: 'task', id: taskId, contextId: 'c', status: { state: 'completed' } });
}

/** The headers in which an agent sends what the configuration says. */
export function credentialHeaders({
  authentication,
  token,
}: Pick<TaskPushNotificationConfig, 'authentication' | 'token'>): Record<string, string> {
  const { scheme = '', credentials = '' } = authentication ?? {};
  return {
    ...(token === '' ? {} : { 'x-a2a-notification-token': token }),
    ...(credentials === ''
      ? {}
      : scheme === 'ApiKey'
        ? { 'x-api-key': credentials }
        : { authorization: `${scheme} ${credentials}` }),
  };
}

export function post(headers: Record<string, string>, body: string | Uint8Array = bodyFor()): Request {
  return new Request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/a2a+json', ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
}

/** An agent that signs, and may lie. */
export async function signer(issuer = 'https://agent.example') {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' };
  const sign = (
    body: string,
    claims: { readonly [name in keyof JWTPayload]?: JWTPayload[name] | undefined } = {},
    header: { kid?: string; typ?: string; alg?: string } = {},
  ) => {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({
      iss: issuer,
      aud: url,
      iat: now,
      exp: now + 60,
      jti: 'n-1',
      taskId: 'task-1',
      request_body_sha256: createHash('sha256').update(body).digest('hex'),
      ...claims,
    } as JWTPayload)
      .setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'a2a-notification+jwt', ...header })
      .sign(privateKey);
  };
  return { issuer, jwk, jwks: { keys: [jwk] }, sign };
}

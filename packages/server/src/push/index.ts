export { guardedPushStore } from './guarded-push-store.js';
export { jwksResponse, jwksRoute } from './jwks-route.js';
export {
  generatePushKey,
  pushKeys,
  type PushKeys,
  type PushKeysOptions,
  type SignedNotification,
} from './push-keys.js';
export type { PushFailure, PushFailureListener } from './push-failure.js';
export {
  pushNotificationSender,
  type AuthenticatedPushSender,
  type PushNotificationSenderOptions,
} from './push-notification-sender.js';
export type { HostResolver } from './webhook-address.js';
export type { WebhookPolicy } from './webhook-policy.js';

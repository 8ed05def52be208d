export type { TrustedAgent } from './agent-signature.js';
export type { NodeMiddleware } from './node-middleware.js';
export type { PushNotification } from './notification.js';
export {
  pushNotificationReceiver,
  type PushNotificationReceiver,
  type PushNotificationReceiverOptions,
  type PushWebhook,
  type RegisterOptions,
} from './push-receiver.js';
export {
  memoryPushRegistrations,
  type CredentialPlace,
  type PushRegistration,
  type PushRegistrations,
} from './registrations.js';

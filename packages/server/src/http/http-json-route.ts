import type { Operation } from '../operation.js';
import { isLegacyVersion } from './version.js';

/** What an HTTP+JSON request is about: its operation, and what its path says. The parts are still encoded. */
export interface HttpJsonTarget {
  readonly operation: Exclude<Operation, 'unknown'>;
  /** The version whose routes the path is one of. */
  readonly protocolVersion: '1.0' | '0.3';
  readonly tenant?: string | undefined;
  readonly taskId?: string | undefined;
  readonly configId?: string | undefined;
}

type Route = readonly [methods: readonly string[], path: RegExp, operation: HttpJsonTarget['operation']];

const task: readonly Route[] = [
  [['GET', 'POST'], /^\/tasks\/(?<taskId>[^/]+):subscribe$/i, 'SubscribeToTask'],
  [['POST'], /^\/tasks\/(?<taskId>[^/]+):cancel$/i, 'CancelTask'],
  [['GET'], /^\/tasks\/(?<taskId>[^/]+)$/i, 'GetTask'],
];

const configs = '/tasks/(?<taskId>[^/]+)/pushNotificationConfigs';
const pushNotificationConfigs: readonly Route[] = [
  [['POST'], new RegExp(`^${configs}$`, 'i'), 'CreateTaskPushNotificationConfig'],
  [['GET'], new RegExp(`^${configs}$`, 'i'), 'ListTaskPushNotificationConfigs'],
  [['GET'], new RegExp(`^${configs}/(?<configId>[^/]+)$`, 'i'), 'GetTaskPushNotificationConfig'],
  [['DELETE'], new RegExp(`^${configs}/(?<configId>[^/]+)$`, 'i'), 'DeleteTaskPushNotificationConfig'],
];

const messages: readonly Route[] = [
  [['POST'], /^\/message:send$/i, 'SendMessage'],
  [['POST'], /^\/message:stream$/i, 'SendStreamingMessage'],
];

/**
 * The routes of HTTP+JSON (A2A 1.0 §11.3), without the tenant that may precede each. Case is ignored, because the router
 * of the SDK ignores it. The order is the SDK's too: it says which of two routes is meant where both fit, one of them with
 * a tenant that is called "tasks". What is decided has to be what is done.
 */
const routes: readonly Route[] = [
  [['GET'], /^\/extendedAgentCard$/i, 'GetExtendedAgentCard'],
  ...messages,
  ...task,
  [['GET'], /^\/tasks$/i, 'ListTasks'],
  ...pushNotificationConfigs,
];

/** The routes of 0.3, after `/v1`. */
const legacyRoutes: readonly Route[] = [
  [['GET'], /^\/card$/i, 'GetExtendedAgentCard'],
  ...messages,
  ...task,
  ...pushNotificationConfigs,
];

/**
 * Finds out what a request is about.
 *
 * @param path below the interface's URL, still encoded
 * @returns undefined when no route has this method and path
 */
export function httpJsonTarget(
  method: string,
  path: string,
  versionHeader: string | undefined,
): HttpJsonTarget | undefined {
  const verb = method === 'HEAD' ? 'GET' : method;
  const trimmed = path.length > 1 ? path.replace(/\/$/, '') : path;
  const legacy = isLegacyPath(path, versionHeader)
    ? find(legacyRoutes, verb, '0.3', trimmed.slice('/v1'.length))
    : undefined;
  const [, tenant, rest] = /^\/([^/]+)(\/.*)$/.exec(trimmed) ?? [];
  // A path of 0.3 that 0.3 does not know may be one of 1.0, of the tenant "v1".
  return legacy ?? find(routes, verb, '1.0', trimmed, tenant, rest);
}

/** The methods that the path has; none for a path that nobody knows. */
export function httpJsonMethods(path: string, versionHeader: string | undefined): readonly string[] {
  return ['GET', 'HEAD', 'POST', 'DELETE'].filter(
    (method) => httpJsonTarget(method, path, versionHeader) !== undefined,
  );
}

/** Whether the path is one of 0.3. */
export function isLegacyPath(path: string, versionHeader: string | undefined): boolean {
  return isLegacyVersion(versionHeader) && /^\/v1\//i.test(path);
}

/** @param tenant what the path begins with, if that is a tenant, and `rest` what it goes on with */
function find(
  among: readonly Route[],
  verb: string,
  protocolVersion: '1.0' | '0.3',
  path: string,
  tenant?: string,
  rest = '',
): HttpJsonTarget | undefined {
  for (const [methods, pattern, operation] of among) {
    if (!methods.includes(verb)) continue;
    const match = pattern.exec(path);
    if (match !== null) return { operation, protocolVersion, ...match.groups };
    const matchOfTenant = pattern.exec(rest);
    if (matchOfTenant !== null) return { operation, protocolVersion, tenant, ...matchOfTenant.groups };
  }
  return undefined;
}

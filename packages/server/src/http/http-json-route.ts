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

type Route = readonly [methods: string, path: RegExp, operation: HttpJsonTarget['operation']];

const task: readonly Route[] = [
  ['GET POST', /^\/tasks\/(?<taskId>[^/]+):subscribe$/i, 'SubscribeToTask'],
  ['POST', /^\/tasks\/(?<taskId>[^/]+):cancel$/i, 'CancelTask'],
  ['GET', /^\/tasks\/(?<taskId>[^/]+)$/i, 'GetTask'],
];

const configs = '/tasks/(?<taskId>[^/]+)/pushNotificationConfigs';
const pushNotificationConfigs: readonly Route[] = [
  ['POST', new RegExp(`^${configs}$`, 'i'), 'CreateTaskPushNotificationConfig'],
  ['GET', new RegExp(`^${configs}$`, 'i'), 'ListTaskPushNotificationConfigs'],
  ['GET', new RegExp(`^${configs}/(?<configId>[^/]+)$`, 'i'), 'GetTaskPushNotificationConfig'],
  ['DELETE', new RegExp(`^${configs}/(?<configId>[^/]+)$`, 'i'), 'DeleteTaskPushNotificationConfig'],
];

const messages: readonly Route[] = [
  ['POST', /^\/message:send$/i, 'SendMessage'],
  ['POST', /^\/message:stream$/i, 'SendStreamingMessage'],
];

/**
 * The routes of HTTP+JSON (A2A 1.0 §11.3), without the tenant that may precede each. Case is ignored, because the router
 * of the SDK ignores it. The order is the SDK's too: it says which of two routes is meant where both fit, one of them with
 * a tenant that is called "tasks". What is decided has to be what is done.
 */
const routes: readonly Route[] = [
  ['GET', /^\/extendedAgentCard$/i, 'GetExtendedAgentCard'],
  ...messages,
  ...task,
  ['GET', /^\/tasks$/i, 'ListTasks'],
  ...pushNotificationConfigs,
];

/** The routes of 0.3, after `/v1`. */
const legacyRoutes: readonly Route[] = [
  ['GET', /^\/card$/i, 'GetExtendedAgentCard'],
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
  return candidates(path, versionHeader).find(([methods]) => methods.split(' ').includes(verb))?.[1];
}

/** The methods that the path has; none for a path that nobody knows. */
export function httpJsonMethods(path: string, versionHeader: string | undefined): readonly string[] {
  const methods = candidates(path, versionHeader).flatMap(([found]) => found.split(' '));
  return [...new Set(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))];
}

/** Whether the path is one of 0.3. */
export function isLegacyPath(path: string, versionHeader: string | undefined): boolean {
  return isLegacyVersion(versionHeader) && /^\/v1\//i.test(path);
}

type Candidate = readonly [methods: string, target: HttpJsonTarget];

/** Every route that fits the path, in order. A path of 0.3 that 0.3 does not know may be one of 1.0, of the tenant "v1". */
function candidates(path: string, versionHeader: string | undefined): readonly Candidate[] {
  const trimmed = path.length > 1 ? path.replace(/\/$/, '') : path;
  const [, tenant, rest] = /^\/([^/]+)(\/.*)$/.exec(trimmed) ?? [];
  return [
    ...(isLegacyPath(path, versionHeader)
      ? legacyRoutes.flatMap((route) => fit(route, trimmed.slice('/v1'.length), '0.3'))
      : []),
    ...routes.flatMap((route) => [
      ...fit(route, trimmed, '1.0'),
      ...(rest === undefined ? [] : fit(route, rest, '1.0', tenant)),
    ]),
  ];
}

function fit(
  [methods, pattern, operation]: Route,
  path: string,
  protocolVersion: '1.0' | '0.3',
  tenant?: string,
): readonly Candidate[] {
  const match = pattern.exec(path);
  if (match === null) return [];
  return [[methods, { operation, protocolVersion, tenant, ...match.groups }]];
}

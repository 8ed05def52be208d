/** What may be in the place of a field, where it matters. A field that is absent or null is left out, and always fits. */
type Shape =
  /** A text, a number or a boolean: the SDK reads each as the one it needs. */
  | 'scalar'
  /** Base64. */
  | 'bytes'
  | readonly [Shape]
  | { readonly [field: string]: Shape };

const authentication = { scheme: 'scalar', schemes: ['scalar'], credentials: 'scalar' } as const;

const pushConfig = { id: 'scalar', url: 'scalar', token: 'scalar', authentication } as const;

const part = {
  kind: 'scalar',
  text: 'scalar',
  raw: 'bytes',
  url: 'scalar',
  filename: 'scalar',
  mediaType: 'scalar',
  file: {
    bytes: 'bytes',
    uri: 'scalar',
    name: 'scalar',
    fileWithBytes: 'bytes',
    fileWithUri: 'scalar',
    mimeType: 'scalar',
  },
} as const;

const message = {
  kind: 'scalar',
  messageId: 'scalar',
  contextId: 'scalar',
  taskId: 'scalar',
  role: 'scalar',
  parts: [part],
  content: [part],
  extensions: ['scalar'],
  referenceTaskIds: ['scalar'],
} as const;

/** What HTTP+JSON has in the query. */
const query = {
  tenant: 'scalar',
  contextId: 'scalar',
  status: 'scalar',
  pageSize: 'scalar',
  pageToken: 'scalar',
  historyLength: 'scalar',
  statusTimestampAfter: 'scalar',
  includeArtifacts: 'scalar',
} as const satisfies Shape;

/**
 * All requests of both versions in one: a field of one name has one meaning in all of them. What is not here (data,
 * metadata, fields of extensions) may hold anything.
 */
const request = {
  ...query,
  name: 'scalar',
  taskId: 'scalar',
  pushNotificationConfigId: 'scalar',
  ...pushConfig,
  pushNotificationConfig: pushConfig,
  message,
  request: message,
  configuration: {
    acceptedOutputModes: ['scalar'],
    historyLength: 'scalar',
    taskPushNotificationConfig: { taskId: 'scalar', tenant: 'scalar', ...pushConfig },
    pushNotificationConfig: pushConfig,
    pushNotification: pushConfig,
  },
} as const satisfies Shape;

/**
 * Whether a request has objects, lists and scalars where the operations of A2A have them. The SDK's codecs do not look:
 * they throw at some wrong types, and fill memory for an object in the place of bytes that claims a `length`.
 */
export function hasRequestShape(value: unknown): boolean {
  return fits(value, request);
}

/** Whether each query parameter of A2A is there at most once, and is no list or object: some parsers make them of brackets. */
export function hasQueryShape(value: unknown): boolean {
  return fits(value, query);
}

function fits(value: unknown, shape: Shape): boolean {
  if (value === undefined || value === null) return true;
  if (shape === 'scalar') return typeof value !== 'object';
  if (shape === 'bytes') return typeof value === 'string';
  if (isList(shape)) {
    return Array.isArray(value) && value.every((item) => item !== null && fits(item, shape[0]));
  }
  if (typeof value !== 'object' || Array.isArray(value)) return false;
  for (const name of Object.keys(value)) {
    const camelCased = name.includes('_')
      ? name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
      : name;
    const fieldShape = Object.hasOwn(shape, camelCased) ? shape[camelCased] : undefined;
    if (fieldShape !== undefined && !fits((value as Record<string, unknown>)[name], fieldShape)) return false;
  }
  return true;
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

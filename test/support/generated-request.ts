import fc from 'fast-check';

import { combinations } from './client.js';
import { granted } from './credentials.js';
import { callsOf, jsonRpc, message } from './operations.js';
import type { RawRequest } from './raw-http.js';

/** A request made up, and whether it carries credentials that meet a requirement. */
export interface GeneratedRequest {
  readonly authenticated: boolean;
  readonly request: RawRequest;
}

const prototypeNames = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'then',
];

/** Values of the wrong type, for any place. */
const wrong = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 1e308, '', 'x', [], {}, [null], [[]], [{}]),
  fc.constantFrom<unknown>(
    { toString: 1, valueOf: 1 },
    { length: 1e6 },
    { length: -1 },
    { type: 'Buffer', data: [1] },
  ),
  fc.constantFrom(...prototypeNames),
  fc.string(),
  fc.jsonValue({ maxDepth: 3 }),
);

const push = { id: 'c', url: 'https://client.example/', token: 't' };
const rich = {
  '1.0': {
    ...message['1.0'],
    parts: [{ text: 'a' }, { raw: 'aGk=' }, { url: 'https://a.example/' }, { data: { a: [1] } }],
    metadata: { a: 1 },
    extensions: ['https://e.example/'],
    referenceTaskIds: ['t-9'],
  },
  '0.3': {
    ...message['0.3'],
    parts: [
      { kind: 'text', text: 'a', metadata: { a: 1 } },
      { kind: 'file', file: { bytes: 'aGk=', mimeType: 'text/plain', name: 'a' } },
      { kind: 'file', file: { uri: 'https://a.example/' } },
      { kind: 'data', data: { a: [1] } },
    ],
    extensions: ['https://e.example/'],
  },
  '0.3 proto': {
    ...message['0.3 proto'],
    content: [
      { text: 'a' },
      { file: { fileWithBytes: 'aGk=', mimeType: 'a/b' } },
      { data: { data: { a: [1] } } },
    ],
    metadata: { a: 1 },
  },
};

interface Target {
  readonly binding: 'JSONRPC' | 'HTTP+JSON';
  readonly version: string;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

const configuration = { acceptedOutputModes: ['text/plain'], historyLength: 1 };

/** Calls that are right, to be made nearly right. */
const templates: readonly Target[] = [
  ...combinations.flatMap((combination) =>
    callsOf(combination).map(({ method, path, body }) => ({ ...combination, method, path, body })),
  ),
  ...['SendMessage', 'SendStreamingMessage'].map((method) => ({
    binding: 'JSONRPC' as const,
    version: '1.0',
    method: 'POST',
    path: '',
    body: jsonRpc(method, {
      message: rich['1.0'],
      configuration: { ...configuration, taskPushNotificationConfig: push },
      metadata: {},
    }),
  })),
  ...['message/send', 'message/stream'].map((method) => ({
    binding: 'JSONRPC' as const,
    version: '0.3',
    method: 'POST',
    path: '',
    body: jsonRpc(method, {
      message: rich['0.3'],
      configuration: { ...configuration, pushNotificationConfig: push, blocking: true },
    }),
  })),
  ...['/message:send', '/message:stream', '/my-tenant/message:send'].map((path) => ({
    binding: 'HTTP+JSON' as const,
    version: '1.0',
    method: 'POST',
    path,
    body: {
      tenant: 'my-tenant',
      message: rich['1.0'],
      configuration: { ...configuration, taskPushNotificationConfig: push },
    },
  })),
  ...['/v1/message:send', '/v1/message:stream'].map((path) => ({
    binding: 'HTTP+JSON' as const,
    version: '0.3',
    method: 'POST',
    path,
    body: {
      message: rich['0.3 proto'],
      configuration: {
        ...configuration,
        pushNotification: { ...push, authentication: { schemes: ['a'], credentials: 'b' } },
      },
    },
  })),
];

type Change = readonly [kind: 'replace' | 'remove' | 'add', place: number, value: unknown, name: string];

const change: fc.Arbitrary<Change> = fc.tuple(
  fc.constantFrom('replace', 'replace', 'replace', 'remove', 'add'),
  fc.nat(1000),
  wrong,
  fc.oneof(fc.constantFrom(...prototypeNames, '', 'metadata', 'tenant', 'message', 'task_id'), fc.string()),
);

/** Every place in a JSON value: the object or list that holds it, and its name there. */
function placesIn(value: unknown): [holder: object, name: string][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    [value, name] satisfies [object, string],
    ...placesIn(inner),
  ]);
}

/** Makes the changes, each at the place whose number it has. */
function changed(template: unknown, changes: readonly Change[]): unknown {
  const root = { body: structuredClone(template) };
  for (const [kind, number, value, name] of changes) {
    const places = placesIn(root);
    const [holder, own] = places[number % places.length] ?? [root, 'body'];
    if (kind === 'remove') Reflect.deleteProperty(holder, own);
    // Not by assignment, which would make a prototype of the value.
    else {
      Object.defineProperty(holder, kind === 'add' && !Array.isArray(holder) ? name : own, {
        value: structuredClone(value),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
  }
  return root.body;
}

const body = (template: unknown): fc.Arbitrary<string | undefined> =>
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc
        .array(change, { maxLength: 3 })
        .map((changes) => JSON.stringify(changed(template, changes)) as string | undefined),
    },
    { weight: 1, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: wrong.map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.string({ maxLength: 50 }) },
    { weight: 1, arbitrary: fc.nat(60).map((end) => JSON.stringify(template ?? {}).slice(0, end)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.integer({ min: 1, max: 3000 }),
          fc.constantFrom(['[', ']'], ['{"message":', '}'], ['{"a":[', ']}']),
        )
        .map(([depth, [open = '', close = '']]) => `${open.repeat(depth)}1${close.repeat(depth)}`),
    },
  );

/** What may stand in a header without ending it. */
const fieldValue = fc
  .string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 40 })
  .map((text) => text.replace(/[\r\n]/g, ''));

const junkAuthorization = fc.oneof(
  fc.constantFrom(
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'bearer\tada',
    'Basic',
    'Basic !!',
    'Bearer ada,Bearer ada',
  ),
  fc.constantFrom('Bearer nobody', 'Bearer reader', 'Bearer banned', 'Bearer unavailable', 'Bearer too-many'),
  fieldValue,
  fieldValue.map((text) => `Bearer ${text}`),
  fc.constant(`Bearer ${'a'.repeat(20_000)}`),
);

type Fields = readonly (readonly [string, string])[];

/** The two keys and the token are never all there. */
const badCredentials: fc.Arbitrary<Fields> = fc.oneof(
  fc.constant([]),
  fc.array(
    junkAuthorization.map((value) => ['Authorization', value] as const),
    { maxLength: 2 },
  ),
  fc.constantFrom<Fields>(
    [['Authorization', 'Bearer ada']],
    [['X-Tenant-Key', granted.tenantAndUser['X-Tenant-Key']]],
    [
      ['Authorization', 'Bearer ada'],
      ['authorization', 'Bearer ada'],
      ['X-Tenant-Key', granted.tenantAndUser['X-Tenant-Key']],
    ],
    [
      ['X-API-Key', granted.partner['X-API-Key']],
      ['X-Api-Key', granted.partner['X-API-Key']],
    ],
    [
      ['X-API-Key', granted.partner['X-API-Key']],
      ['Authorization', 'Bearer two tokens'],
    ],
    [['X-API-Key', `${granted.partner['X-API-Key']}, ${granted.partner['X-API-Key']}`]],
    [['Cookie', `X-API-Key=${granted.partner['X-API-Key']}`]],
  ),
  fieldValue.map((value): Fields => [['X-API-Key', value]]),
  fc.tuple(fc.constantFrom(...prototypeNames), fieldValue).map((field): Fields => [field]),
);

const goodCredentials: fc.Arbitrary<Fields> = fc.constantFrom<Fields>(
  Object.entries(granted.partner),
  Object.entries(granted.tenantAndUser),
);

const queryValue = fc.oneof(
  fc.constantFrom('', '1', '-1', 'x', '1e9', '%zz', '%', '__proto__', 'TASK_STATE_WORKING', '2020-01-01'),
  fc.string({ maxLength: 10 }).map((text) => encodeURIComponent(text)),
);
const queryName = fc.constantFrom(
  ...['tenant', 'contextId', 'status', 'pageSize', 'pageToken', 'historyLength', 'history_length'],
  ...['statusTimestampAfter', 'includeArtifacts', 'X-API-Key', ...prototypeNames],
);
const query = fc
  .array(
    fc.tuple(
      queryName,
      fc.constantFrom('', '', '', '[]', '[a]', '[toString]', '[valueOf]', '[0][toString]'),
      queryValue,
    ),
    { maxLength: 3 },
  )
  .map((pairs) => pairs.map(([name, suffix, value]) => `${name}${suffix}=${value}`).join('&'));

/** What is put between or after the segments of a path. */
const pathNoise = fc.constantFrom(
  '',
  '',
  '',
  '',
  '',
  '/',
  '//',
  '/%zz',
  '/%00',
  '/..',
  ';a=b',
  '%2f',
  '/__proto__',
  ':',
  '%20',
);

const methods = fc.constantFrom(
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'FOO',
);

const versions = fc.oneof(
  fc.constantFrom<string | undefined>(
    undefined,
    '',
    '1.0',
    '0.3',
    '0.3.0',
    '1',
    '2.0',
    '-1',
    '1.0, 1.0',
    'nonsense',
  ),
  fieldValue,
);

const contentTypes = fc.constantFrom<string | undefined>(
  ...[
    'application/json',
    'application/json',
    'application/json',
    'application/a2a+json',
    'text/plain',
    'nonsense',
  ],
  ...['application/json; charset=utf-16', 'application/json; charset=nonsense', '', undefined],
);

/** Mostly what the template has, now and then something else. */
function mostly<T>(usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });
}

const withTemplate = (
  template: Target,
): fc.Arbitrary<Omit<GeneratedRequest, 'authenticated'> & { good: boolean }> => {
  const base = template.binding === 'JSONRPC' ? '/a2a/jsonrpc' : '/a2a/rest';
  return fc
    .record({
      good: fc.boolean(),
      goodFields: goodCredentials,
      badFields: badCredentials,
      method: mostly(template.method, methods),
      path: mostly(
        template.path,
        fc.tuple(fc.constant(template.path), pathNoise).map((pieces) => pieces.join('')),
      ),
      query: mostly('', query),
      version: mostly<string | undefined>(template.version, versions),
      contentType: mostly<string | undefined>('application/json', contentTypes),
      encoding: mostly<string | undefined>(undefined, fc.constantFrom('gzip', 'br', 'identity', 'nonsense')),
      extra: mostly<Fields>(
        [],
        fc.array(
          fc.tuple(
            fc.constantFrom('Cookie', 'A2A-Extensions', 'X-A2A-Extensions', 'Accept', ...prototypeNames),
            fieldValue,
          ),
          {
            maxLength: 2,
          },
        ),
      ),
      body: body(template.body),
    })
    .map(
      ({ good, goodFields, badFields, method, path, query, version, contentType, encoding, extra, body }) => {
        const present = (name: string, value: string | undefined): Fields =>
          value === undefined ? [] : [[name, value]];
        const separator = path.includes('?') ? '&' : '?';
        return {
          good,
          request: {
            method,
            target: `${base}${path}${query === '' ? '' : `${separator}${query}`}`,
            headers: [
              ...present('A2A-Version', version),
              ...present('Content-Type', contentType),
              ...present('Content-Encoding', encoding),
              ...extra,
              ...(good ? goodFields : badFields),
            ],
            ...(body === undefined ? {} : { body }),
          },
        };
      },
    );
};

export const generatedRequest: fc.Arbitrary<GeneratedRequest> = fc
  .constantFrom(...templates)
  .chain(withTemplate)
  .map(({ good, request }) => ({ authenticated: good, request }));

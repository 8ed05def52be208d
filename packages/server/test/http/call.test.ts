import type { Operation } from '@a2a-auth/server';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { httpJsonCall, jsonRpcCall } from '../../src/http/call.js';
import { isLegacyVersion } from '../../src/http/version.js';

describe('a JSON-RPC request', () => {
  it.each<[string, Operation, string]>([
    ['SendMessage', 'SendMessage', '1.0'],
    ['SendStreamingMessage', 'SendStreamingMessage', '1.0'],
    ['GetTask', 'GetTask', '1.0'],
    ['ListTasks', 'ListTasks', '1.0'],
    ['CancelTask', 'CancelTask', '1.0'],
    ['SubscribeToTask', 'SubscribeToTask', '1.0'],
    ['CreateTaskPushNotificationConfig', 'CreateTaskPushNotificationConfig', '1.0'],
    ['GetTaskPushNotificationConfig', 'GetTaskPushNotificationConfig', '1.0'],
    ['ListTaskPushNotificationConfigs', 'ListTaskPushNotificationConfigs', '1.0'],
    ['DeleteTaskPushNotificationConfig', 'DeleteTaskPushNotificationConfig', '1.0'],
    ['GetExtendedAgentCard', 'GetExtendedAgentCard', '1.0'],
    ['message/send', 'SendMessage', '0.3'],
    ['message/stream', 'SendStreamingMessage', '0.3'],
    ['tasks/get', 'GetTask', '0.3'],
    ['tasks/cancel', 'CancelTask', '0.3'],
    ['tasks/resubscribe', 'SubscribeToTask', '0.3'],
    ['tasks/pushNotificationConfig/set', 'CreateTaskPushNotificationConfig', '0.3'],
    ['tasks/pushNotificationConfig/get', 'GetTaskPushNotificationConfig', '0.3'],
    ['tasks/pushNotificationConfig/list', 'ListTaskPushNotificationConfigs', '0.3'],
    ['tasks/pushNotificationConfig/delete', 'DeleteTaskPushNotificationConfig', '0.3'],
    ['agent/getAuthenticatedExtendedCard', 'GetExtendedAgentCard', '0.3'],
  ])('of method %s is %s in %s, whatever the header says', (method, operation, protocolVersion) => {
    for (const header of [undefined, '1.0', '0.3']) {
      expect(jsonRpcCall({ method }, header)).toMatchObject({
        binding: 'JSONRPC',
        operation,
        protocolVersion,
      });
    }
  });

  it.each([
    '',
    'sendMessage',
    'message/Send',
    '__proto__',
    'constructor',
    'toString',
    5,
    null,
    ['SendMessage'],
    {},
  ])('of method %j is unknown', (method) => {
    expect(jsonRpcCall({ method }, '1.0').operation).toBe('unknown');
  });

  it.each([undefined, null, 'SendMessage', 5, true, [], [{ method: 'SendMessage' }]])(
    'that is %j is unknown',
    (body) => {
      expect(jsonRpcCall(body, '1.0')).toEqual({
        binding: 'JSONRPC',
        protocolVersion: '1.0',
        operation: 'unknown',
        id: null,
        contextId: undefined,
      });
    },
  );

  it.each([
    ['a', 'a'],
    ['', ''],
    [1, 1],
    [-1, -1],
    [1.5, null],
    [null, null],
    [undefined, null],
    [true, null],
    [{}, null],
    [['a'], null],
  ])('with the id %j is answered with %j', (id, echoed) => {
    expect(jsonRpcCall({ method: 'GetTask', id }, '1.0').id).toBe(echoed);
  });

  it.each([
    [{ contextId: 'c1' }, 'c1'],
    [{ context_id: 'c1' }, 'c1'],
    [{ contextId: '' }, undefined],
    [{ contextId: 'c'.repeat(257) }, undefined],
    [{ contextId: 5 }, undefined],
    [{ contextId: { a: 1 } }, undefined],
    [{}, undefined],
    [null, undefined],
    ['c1', undefined],
  ])('whose message is %j belongs to the context %j', (message, contextId) => {
    expect(jsonRpcCall({ method: 'SendMessage', params: { message } }, '1.0').contextId).toBe(contextId);
  });
});

describe('an HTTP+JSON request', () => {
  const operations: [string, string, Operation][] = [
    ['POST', '/message:send', 'SendMessage'],
    ['POST', '/message:stream', 'SendStreamingMessage'],
    ['GET', '/tasks/t1:subscribe', 'SubscribeToTask'],
    ['POST', '/tasks/t1:subscribe', 'SubscribeToTask'],
    ['POST', '/tasks/t1:cancel', 'CancelTask'],
    ['GET', '/tasks', 'ListTasks'],
    ['GET', '/tasks/', 'ListTasks'],
    ['HEAD', '/tasks', 'ListTasks'],
    ['GET', '/tasks/t1', 'GetTask'],
    ['POST', '/tasks/t1/pushNotificationConfigs', 'CreateTaskPushNotificationConfig'],
    ['GET', '/tasks/t1/pushNotificationConfigs', 'ListTaskPushNotificationConfigs'],
    ['GET', '/tasks/t1/pushNotificationConfigs/p1', 'GetTaskPushNotificationConfig'],
    ['DELETE', '/tasks/t1/pushNotificationConfigs/p1', 'DeleteTaskPushNotificationConfig'],
    ['GET', '/extendedAgentCard', 'GetExtendedAgentCard'],
  ];

  it.each(operations)('%s %s is %s', (method, path, operation) => {
    const expected = { binding: 'HTTP+JSON', protocolVersion: '1.0', operation, id: null };
    expect(httpJsonCall(method, path, undefined, '1.0')).toMatchObject(expected);
  });

  it.each(operations)('%s /acme%s is %s of a tenant', (method, path, operation) => {
    expect(httpJsonCall(method, `/acme${path}`, undefined, '1.0').operation).toBe(operation);
  });

  it.each<[string, string, Operation]>([
    ...operations.map(([method, path, operation]): [string, string, Operation] => [
      method,
      `/v1${path}`,
      operation,
    ]),
    ['GET', '/v1/card', 'GetExtendedAgentCard'],
  ])('%s %s is %s in 0.3', (method, path, operation) => {
    for (const header of [undefined, '', '0.3', '0.3.0']) {
      expect(httpJsonCall(method, path, undefined, header)).toMatchObject({
        protocolVersion: '0.3',
        operation,
      });
    }
  });

  it.each([
    ['GET', '/'],
    ['GET', ''],
    ['GET', '/message:send'],
    ['PUT', '/tasks/t1'],
    ['DELETE', '/tasks'],
    ['POST', '/tasks/t1'],
    ['GET', '/a/b/tasks'],
    ['GET', '//tasks/t1/x'],
    ['POST', '/__proto__'],
    ['get', '/tasks'],
  ])('%s %j is unknown', (method, path) => {
    expect(httpJsonCall(method, path, undefined, '1.0').operation).toBe('unknown');
  });

  it('tells the context of messages alone', () => {
    const body = { message: { contextId: 'c1' } };
    expect(httpJsonCall('POST', '/message:send', body, '1.0').contextId).toBe('c1');
    expect(httpJsonCall('POST', '/tasks/t1:cancel', body, '1.0').contextId).toBeUndefined();
  });
});

describe('any request', () => {
  it('is read without an exception', () => {
    fc.assert(
      fc.property(
        fc.anything(),
        fc.string(),
        fc.string(),
        fc.option(fc.string(), { nil: undefined }),
        (body, method, path, header) => {
          expect(jsonRpcCall(body, header).binding).toBe('JSONRPC');
          expect(httpJsonCall(method, `/${path}`, body, header).binding).toBe('HTTP+JSON');
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('the version', () => {
  it.each([undefined, '', ' ', '0.3', '0.3.0', ' 0.3 ', '0.4', '0.10'])(
    '%j speaks the shapes of 0.3',
    (header) => {
      expect(isLegacyVersion(header)).toBe(true);
    },
  );

  it.each(['1.0', '1', '2.0', '0.2', '0.2.6', '0', '0.30x', 'x', '__proto__', '1.0, 0.3'])(
    '%j does not',
    (header) => {
      expect(isLegacyVersion(header)).toBe(false);
    },
  );
});

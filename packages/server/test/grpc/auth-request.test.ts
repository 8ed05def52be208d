import { Metadata, type ServerUnaryCall } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';

import { toAuthRequest } from '../../src/grpc/auth-request.js';

type Call = ServerUnaryCall<unknown, unknown>;

function requestOf(call: { peer?: string; host?: string; metadata?: Metadata } = {}) {
  const { peer = '127.0.0.1:50000', host = 'agent.example:443', metadata = new Metadata() } = call;
  const parts: Partial<Call> = {
    metadata,
    getPeer: () => peer,
    getHost: () => host,
    getPath: () => '/lf.a2a.v1.A2AService/GetTask',
    getAuthContext: () => ({}),
  };
  return toAuthRequest(parts as Call);
}

describe('the address of the peer', () => {
  it.each([
    ['127.0.0.1:50000', '127.0.0.1'],
    ['::1:50000', '::1'],
    ['::ffff:127.0.0.1:50000', '::ffff:127.0.0.1'],
    ['2001:db8::7:443', '2001:db8::7'],
    ['10.0.0.7', '10.0.0.7'],
    ['unknown', undefined],
    ['', undefined],
    ['/tmp/agent.sock', undefined],
    ['agent.example:50000', undefined],
  ])('of %s is %s', (peer, address) => {
    const { peerAddress, remoteAddress } = requestOf({ peer });
    expect(peerAddress).toBe(address);
    expect(remoteAddress).toBe(address);
  });
});

describe('the URL', () => {
  it.each([
    ['agent.example', 'https://agent.example/lf.a2a.v1.A2AService/GetTask'],
    ['agent.example:50051', 'https://agent.example:50051/lf.a2a.v1.A2AService/GetTask'],
    ['[::1]:50051', 'https://[::1]:50051/lf.a2a.v1.A2AService/GetTask'],
  ])('has the authority that the caller named: %s', (host, url) => {
    expect(requestOf({ host }).url).toBe(url);
  });

  it.each(['', 'agent.example/admin?', 'user@agent.example', 'a b', 'agent.example:1234567', 'a#'])(
    'has none that is no host and port: %j',
    (host) => {
      expect(requestOf({ host }).url).toBe('https://invalid/lf.a2a.v1.A2AService/GetTask');
    },
  );
});

describe('metadata', () => {
  it('is found without regard to case, every value of it', () => {
    const metadata = new Metadata();
    metadata.add('X-Key', 'one');
    metadata.add('x-key', 'two');
    expect(requestOf({ metadata }).header('X-KEY')).toEqual(['one', 'two']);
    expect(requestOf({ metadata }).header('x-other')).toEqual([]);
  });

  it('in binary is not found', () => {
    const metadata = new Metadata();
    metadata.set('x-key-bin', Buffer.from('secret'));
    expect(requestOf({ metadata }).header('x-key-bin')).toEqual([]);
  });

  it.each(['__proto__', 'constructor', 'toString'])('that was not sent is not found: %s', (name) => {
    expect(requestOf().header(name)).toEqual([]);
  });

  it('is neither query nor cookie', () => {
    const metadata = new Metadata();
    metadata.set('cookie', 'session=secret');
    const request = requestOf({ metadata });
    expect(request.cookie('session')).toEqual([]);
    expect(request.query('session')).toEqual([]);
  });
});

import { expect, it } from 'vitest';

import { endpointOf, targetOf } from '../../src/grpc/endpoint.js';
import { checkPolicy } from '../../src/policy.js';

const policy = checkPolicy('https://agent.example', {
  origins: [
    'https://agent.example:50051',
    'http://localhost:50051',
    'http://[::1]:50051',
    'http://127.0.0.1:1',
    'https://127.0.0.1:1',
  ],
});

it.each([
  ['agent.example', 'https://agent.example', 'dns:///agent.example:443'],
  ['agent.example:443', 'https://agent.example', 'dns:///agent.example:443'],
  ['AGENT.example:50051', 'https://agent.example:50051', 'dns:///agent.example:50051'],
  ['https://agent.example:50051/a2a/grpc', 'https://agent.example:50051', 'dns:///agent.example:50051'],
  ['HTTPS://agent.example', 'https://agent.example', 'dns:///agent.example:443'],
  ['http://agent.example', 'http://agent.example', 'dns:///agent.example:80'],
  ['http://localhost:50051', 'http://localhost:50051', 'dns:///localhost:50051'],
  ['[::2]:50051', 'https://[::2]:50051', 'dns:///[::2]:50051'],
  ['unix:1234', 'https://unix:1234', 'dns:///unix:1234'],
  ['0x7f.1:1', 'https://127.0.0.1:1', 'dns:///127.0.0.1:1'],
])('reads %s as %s, and has grpc-js connect to %s', (address, origin, target) => {
  const endpoint = endpointOf(address, policy);
  expect(endpoint?.origin).toBe(origin);
  expect(endpoint && targetOf(endpoint)).toBe(target);
});

it.each([
  ['localhost:50051', 'http://localhost:50051'],
  ['[::1]:50051', 'http://[::1]:50051'],
  ['localhost:50052', 'https://localhost:50052'],
  ['127.0.0.1:1', 'https://127.0.0.1:1'],
])('takes %s for %s, by what the user named', (address, origin) => {
  expect(endpointOf(address, policy)?.origin).toBe(origin);
});

it.each([
  '',
  ':443',
  'agent.example:port',
  'agent.example:99999',
  'agent.example:443:443',
  'agent.example/',
  'user@agent.example',
  'agent.example?x',
  'agent.example#x',
  'agent.example\\',
  'agent example',
  'dns:///agent.example:443',
  'dns://evil.example/agent.example:443',
  'ipv4:127.0.0.1:443',
  'ipv6:[::1]:443',
  'unix:/run/docker.sock',
  'unix:///run/docker.sock',
  'unix-abstract:docker',
  'xds:///agent.example',
  'passthrough:///agent.example',
  'ftp://agent.example',
  '//agent.example',
  '[::1',
  '[agent.example]:443',
])('takes %j for no address', (address) => {
  expect(endpointOf(address, policy)).toBeUndefined();
});

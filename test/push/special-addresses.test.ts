import fc from 'fast-check';
import { expect, it } from 'vitest';

import * as client from '../../packages/client/src/special-addresses.js';
import * as server from '../../packages/server/src/push/special-addresses.js';

const near = [
  '127.0.0.1',
  '169.254.169.254',
  '168.63.129.16',
  '100.64.0.1',
  '::1',
  '::ffff:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '2002:7f00:1::',
  'fd00::1',
  'fe80::1%eth0',
  '8.8.8.8',
  '2606:4700::1111',
  'no address',
];

it.each(near)('judges %s in the agent as in the client', (address) => {
  expect(server.isSpecialAddress(address)).toBe(client.isSpecialAddress(address));
  expect(server.isLoopbackAddress(address)).toBe(client.isLoopbackAddress(address));
});

it('judges any address in the agent as in the client', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      expect(server.isSpecialAddress(address)).toBe(client.isSpecialAddress(address));
    }),
  );
});

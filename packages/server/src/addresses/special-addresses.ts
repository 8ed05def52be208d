import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** The IANA special-purpose registries, and addresses of cloud metadata services outside of them. */
const special4 = blockList('ipv4', [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32], // Azure
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]);
/** The mapped and the NAT64 addresses are judged by the IPv4 address in them. */
const special6 = blockList('ipv6', [
  ['::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
]);

function blockList(family: 'ipv4' | 'ipv6', subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, family);
  return list;
}

/** Whether an IP address is the machine itself. */
export function isLoopbackAddress(address: string): boolean {
  const embedded = embeddedIPv4(address);
  if (embedded !== undefined) return embedded.startsWith('127.');
  return hextets(address)?.join() === '0,0,0,0,0,0,0,1';
}

/** Whether an IP address is anything but a public one of a single host. What is no IP address counts as special. */
export function isSpecialAddress(address: string): boolean {
  const embedded = embeddedIPv4(address);
  if (embedded !== undefined) return special4.check(embedded, 'ipv4');
  const parts = hextets(address);
  return parts === undefined || special6.check(parts.map((part) => part.toString(16)).join(':'), 'ipv6');
}

/** The address itself, or the one in an IPv4-mapped (RFC 4291 §2.5.5.2) or NAT64 address (RFC 6052 §2.1). */
function embeddedIPv4(address: string): string | undefined {
  if (isIPv4(address)) return address;
  const parts = hextets(address);
  if (parts === undefined) return undefined;
  const prefix = parts.slice(0, 6).join();
  if (prefix !== '0,0,0,0,0,65535' && prefix !== '100,65435,0,0,0,0') return undefined;
  const [high = 0, low = 0] = parts.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** The eight numbers of an IPv6 address. */
function hextets(address: string): readonly number[] | undefined {
  const [unzoned = ''] = address.split('%');
  if (!isIPv6(unzoned)) return undefined;
  // The URL parser writes an address at the end in hexadecimal as well.
  const [left = '', right] = new URL(`http://[${unzoned}]`).hostname.slice(1, -1).split('::');
  const numbers = (part: string) => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [head, tail] = [numbers(left), numbers(right ?? '')];
  return right === undefined
    ? head
    : [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

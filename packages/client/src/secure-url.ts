import { isIPv4 } from 'node:net';

/** Whether a call to this URL can be neither read nor changed on its way: https, or http that never leaves the machine. */
export function isSecure(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

/** Whether this host name, as a URL writes it, is the machine itself. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
  );
}

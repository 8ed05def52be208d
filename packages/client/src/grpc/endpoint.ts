import { isAllowedDestination, type Policy } from '../policy.js';

const hostAndPort = /^(?:\[[0-9a-f:.]+\]|[^\s/?#@\\:[\]]+)(?::\d{1,5})?$/i;

/**
 * Reads the address of a gRPC interface: `agent.example:443`, or a URL, of which the origin counts. Without a scheme it is
 * https, unless the user named the same host and port as http, which only the loopback can have. What grpc-js knows
 * besides, such as the names of sockets and of resolvers, is no address.
 *
 * @returns undefined when it is none; it may be one that policy does not allow
 */
export function endpointOf(address: string, policy: Policy): URL | undefined {
  const texts = /^https?:\/\//i.test(address)
    ? [address]
    : hostAndPort.test(address)
      ? [`https://${address}`, `http://${address}`]
      : [];
  const urls = texts.filter((text) => URL.canParse(text)).map((text) => new URL(text));
  return urls.find((url) => isAllowedDestination(policy, url)) ?? urls[0];
}

/** The name by which grpc-js connects to exactly this host and port. */
export function targetOf({ protocol, hostname, port }: URL): string {
  return `dns:///${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`;
}

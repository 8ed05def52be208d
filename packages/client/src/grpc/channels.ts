import { Buffer } from 'node:buffer';

import { Channel, credentials, type ChannelCredentials } from '@grpc/grpc-js';

import { sameIdentity } from '../apply-credentials.js';
import type { TlsIdentity } from '../credential-source.js';
import { targetOf } from './endpoint.js';

export function channelCredentials({ protocol }: URL, identity: TlsIdentity | undefined): ChannelCredentials {
  if (protocol === 'http:') return credentials.createInsecure();
  const { ca, key, certificate } = identity ?? {};
  const [roots, privateKey, chain] = [ca, key, certificate].map((pem) =>
    pem === undefined ? null : Buffer.from(pem),
  );
  return credentials.createSsl(roots, privateKey, chain);
}

/**
 * The channel to an endpoint, with the certificate in use: certificates are replaced now and then. Calls on the one before go
 * on, and grpc-js closes its connection when it has been idle for long.
 */
export function channels(endpoint: URL): (identity: TlsIdentity | undefined) => Channel {
  const options = {
    // How often a call is sent is not for the agent's DNS to say.
    'grpc.service_config_disable_resolution': 1,
    // Its registry would keep every channel that was replaced.
    'grpc.enable_channelz': 0,
    // A proxy of the environment would get in plain what is for the loopback alone.
    ...(endpoint.protocol === 'http:' ? { 'grpc.enable_http_proxy': 0 } : {}),
  };
  let current: { readonly identity: TlsIdentity | undefined; readonly channel: Channel } | undefined;
  return (identity) => {
    if (current === undefined || !sameIdentity(current.identity, identity)) {
      const channel = new Channel(targetOf(endpoint), channelCredentials(endpoint, identity), options);
      current = { identity, channel };
    }
    return current.channel;
  };
}

import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';

import { AgentSecurity, type PresentedCertificate, type SecurityScheme } from '@a2a-auth/server';
import { credentials, ServerCredentials, status, type ChannelCredentials } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';

import {
  channel,
  closeGrpcAfterTests,
  methods,
  startCall,
  startGrpcAgent,
  versions,
  type RunningGrpcAgent,
} from '../support/grpc.js';
import { certificateAuthority, type Identity } from '../support/oauth/certificates.js';

closeGrpcAfterTests();

const authority = certificateAuthority();
const serverIdentity = authority.server();
const ada = authority.client('ada');
/** Of the same name, from an authority of the same name. */
const forged = certificateAuthority().client('ada');

const pair = {
  private_key: Buffer.from(serverIdentity.key),
  cert_chain: Buffer.from(serverIdentity.cert),
};

/** Every client needs a certificate. */
async function required(security: AgentSecurity<string>) {
  const serverCredentials = ServerCredentials.createSsl(Buffer.from(authority.ca), [pair], true);
  return startGrpcAgent({ security, credentials: serverCredentials });
}

/** Clients may have one; the TLS layer lets wrong ones through as well. */
async function optional(security: AgentSecurity<string>) {
  const agent = await startGrpcAgent({ security });
  const injector = agent.server.createConnectionInjector(ServerCredentials.createInsecure());
  const { key, cert, ca } = serverIdentity;
  const tls = createServer({
    key,
    cert,
    ca,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  });
  tls.on('secureConnection', (socket) => {
    injector.injectConnection(socket);
  });
  await once(tls.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    tls.close();
  });
  const { port } = tls.address() as AddressInfo;
  return { ...agent, address: `127.0.0.1:${String(port)}` };
}

function clientCredentials(identity?: Identity): ChannelCredentials {
  return credentials.createSsl(
    Buffer.from(authority.ca),
    identity === undefined ? null : Buffer.from(identity.key),
    identity === undefined ? null : Buffer.from(identity.cert),
  );
}

/** Takes whatever certificate the connection has, and remembers what it saw. */
function connectionScheme() {
  const seen: (PresentedCertificate | undefined)[] = [];
  const scheme: SecurityScheme<PresentedCertificate> = {
    declaration: { type: 'mutualTLS' },
    extract: ({ clientCertificate }) => {
      seen.push(clientCertificate);
      return clientCertificate;
    },
    verify: ({ der, tlsError }) =>
      tlsError === undefined
        ? { verified: true, principal: { subject: new X509Certificate(der).subject } }
        : { verified: false, reason: 'invalid', detail: tlsError },
  };
  const security = new AgentSecurity()
    .addSecurityScheme('connection', scheme)
    .addSecurityRequirement({ connection: [] });
  return { security, seen };
}

async function start(listen: (security: AgentSecurity<string>) => Promise<RunningGrpcAgent>) {
  const { security, seen } = connectionScheme();
  const agent = await listen(security);
  const call = (identity?: Identity) =>
    startCall(
      channel(agent.address, clientCredentials(identity)),
      '1.0',
      'getTask',
      { tenant: '', id: 'any' },
      { 'x-forwarded-client-cert': 'Subject="CN=ada"', 'client-cert': ':AAAA:' },
    ).outcome;
  return { ...agent, seen, call };
}

describe.each([
  { name: 'required', listen: required },
  { name: 'optional', listen: optional },
])('over TLS where a client certificate is $name', ({ listen }) => {
  it('it reaches the schemes as it was presented', async () => {
    const { call, seen } = await start(listen);
    expect((await call(ada)).code).toBe(status.NOT_FOUND);
    const [presented] = seen;
    const { fingerprint256 } = new X509Certificate(presented?.der ?? new Uint8Array());
    expect(fingerprint256).toBe(new X509Certificate(ada.cert).fingerprint256);
    expect(presented?.tlsError).toBeUndefined();
  });

  it.each([
    ['a forged one', forged],
    ['one that is for servers', serverIdentity],
    ['none', undefined],
  ])('nobody is let in with %s', async (_name, identity) => {
    const { call, seen } = await start(listen);
    // By the TLS layer, or by us.
    expect([status.UNAVAILABLE, status.UNAUTHENTICATED]).toContain((await call(identity)).code);
    expect(seen.filter((certificate) => certificate !== undefined)).toEqual([]);
  });
});

it('a certificate that the TLS layer let through without accepting it is not taken for the caller’s', async () => {
  const { call, seen } = await start(optional);
  expect((await call(serverIdentity)).code).toBe(status.UNAUTHENTICATED);
  expect(seen).toEqual([undefined]);
});

describe('over TLS without client certificates', () => {
  it('there is none, whatever the client has', async () => {
    const { call, seen } = await start((security) =>
      startGrpcAgent({ security, credentials: ServerCredentials.createSsl(null, [pair]) }),
    );
    expect((await call(ada)).code).toBe(status.UNAUTHENTICATED);
    expect(seen).toEqual([undefined]);
  });
});

it.each(versions)('a message over %s is answered for the holder of the certificate', async (version) => {
  const { address, executor } = await start(required);
  const { method, request } = methods[version][0] ?? { method: '', request: {} };
  const client = channel(address, clientCredentials(ada));
  expect((await startCall(client, version, method, request).outcome).code).toBe(status.OK);
  expect(executor.calls[0]?.context.user?.userName).toBe('scheme:connection|CN=ada');
});

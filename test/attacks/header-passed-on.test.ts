import { hash, X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';

import {
  AgentSecurity,
  albClientCertificate,
  certificateTrust,
  clientCertHeader,
  createDevelopmentPki,
  envoyClientCertificate,
  mutualTls,
  nginxClientCertificate,
  type DecisionEvent,
  type DevelopmentPki,
  type ForwardedCertificateFormat,
} from '@a2a-auth/server';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createFetchAgent } from '../fetch/support.js';
import {
  callGrpc,
  closeGrpcAfterTests,
  metadataOf,
  methods,
  startGrpcAgent,
  versions,
  type GrpcMethod,
} from '../support/grpc.js';
import { muteConsole } from '../support/quiet.js';

closeGrpcAfterTests();
muteConsole();

// A proxy that adds its header to the one that a caller wrote, instead of overwriting it. Neither gRPC nor `Headers` tell
// two fields of one name apart from one with a comma.

let pki: DevelopmentPki;
beforeAll(async () => {
  pki = await createDevelopmentPki({ clients: ['caller', 'victim'] });
});
afterAll(() => rm(pki.folder, { recursive: true }));

const escaped = ({ raw }: X509Certificate) => {
  const lines = raw.toString('base64').match(/.{1,64}/g) ?? [];
  return encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`);
};

type Write = (certificate: X509Certificate) => string;

const formats: readonly [string, ForwardedCertificateFormat, header: string, Write][] = [
  ['nginx', nginxClientCertificate(), 'ssl-client-cert', escaped],
  ['RFC 9440', clientCertHeader(), 'client-cert', ({ raw }) => `:${raw.toString('base64')}:`],
  [
    'Envoy',
    envoyClientCertificate(),
    'x-forwarded-client-cert',
    (certificate) => `Hash=${hash('sha256', certificate.raw)};Cert="${escaped(certificate)}"`,
  ],
  ['ALB (verify)', albClientCertificate({ mode: 'verify' }), 'x-amzn-mtls-clientcert-leaf', escaped],
  ['ALB (passthrough)', albClientCertificate({ mode: 'passthrough' }), 'x-amzn-mtls-clientcert', escaped],
];

async function headersOf(write: Write) {
  const read = async (name: string) => {
    const { certificate } = pki.clients[name] ?? { certificate: '' };
    return write(new X509Certificate(await readFile(certificate)));
  };
  return { caller: await read('caller'), victim: await read('victim') };
}

function createSecurity(format: ForwardedCertificateFormat) {
  const decisions: DecisionEvent[] = [];
  const security = new AgentSecurity({
    onDecision: (event) => decisions.push(event),
    forwardedCertificate: { from: ['127.0.0.1'], format },
  })
    .addSecurityScheme('mtls', mutualTls({ trust: certificateTrust({ folder: pki.knownClients }) }))
    .addSecurityRequirement({ mtls: [] });
  return { security, decisions };
}

const malformed = { granted: false, schemes: [{ outcome: 'malformed' }] };

describe.each(formats)('%s', (_name, format, header, write) => {
  it('is read when it is there once, so that the rest means something', async () => {
    const { security, decisions } = createSecurity(format);
    const agent = createFetchAgent({
      security,
      handler: { connection: () => ({ peerAddress: '127.0.0.1' }) },
    });
    const { caller } = await headersOf(write);
    const response = await agent.fetch(`${agent.restUrl}/tasks`, {
      headers: { 'a2a-version': '1.0', [header]: caller },
    });
    expect(response.status).toBe(200);
    expect(decisions[0]?.principalId).toMatch(/\/cn\|caller$/);
  });

  it.each([
    ['before', ['victim', 'caller']],
    ['after', ['caller', 'victim']],
  ] as const)("is refused by the fetch handler with somebody else's %s it", async (_where, order) => {
    const { security, decisions } = createSecurity(format);
    const agent = createFetchAgent({
      security,
      handler: { connection: () => ({ peerAddress: '127.0.0.1' }) },
    });
    const written = await headersOf(write);
    const headers = new Headers({ 'a2a-version': '1.0' });
    for (const who of order) headers.append(header, written[who]);
    expect((await agent.fetch(`${agent.restUrl}/tasks`, { headers })).status).toBe(401);
    expect(decisions).toMatchObject([malformed]);
  });

  it.each(versions)("is refused over gRPC %s with somebody else's beside it", async (version) => {
    const { security, decisions } = createSecurity(format);
    const agent = await startGrpcAgent({ security });
    const { caller, victim } = await headersOf(write);
    const { method, request } = methods[version][2] as GrpcMethod;
    for (const values of [
      [victim, caller],
      [caller, victim],
    ]) {
      const outcome = await callGrpc(
        agent.address,
        version,
        method,
        request,
        metadataOf({ [header]: values }),
      );
      expect(outcome.code).toBe(status.UNAUTHENTICATED);
    }
    expect(decisions).toMatchObject([malformed, malformed]);
  });
});

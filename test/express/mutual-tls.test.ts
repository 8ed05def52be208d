import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ConnectionOptions, SecureVersion, TLSSocket } from 'node:tls';

import {
  AgentSecurity,
  apiKey,
  certificateTrust,
  createDevelopmentPki,
  httpBearer,
  jwt,
  mutualTls,
  principalsOf,
  serveMutualTls,
  type CertificateFiles,
  type DecisionEvent,
  type DevelopmentPki,
  type MutualTlsServer,
  type SecurityScheme,
  type ServeMutualTlsOptions,
  type TrustOptions,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import express from 'express';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { rawCall } from '../support/oauth/agent.js';
import { muteConsole } from '../support/quiet.js';

muteConsole();

const ISSUER = 'https://issuer.example';
const AUDIENCE = 'the agent';
const secret = randomBytes(32);
const partner = { 'x-api-key': 'partner-0123456789' };

let pki: DevelopmentPki;
let ca: string;
let ada: ConnectionOptions;
let bob: ConnectionOptions;

const identity = async ({ certificate, key }: CertificateFiles): Promise<ConnectionOptions> => ({
  cert: await readFile(certificate, 'utf8'),
  key: await readFile(key, 'utf8'),
});

beforeAll(async () => {
  pki = await createDevelopmentPki();
  ca = await readFile(pki.ca, 'utf8');
  ada = await identity(await pki.issueClient('ada'));
  bob = await identity(await pki.issueClient('bob'));
});
afterAll(() => rm(pki.folder, { recursive: true }));

let scratch: string;
const running: MutualTlsServer[] = [];
const plain: Server[] = [];
const clients: Agent[] = [];

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'a2a-express-tls-'));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const server of plain.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await Promise.all(running.splice(0).map(({ close }) => close(0)));
  await rm(scratch, { recursive: true });
});

/** Every scheme that the tests combine. */
type Ids = 'certificate' | 'key' | 'token';

/** An agent with these alternatives, as an application that has no port yet. */
function createApp(trust: TrustOptions, ...alternatives: readonly (readonly Ids[])[]) {
  const decisions: DecisionEvent[] = [];
  const shared = certificateTrust(trust);
  const all: Readonly<Record<Ids, SecurityScheme>> = {
    certificate: mutualTls({ trust: shared }),
    key: apiKey({ in: 'header', name: 'X-API-Key', keys: [partner['x-api-key']] }),
    token: httpBearer({ verifier: jwt({ secret, issuer: ISSUER, audience: AUDIENCE }) }),
  };
  const security = new AgentSecurity<Ids>({ onDecision: (event) => decisions.push(event) });
  for (const id of new Set(alternatives.flat())) security.addSecurityScheme(id, all[id]);
  for (const ids of alternatives) {
    security.addSecurityRequirement(Object.fromEntries(ids.map((id) => [id, []])));
  }
  const { executor, requestHandler } = createAgent(agentCard('https://agent.example'));
  const app = express();
  app.use(agentRouter({ security, requestHandler }));
  const callers = () => {
    const call = executor.calls.at(-1);
    if (call === undefined) throw new Error('The executor was not called.');
    return Object.fromEntries([...principalsOf(call)].map(([id, { subject }]) => [id, subject]));
  };
  return { app, shared, decisions, callers };
}

async function start(
  options: Partial<Pick<ServeMutualTlsOptions, 'clientCertificate'>> & { readonly trust?: TrustOptions },
  ...alternatives: readonly (readonly Ids[])[]
) {
  const { trust = { folder: pki.knownClients }, clientCertificate } = options;
  const agent = createApp(trust, ...alternatives);
  const server = await serveMutualTls(agent.app, {
    ...pki.server,
    trust: agent.shared,
    port: 0,
    host: '127.0.0.1',
    clientCertificate,
  });
  running.push(server);
  return { ...agent, server: server.server, port: (server.server.address() as AddressInfo).port };
}

interface Call {
  readonly as?: ConnectionOptions;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: 'ListTasks' | 'SendMessage';
  /** Left out: a connection of its own. */
  readonly agent?: Agent;
}

async function call(port: number, { as = {}, headers = {}, method = 'ListTasks', agent }: Call) {
  const { body, headers: own } = rawCall(method);
  const outgoing = request({
    host: '127.0.0.1',
    port,
    path: '/a2a/jsonrpc',
    method: 'POST',
    headers: { ...own, ...headers, 'content-length': Buffer.byteLength(body) },
    ca,
    agent: agent ?? false,
    ...as,
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream & { statusCode: number }];
  await text(response);
  return response.statusCode;
}

function client(options: ConstructorParameters<typeof Agent>[0] = {}): Agent {
  const agent = new Agent({ keepAlive: true, ...options });
  clients.push(agent);
  return agent;
}

const patience = { timeout: 15_000, interval: 50 };

describe('a certificate alone', () => {
  it('names its caller', async () => {
    const { port, callers } = await start({}, ['certificate']);
    expect(await call(port, { as: ada, method: 'SendMessage' })).toBe(200);
    expect(callers()).toEqual({ certificate: 'ada' });
  });

  it('that is required and missing fails the handshake, and the agent decides nothing', async () => {
    const { port, decisions } = await start({}, ['certificate']);
    await expect(call(port, {})).rejects.toThrow(/alert certificate required/);
    expect(decisions).toEqual([]);
  });

  it('that is optional and missing is one missing credential', async () => {
    const { port, decisions } = await start({ clientCertificate: 'optional' }, ['certificate']);
    expect(await call(port, {})).toBe(401);
    expect(decisions).toMatchObject([{ reason: 'missing_credential' }]);
  });
});

describe('a certificate or an API key', () => {
  it.each<[string, () => Call, Record<string, string>]>([
    ['the certificate', () => ({ as: ada }), { certificate: 'ada' }],
    ['the key', () => ({ headers: partner }), { key: expect.any(String) as string }],
  ])('lets a caller in with %s', async (_what, how, expected) => {
    const { port, callers } = await start({ clientCertificate: 'optional' }, ['certificate'], ['key']);
    expect(await call(port, { ...how(), method: 'SendMessage' })).toBe(200);
    expect(callers()).toEqual(expected);
  });
});

describe('a certificate and an API key', () => {
  const startBoth = () => start({ clientCertificate: 'optional' }, ['certificate', 'key']);

  it('lets a caller in with both, under both names', async () => {
    const { port, callers } = await startBoth();
    expect(await call(port, { as: ada, headers: partner, method: 'SendMessage' })).toBe(200);
    expect(callers()).toEqual({ certificate: 'ada', key: expect.any(String) as string });
  });

  it('refuses the certificate alone, but knows whose it is', async () => {
    const { port, decisions } = await startBoth();
    expect(await call(port, { as: ada })).toBe(401);
    expect(decisions).toMatchObject([
      {
        reason: 'missing_credential',
        schemes: [
          {
            schemeId: 'certificate',
            outcome: 'verified',
            principalId: expect.stringContaining('ada') as string,
          },
          { schemeId: 'key', outcome: 'absent' },
        ],
      },
    ]);
  });

  it.each<[string, () => Call, string]>([
    ['the key alone', () => ({ headers: partner }), 'missing_credential'],
    ['a wrong key', () => ({ as: ada, headers: { 'x-api-key': 'wrong' } }), 'invalid_credential'],
  ])('refuses %s', async (_what, how, reason) => {
    const { port, decisions } = await startBoth();
    expect(await call(port, how())).toBe(401);
    expect(decisions).toMatchObject([{ reason }]);
  });
});

describe('a certificate and a token that is bound to it', () => {
  const startBoth = () => start({ clientCertificate: 'optional' }, ['certificate', 'token']);

  async function tokenFor({ cert }: ConnectionOptions) {
    const thumbprint = createHash('sha256')
      .update(new X509Certificate(String(cert)).raw)
      .digest('base64url');
    const token = await new SignJWT({ cnf: { 'x5t#S256': thumbprint } })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject('a user')
      .setExpirationTime('1m')
      .sign(secret);
    return { authorization: `Bearer ${token}` };
  }

  it('lets a caller in with both', async () => {
    const { port, callers } = await startBoth();
    expect(await call(port, { as: ada, headers: await tokenFor(ada), method: 'SendMessage' })).toBe(200);
    expect(callers()).toEqual({ certificate: 'ada', token: 'a user' });
  });

  it.each<[string, () => ConnectionOptions]>([
    ['a trusted certificate that it is not bound to', () => bob],
    ['no certificate', () => ({})],
  ])('refuses the token with %s', async (_what, as) => {
    const { port } = await startBoth();
    const headers = await tokenFor(ada);
    expect(await call(port, { as: as(), headers })).toBe(401);
    expect(await call(port, { as: ada, headers })).toBe(200);
  });
});

describe('a certificate whose trust ends', () => {
  const trustOf = async () => {
    for (const [name, { cert }] of Object.entries({ ada, bob }))
      await writeFile(join(scratch, `${name}.pem`), String(cert));
    return { folder: scratch };
  };

  it('is refused on the connection that it has, which stays for other credentials', async () => {
    const { port } = await start(
      { clientCertificate: 'optional', trust: await trustOf() },
      ['certificate'],
      ['key'],
    );
    const agent = client();
    expect(await call(port, { as: ada, agent })).toBe(200);
    await rm(join(scratch, 'ada.pem'));
    await vi.waitUntil(async () => (await call(port, { as: ada, agent })) === 401, patience);
    expect(await call(port, { as: ada, agent, headers: partner })).toBe(200);
    expect(await call(port, { as: bob })).toBe(200);
  });

  it('is let in when it is back', async () => {
    const { port } = await start({ clientCertificate: 'optional', trust: await trustOf() }, ['certificate']);
    await rm(join(scratch, 'ada.pem'));
    await vi.waitUntil(async () => (await call(port, { as: ada })) === 401, patience);
    await trustOf();
    await vi.waitUntil(async () => (await call(port, { as: ada })) === 200, patience);
  });
});

describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])(
  'a session that an HTTPS server of Node resumes, over %s',
  (version) => {
    /** As one would write it without `serveMutualTls`: nothing notices that the trust has changed. */
    async function startPlain(folder: string) {
      const agent = createApp({ folder }, ['certificate']);
      const server = createServer({
        cert: await readFile(pki.server.certificate),
        key: await readFile(pki.server.key),
        ca,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: version,
        maxVersion: version,
      });
      plain.push(server);
      const resumed: boolean[] = [];
      server.on('secureConnection', (socket: TLSSocket) => resumed.push(socket.isSessionReused()));
      server.on('request', agent.app);
      await once(server.listen(0, '127.0.0.1'), 'listening');
      return { ...agent, resumed, port: (server.address() as AddressInfo).port };
    }

    /** An agent of Node keeps sessions by the options of a request: here each has the same name. */
    const forgetful = () => {
      const agent = client({ keepAlive: false });
      Object.assign(agent, { getName: () => 'the same' });
      return agent;
    };

    it('is that of the certificate it began with', async () => {
      const { port, callers, resumed } = await startPlain(pki.knownClients);
      const agent = forgetful();
      for (const as of [ada, bob, {}]) {
        expect(await call(port, { as, agent, method: 'SendMessage' })).toBe(200);
        expect(callers()).toEqual({ certificate: 'ada' });
      }
      expect(resumed).toEqual([false, true, true]);
    });

    it('does not outlive the trust', async () => {
      const file = join(scratch, 'authority.pem');
      await writeFile(file, ca);
      const { port, resumed } = await startPlain(scratch);
      const agent = forgetful();
      expect(await call(port, { as: ada, agent })).toBe(200);
      expect(await call(port, { as: ada, agent })).toBe(200);
      await rm(file);
      await vi.waitUntil(async () => (await call(port, { as: ada, agent })) === 401, patience);
      expect(resumed.slice(1)).not.toContain(false);
    });

    it('without a certificate is nobody, though Node calls it authorized', async () => {
      const { port, resumed } = await startPlain(pki.knownClients);
      const agent = forgetful();
      for (const as of [{}, {}, ada]) expect(await call(port, { as, agent })).toBe(401);
      expect(resumed).toEqual([false, true, true]);
    });
  },
);

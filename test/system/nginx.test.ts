import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

import {
  AgentSecurity,
  createDevelopmentPki,
  httpBearer,
  jwt,
  mutualTls,
  nginxClientCertificate,
  principalOf,
  type CertificateFiles,
  type DecisionEvent,
  type DevelopmentPki,
  type SecurityScheme,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import express from 'express';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { bearer, listTasks, sendMessage } from '../support/oauth/agent.js';
import type { Identity } from '../support/oauth/certificates.js';
import { httpsFetch } from '../support/oauth/https-fetch.js';
import { freePorts } from '../support/program.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen } from '../support/server.js';
import { findProgram } from './programs.js';

/** From where nginx calls the agent. Whoever calls it directly comes from 127.0.0.1. */
const PROXY = '127.0.0.2';

const ISSUER = 'https://issuer.example';
const secret = randomBytes(32);

closeServersAfterTests();
muteConsole();

let pki: DevelopmentPki;
let foreign: DevelopmentPki;
let ca: string;
let ada: Identity;
let bob: Identity;
let stranger: Identity;
let nginx: ChildProcess;
/** Where nginx lets every certificate through, and where it verifies. */
let lenientUrl: string;
let strictUrl: string;
let agentUrl: string;

const agents: ReturnType<typeof createAgent>[] = [];
const decisions: DecisionEvent[] = [];

async function identity({ certificate, key }: CertificateFiles): Promise<Identity> {
  const cert = await readFile(certificate, 'utf8');
  const thumbprint = createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');
  return { cert, key: await readFile(key, 'utf8'), thumbprint };
}

/** An agent under a path of its own, which asks for this scheme. */
function mount(app: express.Express, path: string, url: string, scheme: SecurityScheme): void {
  const security = new AgentSecurity({
    forwardedCertificate: { from: [PROXY], format: nginxClientCertificate() },
    onDecision: (event) => decisions.push(event),
  })
    .addSecurityScheme('it', scheme)
    .addSecurityRequirement({ it: [] });
  const agent = createAgent(agentCard(`${url}${path}`));
  agents.push(agent);
  app.use(path, agentRouter({ security, requestHandler: agent.requestHandler }));
}

function configuration(agentPort: number, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(pki.folder, 'nginx', name)};`)
    .join('\n');
  const server = (own: number, verification: string, header = '') => `
    server {
      listen 127.0.0.1:${own} ssl;
      ssl_certificate ${pki.server.certificate};
      ssl_certificate_key ${pki.server.key};
      location / {
        proxy_pass http://127.0.0.1:${agentPort};
        proxy_bind ${PROXY};
        proxy_set_header ssl-client-cert $ssl_client_escaped_cert;
        ${header}
      }
      ${verification}
    }`;
  return `
    daemon off;
    master_process off;
    pid ${join(pki.folder, 'nginx', 'pid')};
    error_log stderr;
    events {}
    http {
      access_log off;
      ${temporary}
      ${server(port, 'ssl_verify_client optional_no_ca;')}
      ${server(
        port + 1,
        `ssl_verify_client on; ssl_client_certificate ${pki.ca};`,
        'proxy_set_header ssl-client-verify $ssl_client_verify;',
      )}
    }`;
}

async function startNginx(agentPort: number): Promise<number> {
  const port = await freePorts();
  const folder = join(pki.folder, 'nginx');
  await mkdir(folder);
  const file = join(folder, 'nginx.conf');
  await writeFile(file, configuration(agentPort, port));
  nginx = spawn(findProgram('nginx') ?? 'nginx', ['-p', folder, '-e', 'stderr', '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  nginx.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text));
  await vi.waitUntil(
    () => {
      if (nginx.exitCode !== null) throw new Error(`nginx ended with ${nginx.exitCode}:\n${output}`);
      return isListening(port + 1);
    },
    { timeout: 15_000 },
  );
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

beforeAll(async () => {
  pki = await createDevelopmentPki();
  foreign = await createDevelopmentPki();
  ca = await readFile(pki.ca, 'utf8');
  ada = await identity(await pki.issueClient('ada'));
  bob = await identity(await pki.issueClient('bob'));
  stranger = await identity(await foreign.issueClient('stranger'));

  const { url, port, serve } = await listen('file');
  const app = express();
  mount(app, '/mtls', url, mutualTls({ trust: { folder: pki.knownClients } }));
  mount(app, '/token', url, httpBearer({ verifier: jwt({ secret, issuer: ISSUER, audience: 'the agent' }) }));
  serve(app);

  agentUrl = url;
  const nginxPort = await startNginx(port);
  lenientUrl = `https://127.0.0.1:${nginxPort}`;
  strictUrl = `https://127.0.0.1:${nginxPort + 1}`;
});
afterAll(async () => {
  nginx.kill('SIGQUIT');
  if (nginx.exitCode === null) await once(nginx, 'exit');
  for (const { folder } of [pki, foreign]) await rm(folder, { recursive: true });
});
beforeEach(() => {
  decisions.length = 0;
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
});

const mtls = (url: string) => ({ jsonRpcUrl: `${url}/mtls/a2a/jsonrpc` });
const token = (url: string) => ({ jsonRpcUrl: `${url}/token/a2a/jsonrpc` });
const as = (client?: Identity) => httpsFetch(ca, client);
const forged = ({ cert }: Identity) => ({ 'ssl-client-cert': encodeURIComponent(cert) });

/** Who the executor was called by last. */
function caller(position: number) {
  const call = agents[position]?.executor.calls.at(-1);
  if (call === undefined) throw new Error('The executor was not called.');
  return principalOf(call);
}

describe.each([
  ['leaves the judgement to the agent (optional_no_ca)', () => lenientUrl],
  ['verifies as well (on)', () => strictUrl],
])('behind an nginx that %s', (_name, urlOf) => {
  it('a caller with a trusted certificate is let in under its name', async () => {
    expect((await sendMessage(mtls(urlOf()), {}, as(ada))).status).toBe(200);
    expect(caller(0)).toMatchObject({ subject: 'ada', schemeId: 'it' });
    expect(decisions).toMatchObject([{ granted: true, warnings: [] }]);
  });

  it("a caller who writes somebody else's certificate into the header is still itself", async () => {
    await sendMessage(mtls(urlOf()), forged(ada), as(bob));
    expect(caller(0)).toMatchObject({ subject: 'bob' });
  });

  it('the executor sees no certificate in the headers', async () => {
    await sendMessage(mtls(urlOf()), {}, as(ada));
    expect(JSON.stringify(agents[0]?.executor.calls.at(-1)?.context)).not.toContain('BEGIN%20CERTIFICATE');
  });
});

describe('behind an nginx that leaves the judgement to the agent', () => {
  it('a caller without a certificate is told that one is missing', async () => {
    const answer = await listTasks(mtls(lenientUrl), {}, as());
    expect(answer.status).toBe(401);
    expect(decisions).toMatchObject([{ reason: 'missing_credential', warnings: [] }]);
  });

  it('a caller without a certificate cannot write one into the header', async () => {
    const answer = await listTasks(mtls(lenientUrl), forged(ada), as());
    expect(answer.status).toBe(401);
    expect(decisions).toMatchObject([{ reason: 'missing_credential' }]);
  });

  it('a caller with a certificate of an unknown authority is refused by the agent', async () => {
    const answer = await listTasks(mtls(lenientUrl), {}, as(stranger));
    expect(answer.status).toBe(401);
    expect(decisions).toMatchObject([{ reason: 'invalid_credential' }]);
  });
});

describe('behind an nginx that verifies as well', () => {
  it.each([
    ['without a certificate', () => undefined],
    ['with one of an unknown authority', () => stranger],
  ])('a caller %s never reaches the agent', async (_what, client) => {
    const response = await as(client())(mtls(strictUrl).jsonRpcUrl, { method: 'POST', body: '{}' });
    expect(response.status).toBe(400);
    expect(decisions).toEqual([]);
  });
});

describe('past nginx', () => {
  it('the header is ignored, and who sent it is told', async () => {
    const answer = await listTasks(mtls(agentUrl), forged(ada));
    expect(answer.status).toBe(401);
    expect(decisions).toMatchObject([
      {
        reason: 'missing_credential',
        warnings: [expect.stringMatching(/"ssl-client-cert" of .*127\.0\.0\.1 was ignored/)],
      },
    ]);
  });
});

describe('a token that is bound to a certificate', () => {
  const boundTo = ({ thumbprint }: Identity) =>
    new SignJWT({ cnf: { 'x5t#S256': thumbprint } })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience('the agent')
      .setSubject('token of ada')
      .setExpirationTime('1m')
      .sign(secret);

  it('is accepted with it through nginx', async () => {
    const headers = bearer(await boundTo(ada));
    expect((await sendMessage(token(lenientUrl), headers, as(ada))).status).toBe(200);
    expect(caller(1)).toMatchObject({ subject: 'token of ada' });
    expect((await listTasks(token(strictUrl), headers, as(ada))).status).toBe(200);
  });

  it.each<[string, () => Identity | undefined, () => Readonly<Record<string, string>>]>([
    ['with another certificate', () => bob, () => ({})],
    ['with another certificate, and the right one in the header', () => bob, () => forged(ada)],
    ['without a certificate, and with the right one in the header', () => undefined, () => forged(ada)],
  ])('is refused %s', async (_what, client, extra) => {
    const headers = { ...bearer(await boundTo(ada)), ...extra() };
    expect((await listTasks(token(lenientUrl), headers, as(client()))).status).toBe(401);
  });

  it('is refused past nginx, with the right certificate in the header', async () => {
    const headers = { ...bearer(await boundTo(ada)), ...forged(ada) };
    expect((await listTasks(token(agentUrl), headers)).status).toBe(401);
  });
});

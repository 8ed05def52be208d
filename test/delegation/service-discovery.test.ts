import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { bearer, connect, ServiceDiscovery, type ServiceDiscoveryOptions } from '@a2a-auth/client';
import {
  AgentSecurity,
  certificateTrust,
  createDevelopmentPki,
  httpBearer,
  serveMutualTls,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import express from 'express';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { writeTlsFiles } from '../support/client-certificates.js';
import { sendForTask } from '../support/client.js';
import { certificateAuthority, type ServerIdentity } from '../support/oauth/certificates.js';
import { closeServersAfterTests, listen } from '../support/oauth/servers.js';

closeServersAfterTests();

/** A server that answers each request with a card, and counts them. */
async function cardServer(name = 'card', identity?: ServerIdentity) {
  const { url, serve } = await listen(identity, false);
  const asked: string[] = [];
  const listener: RequestListener = (request, response) => {
    asked.push(request.url ?? '');
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ name }));
  };
  serve(listener);
  return { url, asked };
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'known-servers-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const nameOf = async (discovery: ServiceDiscovery, service: string | URL) =>
  (await discovery.resolve(service)).card.name;

describe('a URL', () => {
  it('that leads to the loopback is refused, unless it is named', async () => {
    const { url, asked } = await cardServer();
    await expect(new ServiceDiscovery().resolve(url)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    const aliased = new ServiceDiscovery({ aliases: { other: { url: 'http://127.0.0.1:1' } } });
    await expect(aliased.resolve(url)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(asked).toEqual([]);
    expect(await nameOf(new ServiceDiscovery({ origins: [url] }), url)).toBe('card');
    expect(asked).toEqual(['/.well-known/agent-card.json']);
  });

  it('is not answered by the card that an alias has there', async () => {
    const { url } = await cardServer();
    const discovery = new ServiceDiscovery({ aliases: { near: { url } } });
    expect(await nameOf(discovery, 'near')).toBe('card');
    await expect(discovery.resolve(url)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
  });

  it.each([
    'http://169.254.169.254',
    'https://10.0.0.1',
    'http://agent.example',
    'https://a:b@agent.example',
    'ftp://x',
  ])('%s is refused', async (url) => {
    await expect(new ServiceDiscovery().resolve(url)).rejects.toMatchObject({
      code: expect.stringMatching(/ADDRESS_REFUSED|INVALID_OPTION/) as string,
    });
  });

  it('may be that of the card itself, or an object', async () => {
    const { url, asked } = await cardServer();
    const discovery = new ServiceDiscovery({ origins: [url] });
    await discovery.resolve(`${url}/agents/one.json`);
    await discovery.resolve(new URL('/agents/two.json', url));
    expect(asked).toEqual(['/agents/one.json', '/agents/two.json']);
  });

  it('is fetched once for all who ask', async () => {
    const { url, asked } = await cardServer();
    const discovery = new ServiceDiscovery({ origins: [url] });
    await Promise.all(Array.from({ length: 50 }, () => discovery.resolve(url)));
    expect(asked).toHaveLength(1);
  });

  it('that redirects is not followed', async () => {
    const target = await cardServer();
    const { url, serve } = await listen();
    serve((_request, response) => response.writeHead(302, { location: target.url }).end());
    await expect(new ServiceDiscovery({ origins: [url] }).resolve(url)).rejects.toMatchObject({
      code: 'CARD_UNAVAILABLE',
    });
    expect(target.asked).toEqual([]);
  });
});

it('the fetch of an agent follows no redirect, and takes a Request', async () => {
  const target = await cardServer();
  const { url, serve } = await listen();
  const bodies: string[] = [];
  serve((request, response) => {
    if (request.method === 'GET') response.end('{}');
    else {
      void text(request).then((body) => {
        bodies.push(`${String(request.headers['x-own'])} ${body}`);
        response.writeHead(307, { location: target.url }).end();
      });
    }
  });
  const found = await new ServiceDiscovery({ origins: [url] }).resolve(url);
  const init = { method: 'POST', body: 'hello', headers: { 'x-own': 'yes' } };
  expect((await found.fetch(url, { ...init, redirect: 'follow' })).status).toBe(307);
  expect((await found.fetch(new Request(url, init))).status).toBe(307);
  expect(bodies).toEqual(['yes hello', 'yes hello']);
  expect(target.asked).toEqual([]);
});

describe('an alias', () => {
  const authority = certificateAuthority();
  const stranger = certificateAuthority();
  let secure: Awaited<ReturnType<typeof cardServer>>;
  beforeAll(async () => {
    secure = await cardServer('secure card', authority.server());
  });

  it('leads where it was set to', async () => {
    const { url } = await cardServer('billing');
    const discovery = new ServiceDiscovery({ aliases: { billing: { url } } });
    expect(await discovery.resolve('billing')).toMatchObject({ url, card: { name: 'billing' } });
  });

  it('has its server checked against its own authority', async () => {
    const folder = await temporaryFolder();
    const [right, wrong] = [join(folder, 'right.pem'), join(folder, 'wrong.pem')];
    await writeFile(right, authority.ca);
    await writeFile(wrong, stranger.ca);
    const { url } = secure;
    const aliases = { right: { url, ca: right }, wrong: { url, ca: wrong }, none: { url } };
    const discovery = new ServiceDiscovery({ aliases });
    expect(await nameOf(discovery, 'right')).toBe('secure card');
    for (const name of ['wrong', 'none']) {
      await expect(discovery.resolve(name)).rejects.toMatchObject({ code: 'CARD_UNAVAILABLE' });
    }
  });

  it('gives a fetch with which the agent can be called', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'ca.pem'), authority.ca);
    const { url, serve } = await listen(authority.server(), false);
    const security = new AgentSecurity<string>()
      .addSecurityScheme(
        'token',
        httpBearer({ validator: (token) => (token === 'good' ? { principal: 'ada' } : undefined) }),
      )
      .addSecurityRequirement({ token: [] });
    const { requestHandler, executor } = createAgent(agentCard(url));
    serve(express().use(agentRouter({ security, requestHandler })));
    const discovery = new ServiceDiscovery({ aliases: { agent: { url, ca: join(folder, 'ca.pem') } } });
    const found = await discovery.resolve('agent');
    await sendForTask(
      await connect(found.url, { credentials: [bearer('good')], fetch: found.fetch }),
      'hello',
    );
    expect(executor.calls).toHaveLength(1);
  });

  it('may be a file in a folder, with its authority beside it', async () => {
    const folder = await temporaryFolder();
    const discovery = new ServiceDiscovery({ aliasFolder: folder });
    await expect(discovery.resolve('partner')).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await writeFile(join(folder, 'partner.json'), JSON.stringify({ url: secure.url }));
    await expect(discovery.resolve('partner')).rejects.toMatchObject({ code: 'CARD_UNAVAILABLE' });
    await writeFile(join(folder, 'partner.pem'), authority.ca);
    expect(await nameOf(discovery, 'partner')).toBe('secure card');
  });

  it('in a folder may name its authority', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'partner.json'), JSON.stringify({ url: secure.url, ca: 'our-ca.crt' }));
    await writeFile(join(folder, 'our-ca.crt'), authority.ca);
    expect(await nameOf(new ServiceDiscovery({ aliasFolder: folder }), 'partner')).toBe('secure card');
  });

  it.each(['../secret', 'a/b', '..', '.hidden', 'a\\b', '', 'a\0b', 'x'.repeat(65), 'toString', '__proto__'])(
    'is none when it is named %j',
    async (name) => {
      const folder = await temporaryFolder();
      await writeFile(join(folder, '..', 'secret.json'), JSON.stringify({ url: secure.url }));
      onTestFinished(() => rm(join(folder, '..', 'secret.json'), { force: true }));
      const discovery = new ServiceDiscovery({
        aliasFolder: folder,
        aliases: { known: { url: secure.url } },
      });
      await expect(discovery.resolve(name)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    },
  );

  it.each([
    ['no JSON', 'no json'],
    ['no URL', '{}'],
    ['a null', 'null'],
    ['plain http', '{"url":"http://agent.example"}'],
    ['a CA that is not there', '{"url":"https://agent.example","ca":"missing.pem"}'],
    ['a CA that is none', '{"url":"https://agent.example","ca":"partner.json"}'],
  ])('whose file has %s is refused', async (_, text) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'partner.json'), text);
    await expect(new ServiceDiscovery({ aliasFolder: folder }).resolve('partner')).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });
});

describe('with a client certificate', () => {
  it('it is shown to the servers of aliases with an authority, and to no others', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pki-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const pki = await createDevelopmentPki({ folder, clients: ['caller'], alias: 'billing' });
    const app = express().use((_req, res) => {
      res.json({ name: 'billing' });
    });
    const trust = certificateTrust({ folder: pki.knownClients });
    const running = await serveMutualTls(app, { ...pki.server, trust, port: 0 });
    onTestFinished(async () => {
      running.server.closeAllConnections();
      await once(running.server.close(), 'close');
    });
    const url = `https://localhost:${String((running.server.address() as AddressInfo).port)}`;
    const { certificate = '', key = '' } = pki.clients.caller ?? {};
    await writeFile(join(pki.knownServers, 'billing.json'), JSON.stringify({ url }));

    const without = new ServiceDiscovery({ aliasFolder: pki.knownServers });
    await expect(without.resolve('billing')).rejects.toMatchObject({ code: 'CARD_UNAVAILABLE' });
    const tls = { certificate, key };
    const discovery = new ServiceDiscovery({ aliasFolder: pki.knownServers, tls });
    expect(await nameOf(discovery, 'billing')).toBe('billing');
  });

  it('a URL does not get to see it', async () => {
    const authority = certificateAuthority();
    const folder = await temporaryFolder();
    const { certificate, key } = await writeTlsFiles(folder, authority.ca, authority.client('caller'));
    const server = createServer({ ...authority.server(), requestCert: true, rejectUnauthorized: false });
    const shown: boolean[] = [];
    server.on('secureConnection', (socket) => shown.push(socket.getPeerX509Certificate() !== undefined));
    server.on('tlsClientError', () => shown.push(false));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    });
    const url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const discovery = new ServiceDiscovery({ tls: { certificate, key }, origins: [url] });
    await expect(discovery.resolve(url)).rejects.toMatchObject({ code: 'CARD_UNAVAILABLE' });
    expect(shown).not.toContain(true);
  });
});

describe('options are checked', () => {
  it.each<[string, object]>([
    ['maxCards', { maxCards: 0 }],
    ['origins', { origins: ['https://agent.example/path'] }],
    ['origins', { origins: 'https://agent.example' }],
    ['aliasFolder', { aliasFolder: '' }],
    ['tls', { tls: { certificate: 'c.pem' } }],
    ['"a/b"', { aliases: { 'a/b': { url: 'https://agent.example' } } }],
    ['"a"', { aliases: { a: 'https://agent.example' } }],
    ['"a"', { aliases: { a: { url: 'https://agent.example', ca: '' } } }],
    ['url', { aliases: { a: { url: 'http://agent.example' } } }],
  ])('%s', (name, options) => {
    expect(() => new ServiceDiscovery(options as ServiceDiscoveryOptions)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining(name) as string,
      }) as Error,
    );
  });
});

import {
  authenticationHandler,
  bearer,
  clientCredentials,
  connect,
  DeviceFlowClient,
} from '@a2a-auth/client';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';

import { certificateAuthority } from '../../../test/support/oauth/certificates.js';
import { bearerScheme, cardJson } from './support/card.js';

async function portOf(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
  });
  return String((server.address() as AddressInfo).port);
}

it('an agent that is not there is told from others', async () => {
  const server = createServer();
  const port = await portOf(server);
  await once(server.close(), 'close');
  await expect(connect(`http://127.0.0.1:${port}`, { credentials: [] })).rejects.toMatchObject({
    code: 'CARD_UNAVAILABLE',
    message: expect.stringContaining('(ECONNREFUSED)') as string,
  });
});

it('an agent whose certificate nobody vouches for is told from others', async () => {
  const { key, cert } = certificateAuthority().server();
  const port = await portOf(createSecureServer({ key, cert }));
  await expect(connect(`https://127.0.0.1:${port}`, { credentials: [] })).rejects.toMatchObject({
    code: 'CARD_UNAVAILABLE',
    message: expect.stringMatching(/\((UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)[A-Z_]*\)/) as string,
  });
});

it.each([
  ['nothing', 404, ''],
  ['a page', 200, '<html></html>'],
])('an agent below a path, where there is %s, is told where cards are', async (_what, status, body) => {
  const port = await portOf(createServer((_request, response) => response.writeHead(status).end(body)));
  const url = `http://127.0.0.1:${port}/agents/one`;
  await expect(connect(url, { credentials: [] })).rejects.toThrow(`${url}/.well-known/agent-card.json`);
});

const wellKnown = '/.well-known/agent-card.json';

it.each<[string, string, (origin: string) => string]>([
  [
    'the URL of an endpoint',
    '/a2a/jsonrpc',
    (origin) => ` HTTP 404. .+ usually ${origin}${wellKnown}, or ${origin}/a2a/jsonrpc${wellKnown}\\.`,
  ],
  ['an old path', '/.well-known/agent.json', (origin) => ` HTTP 404. .+ usually ${origin}${wellKnown}\\.`],
  ['the well-known path', wellKnown, () => ' HTTP 404\\.'],
  ['the well-known path below another', `/agents/one${wellKnown}`, () => ' HTTP 404\\.'],
])('where cards are is told to who finds none at %s', async (_what, path, told) => {
  const port = await portOf(createServer((_request, response) => response.writeHead(404).end()));
  const origin = `http://127.0.0.1:${port}`;
  await expect(connect(`${origin}${path}`, { credentials: [] })).rejects.toMatchObject({
    code: 'CARD_UNAVAILABLE',
    message: expect.stringMatching(new RegExp(`${told(origin)}$`)) as string,
  });
});

it.each([
  ['scopes', { scopes: 'a b' }],
  ['scopes', { scopes: ['a b'] }],
  ['tokenUrl', { tokenUrl: '/token' }],
  ['clientId', { clientId: '' }],
])('DeviceFlowClient says that %s cannot be meant: %j', (name, options) => {
  const all = {
    deviceAuthorizationUrl: 'https://login.example/device',
    tokenUrl: 'https://login.example/token',
    clientId: 'c',
    ...options,
  };
  let error: unknown;
  try {
    new DeviceFlowClient(all as never);
  } catch (caught) {
    error = caught;
  }
  expect(error).toMatchObject({
    code: 'INVALID_OPTION',
    message: expect.stringContaining(name) as string,
  });
});

it('authenticationHandler says that its endpoint is none', () => {
  const card = cardJson({ token: bearerScheme }, [{ token: [] }]);
  const options = { url: 'https://agent.example', card, credentials: [bearer('t')] };
  expect(() => authenticationHandler({ ...options, endpoint: '/rpc' })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }) as Error,
  );
});

it('a source says that an issuer is to be a text', () => {
  const issuer = new URL('https://login.example') as unknown as string;
  expect(() => clientCredentials({ issuer, clientId: 'c', clientSecret: 's' })).toThrow(/as text/);
});

it('a source says that a secret has the line break of its file', () => {
  const options = { issuer: 'https://login.example', clientId: 'c', clientSecret: 'secret\n' };
  expect(() => clientCredentials(options)).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(/clientSecret has a line break/) as string,
    }) as Error,
  );
});

import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';

import { openLoopbackRedirect } from '../../src/oauth/loopback-redirect.js';

const state = 'S'.repeat(43);

/** A redirect that is waited for, and whether its answer has come. */
async function waiting() {
  const redirect = await openLoopbackRedirect(state, {});
  let isAnswered = false;
  void redirect.answer.then(() => (isAnswered = true));
  onTestFinished(() => redirect.close());
  const good = new URL(redirect.redirectUri);
  good.search = `state=${state}&code=x`;
  return { good, host: good.host, answer: redirect.answer, isAnswered: () => isAnswered };
}

/** Sends bytes as they are; gives the first line that comes back, or nothing when the connection is closed at once. */
function sendRaw(host: string, bytes: string): Promise<string> {
  const [, port = ''] = host.split(':');
  const socket = connect(Number(port), '127.0.0.1');
  let received = '';
  socket.on('data', (data) => (received += data.toString()));
  // It may be closed while the rest is being sent.
  socket.on('error', () => undefined);
  socket.write(bytes);
  return new Promise((resolve) => {
    socket.on('close', () => {
      resolve(received.split('\r\n')[0] ?? '');
    });
  });
}

describe('what is no answer of the browser is turned away', () => {
  const target = `/callback?state=${state}&code=evil`;
  it.each<[string, (host: string) => string]>([
    ['an absolute target elsewhere', (host) => `GET http://evil.example${target} HTTP/1.1\r\nHost: ${host}`],
    ['a target with a host', (host) => `GET //evil.example${target} HTTP/1.1\r\nHost: ${host}`],
    ['another host', () => `GET ${target} HTTP/1.1\r\nHost: evil.example`],
    ['a host that ends with ours', (host) => `GET ${target} HTTP/1.1\r\nHost: evil.example@${host}`],
    ['two hosts, ours the second', (host) => `GET ${target} HTTP/1.1\r\nHost: evil.example\r\nHost: ${host}`],
    ['no host', () => `GET ${target} HTTP/1.0`],
    ['a preflight', (host) => `OPTIONS ${target} HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://evil.example`],
    ['a form', (host) => `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0`],
    ['a tunnel', (host) => `CONNECT ${host} HTTP/1.1\r\nHost: ${host}`],
    ['a target of 100 KB', (host) => `GET ${target}&x=${'x'.repeat(100_000)} HTTP/1.1\r\nHost: ${host}`],
    ['fields of 100 KB', (host) => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nX: ${'x'.repeat(100_000)}`],
    ['no HTTP', () => 'hello'],
    [
      'a state of other length',
      (host) => `GET ${target}S HTTP/1.1\r\nHost: ${host}`.replace('&code', 'S&code'),
    ],
    ['a state twice', (host) => `GET ${target}&state=${state} HTTP/1.1\r\nHost: ${host}`],
    ['a state as a fragment', (host) => `GET /callback#state=${state} HTTP/1.1\r\nHost: ${host}`],
  ])('%s', async (_name, request) => {
    const { good, host, answer, isAnswered } = await waiting();
    expect(await sendRaw(host, `${request(host)}\r\n\r\n`)).not.toMatch(/ 200 /);
    expect(isAnswered()).toBe(false);
    expect((await fetch(good)).status).toBe(200);
    expect((await answer).searchParams.get('code')).toBe('x');
  });
});

it('who holds many connections does not keep the browser out', async () => {
  const { good, answer } = await waiting();
  const sockets = Array.from({ length: 100 }, () => connect(Number(good.port), '127.0.0.1'));
  for (const socket of sockets) socket.on('error', () => undefined);
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  await expect.poll(() => sockets.every(({ connecting }) => !connecting)).toBe(true);
  expect((await fetch(good)).status).toBe(200);
  expect((await answer).searchParams.get('code')).toBe('x');
});

it('a second answer changes nothing', async () => {
  const { good, answer } = await waiting();
  expect((await fetch(good)).status).toBe(200);
  expect((await fetch(`${good.href}-evil`)).status).toBe(410);
  expect((await answer).searchParams.get('code')).toBe('x');
});

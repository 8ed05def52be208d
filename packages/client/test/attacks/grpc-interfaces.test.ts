import dns from 'node:dns';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import { apiKey, bearer, connect, type ClientPolicy } from '@a2a-auth/client';
import { authenticatingInterceptor, grpcTransport } from '@a2a-auth/client/grpc';
import { status } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { sendForTask } from '../../../../test/support/client.js';
import { closeGrpcAfterTests } from '../../../../test/support/grpc.js';
import { json, scriptedFetch } from '../support/agent.js';
import { bearerScheme, cardJson, headerKey } from '../support/card.js';
import { asTask, clientWith, scriptedGrpc, tokensOf, waitingTask } from '../support/grpc-agent.js';
import { countingSource } from '../support/source.js';

closeGrpcAfterTests();

const secret = 'S3CRET';
const grpcInterface = (url: string) => ({ url, protocolBinding: 'GRPC', protocolVersion: '1.0' });
const secured = cardJson({ token: bearerScheme }, [{ token: [] }]);
const open = cardJson({});
const done = {
  messages: [asTask(waitingTask('1.0', { status: { state: 3, message: undefined, timestamp: undefined } }))],
};

/** Connects to an agent at `url`, whose card has gRPC at `at`. */
function connectTo(
  url: string,
  at: string,
  { card = secured, policy }: { card?: object; policy?: ClientPolicy } = {},
) {
  const { fetch } = scriptedFetch(json({ ...card, supportedInterfaces: [grpcInterface(at)] }));
  return connect(url, { credentials: [bearer(secret)], transports: [grpcTransport()], fetch, policy });
}

/** Something that listens, and remembers what it is sent. */
async function startListener() {
  const heard: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      heard.push(data.toString('latin1'));
      socket.destroy();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
  });
  return { address: `127.0.0.1:${String((server.address() as AddressInfo).port)}`, heard };
}

const elsewhere = [
  'evil.example:443',
  'agent.example:50051',
  'agent.example.:443',
  'agent.example.evil.example',
  'http://agent.example:443',
  'https://agent.example@evil.example',
  'https://user:password@agent.example',
  'https://evil.example\\@agent.example',
  'sub.agent.example',
  'xn--gent-53d.example',
  'аgent.example',
  '127.0.0.1:443',
  'localhost:443',
  '169.254.169.254:80',
  '[::1]:443',
  '[fd00:ec2::254]:80',
  '0x7f.1:443',
  '2130706433:443',
  'unix:443',
];
const noAddress = [
  'dns:///agent.example:443',
  'dns://evil.example/agent.example:443',
  'ipv4:127.0.0.1:443',
  'unix:/run/docker.sock',
  'unix:///run/docker.sock',
  'agent.example@evil.example:443',
  'agent.example:443,evil.example:443',
  '',
];

describe.each([
  ['a token', secured],
  ['a call without credentials', open],
])('%s for https://agent.example does not go to', (_name, card) => {
  it.each(elsewhere)('%s', async (at) => {
    await expect(connectTo('https://agent.example', at, { card })).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
  });

  it.each(noAddress)('what is no address: %j', async (at) => {
    await expect(connectTo('https://agent.example', at, { card })).rejects.toMatchObject({
      code: 'CARD_INVALID',
    });
  });
});

describe('what is served without TLS', () => {
  it('hears nothing where the user named https', async () => {
    const { address, heard } = await startListener();
    const client = await connectTo(`https://${address}`, address);
    await expect(sendForTask(client, 'hello')).rejects.toMatchObject({ cause: { code: status.UNAVAILABLE } });
    expect(heard.join('')).not.toContain(secret);
    expect(heard.join('')).not.toContain('PRI * HTTP/2.0');
  });

  it('is refused where the card says http, and the user https', async () => {
    const { address } = await startListener();
    await expect(connectTo(`https://${address}`, `http://${address}`)).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
  });
});

describe('a proxy that the environment names', () => {
  it.each(['grpc_proxy', 'https_proxy', 'http_proxy'])(
    'as %s sees nothing of calls to the loopback',
    async (name) => {
      const agent = await scriptedGrpc([done]);
      const { address, heard } = await startListener();
      vi.stubEnv(name, `http://${address}`);
      vi.stubEnv('no_proxy', '');
      onTestFinished(() => {
        vi.unstubAllEnvs();
      });
      await sendForTask(await connectTo(`http://${agent.address}`, agent.address), 'hello');
      expect(heard).toEqual([]);
      expect(tokensOf(agent)).toEqual([secret]);
    },
  );
});

describe('the repetition of a refused call', () => {
  const refused = { code: status.UNAUTHENTICATED, trailers: { 'www-authenticate': 'Bearer' } };

  it("goes to the endpoint alone, wherever the client's channel leads", async () => {
    const [agent, other] = [await scriptedGrpc([refused, done]), await scriptedGrpc([done])];
    const { source } = countingSource();
    const interceptor = authenticatingInterceptor({
      url: `http://${agent.address}`,
      endpoint: agent.address,
      card: secured,
      credentials: [source],
    });
    await sendForTask(await clientWith(other.address, interceptor), 'hello');
    expect(tokensOf(agent)).toEqual(['token-1', 'token-2']);
    expect(other.seen).toEqual([]);
  });

  it('is one, however often the agent denies and whatever it asks for', async () => {
    const lacking = {
      code: status.PERMISSION_DENIED,
      trailers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="write"' },
    };
    for (const answers of [[refused], [refused, lacking, refused], [lacking, refused, done]]) {
      const agent = await scriptedGrpc(answers);
      const interceptor = authenticatingInterceptor({
        url: `http://${agent.address}`,
        endpoint: agent.address,
        card: secured,
        credentials: [
          {
            ...countingSource().source,
            credential: async () => ({ headers: { authorization: `Bearer ${Math.random()}` } }),
          },
        ],
        policy: { stepUpScopes: ['write'] },
      });
      const client = await clientWith(agent.address, interceptor);
      await expect(sendForTask(client, 'hello')).rejects.toThrow();
      expect(agent.seen).toHaveLength(2);
    }
  });

  it("is not multiplied by what the agent's DNS asks grpc-js for", async () => {
    const retryPolicy = {
      maxAttempts: 5,
      initialBackoff: '0.01s',
      maxBackoff: '0.01s',
      backoffMultiplier: 1,
      retryableStatusCodes: ['UNAUTHENTICATED'],
    };
    const serviceConfig = { methodConfig: [{ name: [{}], retryPolicy }] };
    vi.spyOn(dns.promises, 'resolveTxt').mockResolvedValue([
      [`grpc_config=${JSON.stringify([{ serviceConfig }])}`],
    ]);
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    const agent = await scriptedGrpc([refused]);
    const address = agent.address.replace('127.0.0.1', 'localhost');
    const { fetch } = scriptedFetch(json({ ...secured, supportedInterfaces: [grpcInterface(address)] }));
    const credentials = [countingSource().source];
    const client = await connect(`http://${address}`, { credentials, transports: [grpcTransport()], fetch });
    await expect(sendForTask(client, 'hello')).rejects.toThrow();
    expect(agent.seen).toHaveLength(2);
  });
});

it.each(['grpc-timeout', 'grpc-accept-encoding', 'key-bin', 'te', 'content-type', 'x!'])(
  'a card cannot have a key put into the metadata %s',
  async (name) => {
    const agent = await scriptedGrpc([done]);
    const url = `http://${agent.address}`;
    const card = cardJson({ key: headerKey(name) }, [{ key: [] }], {
      supportedInterfaces: [grpcInterface(agent.address)],
    });
    const { fetch } = scriptedFetch(json(card));
    await expect(
      connect(url, { credentials: [apiKey(secret)], transports: [grpcTransport()], fetch }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/CREDENTIAL_UNUSABLE|NO_ALTERNATIVE/) as string });
    expect(agent.seen).toEqual([]);
  },
);

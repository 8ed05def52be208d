import { X509Certificate } from 'node:crypto';
import diagnosticsChannel from 'node:diagnostics_channel';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { RequestListener, ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';

import {
  certificateTrust,
  createDevelopmentPki,
  REFUSED_CONNECTION_CHANNEL,
  serveMutualTls,
  VerifierUnavailable,
  type CertificateFiles,
  type CertificateTrust,
  type DevelopmentPki,
  type MutualTlsServer,
  type RefusedConnectionEvent,
  type ServeMutualTlsOptions,
} from '@a2a-auth/server';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { connectionCertificate } from '../../src/connection-certificate.js';

/** Of the agent, and of somebody it has never heard of. */
let pki: DevelopmentPki;
let foreign: DevelopmentPki;
let ada: ConnectionOptions;
let bob: ConnectionOptions;
let stranger: ConnectionOptions;
let ca: string;
let scratch: string;

const identity = async ({ certificate, key }: CertificateFiles): Promise<ConnectionOptions> => ({
  cert: await readFile(certificate, 'utf8'),
  key: await readFile(key, 'utf8'),
});

beforeAll(async () => {
  pki = await createDevelopmentPki();
  foreign = await createDevelopmentPki();
  ada = await identity(await pki.issueClient('ada'));
  bob = await identity(await pki.issueClient('bob'));
  stranger = await identity(await foreign.issueClient('stranger'));
  ca = await readFile(pki.ca, 'utf8');
});
afterAll(async () => {
  for (const { folder } of [pki, foreign]) await rm(folder, { recursive: true });
});

const servers: MutualTlsServer[] = [];
const clients: { destroy(): unknown }[] = [];
const warn = vi.spyOn(process, 'emitWarning');

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'a2a-serve-'));
  warn.mockReset().mockReturnValue(undefined);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await Promise.all(servers.splice(0).map((server) => server.close(0)));
  await rm(scratch, { recursive: true });
});

const nameOf = (der: Uint8Array | undefined) =>
  der === undefined ? 'nobody' : new X509Certificate(der).subject.replace('CN=', '');

/** Serves an application that answers with the name of its caller, and counts who reached it. */
async function serve(options: Partial<ServeMutualTlsOptions> = {}, answer?: RequestListener) {
  const reached: string[] = [];
  const running = await serveMutualTls(
    (req, res) => {
      reached.push(nameOf(connectionCertificate(req.socket)?.der));
      if (answer === undefined) res.end(reached.at(-1));
      else answer(req, res);
    },
    {
      certificate: pki.server.certificate,
      key: pki.server.key,
      trust: { folder: pki.knownClients },
      port: 0,
      host: '127.0.0.1',
      ...options,
    },
  );
  servers.push(running);
  const { port } = running.server.address() as AddressInfo;
  return { ...running, port, reached };
}

/** One request on a connection of its own, or on those of an agent. */
async function get(
  port: number,
  client: ConnectionOptions = {},
  agent: Agent | false = false,
): Promise<string> {
  const outgoing = request({ host: '127.0.0.1', port, ca, agent, ...client });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
  return text(response);
}

function keepAlive(): Agent {
  const agent = new Agent({ keepAlive: true, maxCachedSessions: 0 });
  clients.push(agent);
  return agent;
}

/** Asks until the answer is the one that is waited for. */
async function until<T>(ask: () => Promise<T> | T, isIt: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (isIt(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`It is still ${String(answer)}.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Resolves when a connection has ended, however it does. */
function closing(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('close', () => {
      resolve();
    });
  });
}

const orError = (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error);

/** The name that a server's own certificate has. */
async function serialOf(port: number): Promise<string | undefined> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...ada });
  await once(socket, 'secureConnect');
  const serial = socket.getPeerX509Certificate()?.serialNumber;
  socket.destroy();
  return serial;
}

const versions = ['TLSv1.2', 'TLSv1.3'] as const;

describe.each(versions)('with a client certificate that is required, over %s', (version) => {
  const only = { minVersion: version, maxVersion: version };
  const alert = version === 'TLSv1.3' ? /alert certificate required/ : /alert handshake failure/;

  it('a trusted client reaches the application', async () => {
    const { port } = await serve();
    expect(await get(port, { ...ada, ...only })).toBe('ada');
  });

  it('a client without one is told so by the handshake, and never reaches the application', async () => {
    const { port, reached } = await serve();
    await expect(get(port, only)).rejects.toThrow(alert);
    expect(reached).toEqual([]);
  });

  it('a client with one of an unknown authority is told so, and never reaches the application', async () => {
    const { port, reached } = await serve();
    await expect(get(port, { ...stranger, ...only })).rejects.toThrow();
    expect(reached).toEqual([]);
  });

  it('the certificate of a server is not one of a client', async () => {
    const { port, reached } = await serve();
    await expect(get(port, { ...(await identity(pki.server)), ...only })).rejects.toThrow();
    expect(reached).toEqual([]);
  });

  it('a certificate that is trusted as it is needs no authority', async () => {
    await writeFile(join(scratch, 'stranger.pem'), String(stranger.cert));
    const { port, reached } = await serve({ trust: { folder: scratch } });
    expect(await get(port, { ...stranger, ...only })).toBe('stranger');
    await expect(get(port, { ...ada, ...only })).rejects.toThrow();
    const other = await identity(await foreign.issueClient('other'));
    await expect(get(port, { ...other, ...only })).rejects.toThrow();
    expect(reached).toEqual(['stranger']);
  });

  it('a pinned certificate may have any authority, and all others are cut before the application', async () => {
    const { fingerprint256 } = new X509Certificate(String(stranger.cert));
    const { port, reached } = await serve({ trust: { fingerprints: [fingerprint256] } });
    expect(await get(port, { ...stranger, ...only })).toBe('stranger');
    await expect(get(port, { ...ada, ...only })).rejects.toThrow();
    await expect(get(port, only)).rejects.toThrow();
    expect(reached).toEqual(['stranger']);
  });

  it('what a client sends before it is judged is thrown away', async () => {
    const { fingerprint256 } = new X509Certificate(String(stranger.cert));
    const { port, reached } = await serve({ trust: { fingerprints: [fingerprint256] } });
    const socket = connect({ host: '127.0.0.1', port, ca, ...ada, ...only });
    clients.push(socket);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(10));
    socket.resume();
    await closing(socket);
    expect(reached).toEqual([]);
  });
});

it('a client who cannot be judged does not reach the application', async () => {
  const trust: CertificateTrust = {
    ...certificateTrust({ folder: pki.knownClients }),
    verify: () => Promise.reject(new VerifierUnavailable('A revocation list has ended.')),
  };
  const { port, reached } = await serve({ trust });
  await expect(get(port, ada)).rejects.toThrow();
  expect(reached).toEqual([]);
});

describe('with a client certificate that is optional', () => {
  it.each(versions)('everybody reaches the application, over %s', async (version) => {
    const { port, reached } = await serve({ clientCertificate: 'optional' });
    for (const client of [ada, stranger, {}])
      await get(port, { ...client, minVersion: version, maxVersion: version });
    expect(reached).toEqual(['ada', 'stranger', 'nobody']);
  });
});

describe('the TLS layer', () => {
  it('has no version below 1.2, also after the certificate was changed', async () => {
    const files = await copyOf(pki.server);
    const { port } = await serve(files);
    const old = {
      ...ada,
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    } as const;
    await expect(get(port, old)).rejects.toThrow(/version/);
    await replace(files, foreign.server);
    await until(
      () => serialOf(port),
      (serial) => serial === serialIn(foreign.server),
    );
    await expect(get(port, old)).rejects.toThrow(/version/);
  });

  it('is not renegotiated', async () => {
    const { port } = await serve();
    const socket = connect({ host: '127.0.0.1', port, ca, ...ada, maxVersion: 'TLSv1.2' });
    clients.push(socket);
    await once(socket, 'secureConnect');
    socket.renegotiate({ rejectUnauthorized: true }, () => undefined);
    await closing(socket);
  });

  it('gives up on a handshake that does not go on', async () => {
    const { server, port } = await serve({ handshakeTimeout: 100 });
    const socket = connectTcp({ host: '127.0.0.1', port });
    clients.push(socket);
    socket.resume();
    await closing(socket);
    await until(
      () => connectionsOf(server),
      (count) => count === 0,
    );
  });

  it('keeps nothing of a connection whose handshake failed', async () => {
    const { fingerprint256 } = new X509Certificate(String(stranger.cert));
    for (const options of [{}, { trust: { fingerprints: [fingerprint256] } }]) {
      const { server, port } = await serve(options);
      await Promise.allSettled(Array.from({ length: 10 }, () => get(port)));
      await until(
        () => connectionsOf(server),
        (count) => count === 0,
      );
    }
  });
});

function connectionsOf(server: MutualTlsServer['server']): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

/** A pair of files that may be written to. */
async function copyOf(files: CertificateFiles): Promise<CertificateFiles> {
  const copy = { certificate: join(scratch, 'server.pem'), key: join(scratch, 'server-key.pem') };
  await replace(copy, files);
  return copy;
}

async function replace(files: CertificateFiles, by: CertificateFiles): Promise<void> {
  await writeFile(files.key, await readFile(by.key));
  await writeFile(files.certificate, await readFile(by.certificate));
}

const serials = new Map<string, string>();
const serialIn = ({ certificate }: CertificateFiles) => serials.get(certificate);
beforeAll(async () => {
  for (const { certificate } of [pki.server, foreign.server]) {
    serials.set(certificate, new X509Certificate(await readFile(certificate)).serialNumber);
  }
});

/** What the process was warned of. */
const warnings = () => warn.mock.calls.map(([warning]) => String(warning));

describe('a certificate of the server that is changed on the disk', () => {
  it('is used for new connections, while those of before go on', async () => {
    const files = await copyOf(pki.server);
    const { port, server } = await serve(files);
    const agent = keepAlive();
    let connections = 0;
    server.on('secureConnection', () => connections++);
    await get(port, ada, agent);
    await replace(files, foreign.server);
    await until(
      () => serialOf(port),
      (serial) => serial === serialIn(foreign.server),
    );
    const before = connections;
    expect(await get(port, ada, agent)).toBe('ada');
    expect(connections).toBe(before);
  });

  it.each([
    [
      'its key is still the one of before',
      async (files: CertificateFiles) => {
        await writeFile(files.certificate, await readFile(foreign.server.certificate));
      },
      /is not that of the certificate/,
    ],
    ['it is empty for now', (files: CertificateFiles) => writeFile(files.certificate, ''), /is not in PEM/],
    [
      'it is half written',
      async (files: CertificateFiles) => {
        await writeFile(files.certificate, (await readFile(foreign.server.certificate)).subarray(0, 200));
      },
      /is not in PEM, or is not whole/,
    ],
    [
      'its key is half written',
      async (files: CertificateFiles) => {
        await writeFile(files.key, (await readFile(foreign.server.key)).subarray(0, 100));
      },
      /is not in PEM, or is not whole/,
    ],
    ['it is gone', (files: CertificateFiles) => rm(files.certificate), /cannot be read \(ENOENT\)/],
  ])('is not used while %s, which is told once, and is when it is whole', async (_when, change, told) => {
    const files = await copyOf(pki.server);
    const { port } = await serve(files);
    await change(files);
    await until(warnings, (all) => all.some((warning) => told.test(warning)));
    expect(await serialOf(port)).toBe(serialIn(pki.server));
    await replace(files, foreign.server);
    await until(
      () => serialOf(port),
      (serial) => serial === serialIn(foreign.server),
    );
    // Between the two writes of the mend it may have been seen half done again.
    expect(warnings().filter((warning) => told.test(warning)).length).toBe(1);
    const key = await readFile(foreign.server.key, 'utf8');
    for (const warning of warnings()) expect(key).not.toContain(warning.slice(-40));
  });
});

describe('a trust that is changed on the disk', () => {
  const fileOf = (name: string) => join(scratch, `${name}.pem`);

  it('lets somebody in who was added', async () => {
    await writeFile(fileOf('ada'), String(ada.cert));
    const { port } = await serve({ trust: { folder: scratch } });
    await expect(get(port, bob)).rejects.toThrow();
    await writeFile(fileOf('bob'), String(bob.cert));
    expect(
      await until(
        () => get(port, bob).catch(orError),
        (answer) => answer === 'bob',
      ),
    ).toBe('bob');
  });

  it('lets a certificate in that is accepted as it is, where there were only authorities before', async () => {
    await writeFile(fileOf('authority'), ca);
    const { port } = await serve({ trust: { folder: scratch } });
    await expect(get(port)).rejects.toThrow(/alert/);
    await writeFile(fileOf('stranger'), String(stranger.cert));
    expect(
      await until(
        () => get(port, stranger).catch(orError),
        (answer) => answer === 'stranger',
      ),
    ).toBe('stranger');
  });

  it('cuts the connection of somebody who was removed, and no other', async () => {
    await writeFile(fileOf('ada'), String(ada.cert));
    await writeFile(fileOf('bob'), String(bob.cert));
    const { port, server } = await serve({ trust: { folder: scratch } });
    const sockets: TLSSocket[] = [];
    server.on('secureConnection', (socket) => sockets.push(socket));
    const [ofAda, ofBob] = [keepAlive(), keepAlive()];
    await get(port, ada, ofAda);
    await get(port, bob, ofBob);
    await rm(fileOf('bob'));
    await until(
      () => sockets.filter(({ destroyed }) => destroyed).length,
      (count) => count > 0,
    );
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true]);
    expect(await get(port, ada, ofAda)).toBe('ada');
    await expect(get(port, bob, ofBob)).rejects.toThrow();
  });

  it('cuts it also while the certificate of the server is broken', async () => {
    await writeFile(fileOf('ada'), String(ada.cert));
    const files = await copyOf(pki.server);
    const trusted = await mkdtemp(join(scratch, 'trusted-'));
    await writeFile(join(trusted, 'bob.pem'), String(bob.cert));
    await writeFile(join(trusted, 'ada.pem'), String(ada.cert));
    const { port } = await serve({ ...files, trust: { folder: trusted } });
    const agent = keepAlive();
    await get(port, bob, agent);
    await writeFile(files.certificate, 'broken');
    await rm(join(trusted, 'bob.pem'));
    await until(
      () => get(port, bob, agent).catch(orError),
      (answer) => answer !== 'bob',
    );
    await expect(get(port, bob)).rejects.toThrow();
    expect(await get(port, ada)).toBe('ada');
  });
});

describe.each(versions)('a session that is resumed, over %s', (version) => {
  const only = { minVersion: version, maxVersion: version };

  /** Connects, asks once, and keeps the session. */
  async function visit(port: number, options: ConnectionOptions) {
    const socket = connect({ host: '127.0.0.1', port, ca, ...only, ...options });
    clients.push(socket);
    let session: Buffer | undefined;
    socket.on('session', (latest: Buffer) => {
      session = latest;
    });
    let answer = '';
    socket.setEncoding('utf8').on('data', (part: string) => (answer += part));
    let isReused: boolean | undefined;
    socket.once('secureConnect', () => (isReused = socket.isSessionReused()));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await closing(socket);
    return { session, isReused, caller: answer.split('\r\n\r\n')[1] ?? '' };
  }

  it('is that of the certificate it began with, whatever the client has now', async () => {
    const { port } = await serve();
    const { session } = await visit(port, ada);
    for (const client of [ada, bob, stranger, {}]) {
      const visited = await visit(port, { ...client, session });
      expect(visited).toMatchObject({ isReused: true, caller: 'ada' });
    }
  });

  it('does not outlive the trust', async () => {
    const file = join(scratch, 'ada.pem');
    await writeFile(file, String(ada.cert));
    await writeFile(join(scratch, 'bob.pem'), String(bob.cert));
    const { port, reached } = await serve({ trust: { folder: scratch } });
    const { session } = await visit(port, ada);
    await rm(file);
    await until(
      () => get(port, ada).catch(orError),
      (answer) => answer !== 'ada',
    );
    const before = reached.length;
    for (const client of [ada, {}]) expect((await visit(port, { ...client, session })).caller).toBe('');
    expect(reached.length).toBe(before);
  });

  it('of another server, which trusts others, opens none', async () => {
    const pin = (client: ConnectionOptions) => new X509Certificate(String(client.cert)).fingerprint256;
    const one = await serve({ trust: { fingerprints: [pin(ada)] } });
    const other = await serve({ trust: { fingerprints: [pin(bob)] } });
    const { session } = await visit(one.port, ada);
    expect(session).toBeDefined();
    expect((await visit(other.port, { session })).caller).toBe('');
    expect(await visit(other.port, { ...bob, session })).toMatchObject({ isReused: false, caller: 'bob' });
  });

  it('of a server that lets everybody in opens none that does not', async () => {
    const open = await serve({ clientCertificate: 'optional' });
    const closed = await serve();
    const { session } = await visit(open.port, {});
    expect(session).toBeDefined();
    expect((await visit(closed.port, { session })).caller).toBe('');
    expect(await visit(closed.port, { ...ada, session })).toMatchObject({ isReused: false, caller: 'ada' });
  });

  it('is refused where another server of the process shares its ticket keys, and trusts nobody of it', async () => {
    const open = await serve({ clientCertificate: 'optional' });
    const closed = await serve();
    closed.server.setTicketKeys(open.server.getTicketKeys());
    for (const client of [stranger, {}]) {
      const { session } = await visit(open.port, client);
      expect((await visit(closed.port, { session })).caller).toBe('');
    }
    expect(closed.reached).toEqual([]);
  });

  it('is not resumed once the trust was changed', async () => {
    await writeFile(join(scratch, 'ada.pem'), String(ada.cert));
    const { port } = await serve({ trust: { folder: scratch } });
    const { session } = await visit(port, ada);
    await writeFile(join(scratch, 'bob.pem'), String(bob.cert));
    // The trust may be followed before the sessions are.
    await until(
      async () => (await visit(port, { ...ada, session })).isReused,
      (isReused) => !isReused,
    );
  });
});

describe('a connection that is refused', () => {
  const fingerprintOf = (client: ConnectionOptions) =>
    new X509Certificate(String(client.cert)).fingerprint256.replaceAll(':', '').toLowerCase();

  /** Serves, and collects what is told. */
  async function observe(options: Partial<ServeMutualTlsOptions> = {}) {
    const told: RefusedConnectionEvent[] = [];
    const running = await serve({ onRefusedConnection: (event) => told.push(event), ...options });
    const next = async () => {
      await until(
        () => told.length,
        (count) => count > 0,
      );
      expect(told).toHaveLength(1);
      return told[0];
    };
    return { ...running, told, next };
  }

  const pinned = () => ({ trust: { fingerprints: [fingerprintOf(ada)] } });
  const event = (what: Partial<RefusedConnectionEvent>) => ({
    time: expect.any(Number) as number,
    remoteAddress: '127.0.0.1',
    fingerprint256: undefined,
    ...what,
  });

  describe.each(versions)('over %s', (version) => {
    const only = { minVersion: version, maxVersion: version };

    it('by the handshake, for want of a certificate, is told', async () => {
      const { port, next } = await observe();
      await expect(get(port, only)).rejects.toThrow();
      expect(await next()).toEqual(event({ reason: 'missing', detail: 'The client has no certificate.' }));
    });

    it('by the handshake, with a certificate of an unknown authority, is told', async () => {
      const { port, next } = await observe();
      await expect(get(port, { ...stranger, ...only })).rejects.toThrow();
      expect(await next()).toEqual(
        event({
          reason: 'invalid',
          detail: expect.stringMatching(
            /^The TLS layer did not accept the certificate: [A-Z_]+\.$/,
          ) as string,
        }),
      );
    });

    it('after the handshake, for want of a certificate, is told', async () => {
      const { port, next } = await observe(pinned());
      await expect(get(port, only)).rejects.toThrow();
      expect(await next()).toEqual(event({ reason: 'missing', detail: 'The client has no certificate.' }));
    });

    it('after the handshake, with a certificate that is not trusted, is told', async () => {
      const { port, next } = await observe(pinned());
      await expect(get(port, { ...bob, ...only })).rejects.toThrow();
      expect(await next()).toEqual(
        event({
          reason: 'invalid',
          detail: 'No trusted authority issued it.',
          fingerprint256: fingerprintOf(bob),
        }),
      );
    });
  });

  it('because its client cannot be judged is told', async () => {
    const trust: CertificateTrust = {
      ...certificateTrust({ folder: pki.knownClients }),
      verify: () => Promise.reject(new VerifierUnavailable('A revocation list has ended.')),
    };
    const { port, next } = await observe({ trust });
    await expect(get(port, ada)).rejects.toThrow();
    expect(await next()).toEqual(
      event({
        reason: 'unavailable',
        detail: 'VerifierUnavailable: A revocation list has ended.',
        fingerprint256: fingerprintOf(ada),
      }),
    );
  });

  it('because its client is trusted no more is told, once', async () => {
    await writeFile(join(scratch, 'ada.pem'), String(ada.cert));
    await writeFile(join(scratch, 'bob.pem'), String(bob.cert));
    const { port, next } = await observe({ trust: { folder: scratch } });
    await get(port, ada, keepAlive());
    await get(port, bob, keepAlive());
    await rm(join(scratch, 'bob.pem'));
    expect(await next()).toMatchObject({ reason: 'invalid', fingerprint256: fingerprintOf(bob) });
  });

  it.each(['required', 'optional'] as const)(
    'because the handshake failed is told, with a certificate that is %s',
    async (clientCertificate) => {
      const { port, next } = await observe({ clientCertificate });
      const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      await expect(get(port, { ...ada, ...old })).rejects.toThrow();
      expect(await next()).toEqual(
        event({
          reason: 'handshake_failed',
          detail: 'The TLS handshake failed: ERR_SSL_UNSUPPORTED_PROTOCOL.',
        }),
      );
    },
  );

  it('because the handshake does not go on is told', async () => {
    const { port, next } = await observe({ handshakeTimeout: 100 });
    const socket = connectTcp({ host: '127.0.0.1', port });
    clients.push(socket);
    socket.resume();
    await closing(socket);
    expect(await next()).toEqual(
      event({
        reason: 'handshake_failed',
        detail: 'The TLS handshake failed: ERR_TLS_HANDSHAKE_TIMEOUT.',
      }),
    );
  });

  it('is told on the channel as well, which needs no hook', async () => {
    const published: unknown[] = [];
    const subscriber = (message: unknown) => published.push(message);
    diagnosticsChannel.subscribe(REFUSED_CONNECTION_CHANNEL, subscriber);
    try {
      const { port, next } = await observe();
      await expect(get(port, stranger)).rejects.toThrow();
      expect([await next()]).toEqual(published);
      expect(Object.isFrozen(published[0])).toBe(true);
      const hookless = await serve();
      await expect(get(hookless.port, stranger)).rejects.toThrow();
      await until(
        () => published.length,
        (count) => count > 1,
      );
      expect(published[1]).toMatchObject({ reason: 'invalid', remoteAddress: '127.0.0.1' });
    } finally {
      diagnosticsChannel.unsubscribe(REFUSED_CONNECTION_CHANNEL, subscriber);
    }
  });

  it('is the only one that is told', async () => {
    const { port, told } = await observe(pinned());
    expect(await get(port, ada)).toBe('ada');
    expect(told).toEqual([]);
  });

  it('makes no event when nobody listens: no address is asked for', async () => {
    const { server, port } = await serve();
    const asked = vi.fn(() => '127.0.0.1');
    server.prependListener('connection', (socket: Socket) => {
      Object.defineProperty(socket, 'remoteAddress', { get: asked });
    });
    const failed = once(server, 'tlsClientError');
    await expect(get(port, stranger)).rejects.toThrow();
    await failed;
    expect(asked).not.toHaveBeenCalled();
  });

  it.each<[how: string, hook: () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('disk full');
      },
    ],
    ['rejects', () => Promise.reject(new Error('disk full'))],
  ])('is refused also when the hook %s, which is warned of', async (_how, hook) => {
    for (const options of [{}, pinned()]) {
      warn.mockClear();
      const { port, reached } = await serve({ ...options, onRefusedConnection: hook });
      await expect(get(port, stranger)).rejects.toThrow();
      await until(
        () => warn.mock.calls.length,
        (count) => count > 0,
      );
      expect(warn).toHaveBeenCalledExactlyOnceWith('onRefusedConnection threw: disk full', {
        code: 'A2A_AUTH_ON_REFUSED_CONNECTION',
      });
      expect(await get(port, ada)).toBe('ada');
      expect(reached).toEqual(['ada']);
    }
  });
});

describe('close()', () => {
  it('lets a request that runs come to its end, and takes no other', async () => {
    const arrivals = new EventEmitter();
    const { port, close } = await serve({}, (_req, res) => arrivals.emit('request', res));
    const agent = keepAlive();
    const answer = get(port, ada, agent);
    const [response] = (await once(arrivals, 'request')) as [ServerResponse];
    const closed = close();
    await expect(get(port, ada)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    response.end('done');
    expect(await answer).toBe('done');
    agent.destroy();
    await closed;
  });

  it('cuts what is left when its patience is over: requests, and handshakes that do not go on', async () => {
    const { port, close, reached } = await serve({}, () => undefined);
    const answer = get(port, ada).catch(orError);
    const silent = connectTcp({ host: '127.0.0.1', port });
    clients.push(silent);
    silent.on('error', () => undefined);
    await once(silent, 'connect');
    await until(
      () => reached.length,
      (count) => count === 1,
    );
    await close(10);
    expect(await answer).toBe('ECONNRESET');
    await close(10);
  });
});

describe('options that are wrong', () => {
  const start = (options: Partial<ServeMutualTlsOptions>) => serve(options);

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'a certificate that is not there',
      () => start({ certificate: '/no/such/file' }),
      /certificate \/no\/such\/file cannot be read \(ENOENT\)/,
    ],
    ['a key that is not there', () => start({ key: '/no/such/file' }), /key \/no\/such\/file cannot be read/],
    [
      'a key of another certificate',
      () => start({ key: foreign.server.key }),
      /is not that of the certificate/,
    ],
    [
      'a certificate that is none',
      () => start({ certificate: pki.server.key }),
      /certificate .* is not in PEM/,
    ],
    [
      'PEM in the place of a path',
      () => readFile(pki.server.key, 'utf8').then((key) => start({ key })),
      /must be the path/,
    ],
    [
      'clientCertificate',
      () => start({ clientCertificate: 'maybe' as 'optional' }),
      /'required' or 'optional'/,
    ],
    ['handshakeTimeout', () => start({ handshakeTimeout: 0 }), /handshakeTimeout/],
    ['no trust', () => start({ trust: undefined as never }), /trust/],
    [
      'onRefusedConnection',
      () => start({ onRefusedConnection: true as never }),
      /onRefusedConnection must be a function/,
    ],
  ])('are told: %s', async (_what, act, told) => {
    const error: unknown = await act().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringMatching(told) as string });
    expect(String(error)).not.toContain('PRIVATE KEY');
  });

  it('a port that is taken is told as Node tells it', async () => {
    const { port } = await serve();
    await expect(serve({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

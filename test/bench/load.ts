import type { ConnectionOptions } from 'node:tls';

import autocannon, { type Client, type Options, type Result } from 'autocannon';

import { AGENT_PATH, CONNECTIONS } from './settings.js';

const body = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'SendMessage',
  params: { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Hello?' }] } },
});

export interface LoadResult {
  /** From the first request to the last response. */
  readonly requestsPerSecond: number;
  /** Milliseconds for each request but the first of each connection, which waits for the connection too. */
  readonly latencies: readonly number[];
  /** Requests that got another answer than the agent's. */
  readonly refused: number;
}

/**
 * Sends requests over kept-alive connections, each of which sends the next one upon the answer.
 *
 * @param headers called for each request
 * @param tls with a client certificate, for HTTPS
 * @throws {Error} unless every one of them was answered
 */
export async function load(
  port: number,
  requests: number,
  headers: () => Readonly<Record<string, string>>,
  tls?: ConnectionOptions,
): Promise<LoadResult> {
  const startedAt = performance.now();
  let endedAt = startedAt;
  let answered = 0;
  const connected = new Set<Client>();
  const latencies: number[] = [];
  const options: Options = {
    url: `${tls === undefined ? 'http' : 'https'}://localhost:${String(port)}${AGENT_PATH}`,
    ...(tls === undefined ? {} : { tlsOptions: tls }),
    method: 'POST',
    connections: CONNECTIONS,
    amount: requests,
    // How often autocannon looks whether it is done.
    sampleInt: 10,
    requests: [
      {
        body,
        setupRequest: (request) => ({
          ...request,
          headers: { 'content-type': 'application/json', 'a2a-version': '1.0', ...headers() },
        }),
      },
    ],
    verifyBody: (answer) => String(answer).includes('"text":"Hello."'),
  };
  // A refusal may be an answer with status 200: the auth-required task.
  const { errors, mismatches } = await new Promise<Result>((resolve, reject) => {
    autocannon(options, (error: unknown, result) => {
      if (error instanceof Error) reject(error);
      else resolve(result);
    }).on('response', (client, _status, _bytes, milliseconds) => {
      answered++;
      endedAt = performance.now();
      if (connected.has(client)) latencies.push(milliseconds);
      else connected.add(client);
    });
  });
  if (answered !== requests || errors > 0) {
    throw new Error(
      `${String(answered)} of ${String(requests)} requests were answered, and ${String(errors)} failed.`,
    );
  }
  return { requestsPerSecond: (requests / (endedAt - startedAt)) * 1000, latencies, refused: mismatches };
}

import autocannon, { type Options, type Result } from 'autocannon';

import { AGENT_PATH } from './settings.js';

const CONNECTIONS = 10;

const body = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'SendMessage',
  params: { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Hello?' }] } },
});

/**
 * Sends requests over kept-alive connections.
 *
 * @param headers called for each request
 * @returns requests per second, from the first request to the last response
 * @throws {Error} unless the agent answered every one of them
 */
export async function load(
  port: number,
  requests: number,
  headers: () => Readonly<Record<string, string>>,
): Promise<number> {
  const startedAt = performance.now();
  let endedAt = startedAt;
  let answered = 0;
  const options: Options = {
    url: `http://127.0.0.1:${String(port)}${AGENT_PATH}`,
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
  const { errors, non2xx, mismatches } = await new Promise<Result>((resolve, reject) => {
    autocannon(options, (error: unknown, result) => {
      if (error instanceof Error) reject(error);
      else resolve(result);
    }).on('response', () => {
      answered++;
      endedAt = performance.now();
    });
  });
  if (answered !== requests || errors + non2xx + mismatches > 0) {
    throw new Error(
      `${String(answered)} of ${String(requests)} requests were answered, ${String(errors)} failed, ${String(non2xx)} were refused, ${String(mismatches)} got another answer.`,
    );
  }
  return (requests / (endedAt - startedAt)) * 1000;
}

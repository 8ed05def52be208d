import { connect } from 'node:net';

export interface RawRequest {
  readonly method: string;
  /** The request target as it is to be sent. */
  readonly target: string;
  /** Sent byte for byte (Latin-1), repeated ones too. Host, Connection and Content-Length come by themselves. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
}

export interface RawResponse {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Longer than anything but a hang takes. */
const PATIENCE_MS = 20_000;

/**
 * Sends a request that no well-behaved client would send, and reads its answer to the end.
 *
 * @throws when the server does not answer, or does not come to an end
 */
export function exchange(port: number, request: RawRequest): Promise<RawResponse> {
  const { method, target, headers = [], body } = request;
  const payload = body === undefined ? undefined : Buffer.from(body);
  const fields = [
    ['Host', `127.0.0.1:${String(port)}`],
    ['Connection', 'close'],
    ...headers,
    ...(payload === undefined ? [] : [['Content-Length', String(payload.length)]]),
  ];
  const head = [`${method} ${target} HTTP/1.1`, ...fields.map((field) => field.join(': ')), '', ''].join(
    '\r\n',
  );

  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1' });
    let failure: Error | undefined;
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('The server does not come to an end.')));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      // A stream of the SDK insists on keeping the connection alive.
      if (isWhole(Buffer.concat(chunks), method)) socket.destroy();
    });
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      const { head: answer, body: content } = split(Buffer.concat(chunks));
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1];
      if (status === undefined) {
        reject(failure ?? new Error(`The server closed the connection without an answer to: ${head}`));
        return;
      }
      resolve({ status: Number(status), head: answer, body: content.toString() });
    });
    socket.write(head, 'latin1');
    if (payload !== undefined) socket.write(payload);
  });
}

function split(answer: Buffer): { head: string; body: Buffer } {
  const end = answer.indexOf('\r\n\r\n');
  return end === -1
    ? { head: '', body: Buffer.alloc(0) }
    : { head: answer.subarray(0, end).toString('latin1'), body: answer.subarray(end + 4) };
}

/** Whether an answer has all that its head promises (RFC 9112 §6.3). */
function isWhole(answer: Buffer, method: string): boolean {
  const { head, body } = split(answer);
  if (head === '') return false;
  if (method === 'HEAD' || /^HTTP\/1\.1 (204|304) /.test(head)) return true;
  if (/\r\ntransfer-encoding: chunked/i.test(head)) return body.subarray(-5).equals(Buffer.from('0\r\n\r\n'));
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  return length !== undefined && body.length >= Number(length);
}

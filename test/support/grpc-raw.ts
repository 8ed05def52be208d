import { connect } from 'node:net';

type Field = readonly [name: string, value: string];

/**
 * Sends a gRPC call that no well-behaved client would send: every field byte for byte, repeated ones too. What comes back is
 * for the server to tell.
 *
 * @returns a function that ends the connection
 */
export function sendRaw(
  port: number,
  path: string,
  fields: readonly Field[],
  message: Uint8Array = new Uint8Array(),
): () => void {
  const head: readonly Field[] = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', `127.0.0.1:${String(port)}`],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ...fields,
  ];
  const length = Buffer.alloc(5);
  length.writeUInt32BE(message.length, 1);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(SETTINGS, 0, 0, Buffer.alloc(0)),
      frame(HEADERS, END_HEADERS, 1, Buffer.concat(head.map(literal))),
      frame(DATA, END_STREAM, 1, Buffer.concat([length, message])),
    ]),
  );
  return () => {
    socket.destroy();
  };
}

// RFC 9113 §6
const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const END_STREAM = 1;
const END_HEADERS = 4;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A literal header field without indexing, with a new name (RFC 7541 §6.2.2). */
function literal([name, value]: Field): Buffer {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

/** RFC 7541 §5.2, of less than 127 bytes. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

/** The blocks of PEM texts (RFC 7468). What is around them is left alone, as bundles have comments there. */
interface PemBlock {
  readonly label: string;
  readonly der: Buffer;
}

const BEGIN = '-----BEGIN ';
const DASHES = '-----';
const MAX_BLOCKS = 500;

/**
 * Reads all blocks of a text.
 *
 * @throws {TypeError} when a block is cut off or is no base64, or there are too many. The message may be logged.
 */
export function readPem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (let start = text.indexOf(BEGIN); start !== -1; start = text.indexOf(BEGIN, start)) {
    if (blocks.length === MAX_BLOCKS) throw new TypeError(`It has more than ${MAX_BLOCKS} PEM blocks.`);
    const label = text.slice(start + BEGIN.length, text.indexOf(DASHES, start + BEGIN.length));
    const end = `-----END ${label}-----`;
    const from = start + BEGIN.length + label.length + DASHES.length;
    const to = text.indexOf(end, from);
    if (!/^[A-Z0-9 ]{1,64}$/.test(label) || to === -1) throw new TypeError('A PEM block is cut off.');
    blocks.push({ label, der: decode(text.slice(from, to)) });
    start = to + end.length;
  }
  return blocks;
}

function decode(body: string): Buffer {
  const base64 = body.replace(/[\r\n\t ]/g, '');
  const der = Buffer.from(base64, 'base64');
  if (der.length === 0 || der.toString('base64') !== base64) throw new TypeError('A PEM block is no base64.');
  return der;
}

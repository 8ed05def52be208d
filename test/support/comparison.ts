import { expect } from 'vitest';

/** What the transport adds, or what differs from one run to the next. */
const transport = new Set([
  'connection',
  'content-length',
  'date',
  'etag',
  'keep-alive',
  'transfer-encoding',
  'x-powered-by',
]);

/** A response without what may differ between two servers: made-up ids, times, and headers of the transport. */
export async function comparable(response: Response) {
  const headers = [...response.headers]
    .filter(([name]) => !transport.has(name))
    // Express names the one charset that JSON has.
    .map(([name, value]) => [name, value.replace(/; charset=utf-8$/, '')]);
  const text = (await response.text())
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
    .replace(/http:\/\/[^/"]*/g, '<origin>');
  return { status: response.status, headers: Object.fromEntries(headers) as object, body: parsed(text) };
}

/** The order of fields does not matter, that of events does. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text.split('\n').map((line) => {
      const json = /^data: (.*)$/.exec(line)?.[1];
      return json === undefined ? line : { data: JSON.parse(json) as unknown };
    });
  }
}

export async function expectSame(actual: Response, expected: Response): Promise<void> {
  expect(await comparable(actual)).toEqual(await comparable(expected));
}

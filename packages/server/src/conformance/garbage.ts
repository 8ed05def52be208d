import type { AuthRequest } from '../auth-request.js';
import { conformanceRequest, type RequestParts } from './request.js';
import { authSchemeOf, declaredPlace, type Trial } from './trial.js';

/** What an attacker, or a broken client, may put into any place. */
const texts: Readonly<Record<string, string>> = {
  'an empty value': '',
  blanks: '   ',
  'a control character': '\u0000',
  'a line break': 'x\r\nX-Injected: yes',
  'a DEL': '\u007f',
  'a value of 64 KiB': 'a'.repeat(65_536),
  'a value of 64 KiB of blanks': ' '.repeat(65_536),
  'text that is no ASCII': 'schlüssel-鍵-🔑',
  'half a surrogate pair': '\ud800',
  'a name that every object has': 'constructor',
  'the name __proto__': '__proto__',
  'the text "undefined"': 'undefined',
  'an empty object': '{}',
  'broken percent encoding': '%E0%A4%A',
  'a list of two': 'one, two',
  'an open quote': '"',
  'padding alone': '====',
  'base64 of no Unicode': '//79/w==',
  'a colon': ':',
  'a token without a signature': 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.',
  'dots alone': '..',
};

/** Requests with garbage where this scheme looks for its credential, each with what is in it. */
export function garbageFor(trial: Trial): readonly (readonly [what: string, request: AuthRequest])[] {
  const place = declaredPlace(trial);
  const authScheme = authSchemeOf(trial);
  const put = (values: readonly string[]): RequestParts =>
    place === undefined || place.kind === 'client certificate'
      ? {
          header: { authorization: values, 'x-api-key': values },
          query: { key: values },
          cookie: { key: values },
        }
      : { [place.kind]: { [place.name]: values } };
  const singles = Object.entries(texts).flatMap(([what, text]): [string, RequestParts][] => [
    [what, put([text])],
    ...(authScheme === undefined
      ? []
      : ([[`${what} after ${authScheme}`, put([`${authScheme} ${text}`])]] satisfies [
          string,
          RequestParts,
        ][])),
  ]);
  const others: [string, RequestParts][] = [
    ['a thousand values', put(Array<string>(1000).fill('a'))],
    ['an empty certificate', { clientCertificate: { der: new Uint8Array() } }],
    ['a certificate that is none', { clientCertificate: { der: new Uint8Array(512).fill(0x30) } }],
    ['a URL that is none', { url: '::', method: '' }],
  ];
  return [...singles, ...others].map(([what, parts]) => [what, conformanceRequest(parts)]);
}

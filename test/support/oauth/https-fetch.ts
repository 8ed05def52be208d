import { request } from 'node:https';
import { buffer } from 'node:stream/consumers';

import type { Identity } from './certificates.js';

/**
 * A fetch that trusts one authority, and presents a client certificate where one is given. It follows no redirects, and
 * makes a new connection for every call: sessions that are resumed would hide who presents what.
 */
export function httpsFetch(ca: string, client?: Identity): typeof fetch {
  return async (input, init) => {
    const outgoing = new Request(input, init);
    const body = Buffer.from(await outgoing.arrayBuffer());
    return new Promise<Response>((resolve, reject) => {
      const call = request(
        outgoing.url,
        {
          method: outgoing.method,
          headers: {
            ...Object.fromEntries(outgoing.headers),
            ...(body.length === 0 ? {} : { 'content-length': String(body.length) }),
          },
          ca,
          agent: false,
          ...(client === undefined ? {} : { key: client.key, cert: client.cert }),
          signal: outgoing.signal,
        },
        (incoming) => {
          buffer(incoming).then((content) => {
            const headers = new Headers();
            for (const [name, values] of Object.entries(incoming.headersDistinct)) {
              for (const value of values ?? []) headers.append(name, value);
            }
            const status = incoming.statusCode ?? 0;
            resolve(new Response(content.length === 0 ? null : content, { status, headers }));
          }, reject);
        },
      );
      call.on('error', reject);
      call.end(body);
    });
  };
}

import { Agent, fetch as undiciFetch, type Dispatcher } from 'undici';

import type { TlsIdentity } from '../credential-source.js';
import { ClientError } from '../errors.js';
import { tlsIdentity, type TlsFiles } from './tls-files.js';

/**
 * A `fetch` that presents a client certificate, for servers such as those of `serveMutualTls`. TLS 1.2 or newer; the
 * server's certificate and name are checked. Plain http is refused, and so is a redirect to another origin, before
 * anything is sent there.
 *
 * @throws {ClientError} `INVALID_OPTION` when a path is missing; the fetch, when the files cannot be used, and
 *   `ADDRESS_REFUSED` for plain http and for a redirect to another origin
 */
export function mutualTlsFetch(files: TlsFiles): typeof fetch {
  return mutualTlsFetchWith(tlsIdentity('mutualTlsFetch', files));
}

export function mutualTlsFetchWith(load: () => Promise<TlsIdentity>): typeof fetch {
  let current: { identity: TlsIdentity; agent: Agent } | undefined;
  const agentFor = (identity: TlsIdentity): Agent => {
    if (current?.identity !== identity) {
      // Its calls in flight go on to their end.
      void current?.agent.close();
      current = { identity, agent: agentWith(identity) };
    }
    return current.agent;
  };
  return async (input, init) => {
    const request = input instanceof Request ? input : undefined;
    const url = new URL(request?.url ?? input);
    if (url.protocol !== 'https:') throw refused(`${url.origin} is not https.`);
    const agent = agentFor(await load());
    const { origin } = url;
    const dispatcher: Pick<Dispatcher, 'dispatch'> = {
      dispatch(options, handler) {
        const next = String(options.origin);
        if (next !== origin)
          throw refused(`${origin} redirects to ${next}, where the certificate does not go.`);
        return agent.dispatch(options, handler);
      },
    };
    try {
      const response = await undiciFetch(url, {
        ...(request === undefined ? {} : partsOf(request)),
        ...(init as object),
        dispatcher: dispatcher as Dispatcher,
      });
      return response;
    } catch (error) {
      const cause: unknown = error instanceof Error ? error.cause : undefined;
      throw cause instanceof ClientError ? cause : error;
    }
  };
}

function agentWith({ certificate, key, ca }: TlsIdentity): Agent {
  return new Agent({
    connect: {
      cert: certificate,
      key,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      ...(ca === undefined ? {} : { ca }),
    },
  });
}

/** undici's fetch takes no Request of Node's. */
function partsOf({ method, headers, body, signal, redirect }: Request): object {
  return {
    method,
    headers: [...headers],
    signal,
    redirect,
    ...(body === null ? {} : { body, duplex: 'half' }),
  };
}

function refused(message: string): ClientError {
  return new ClientError('ADDRESS_REFUSED', message);
}

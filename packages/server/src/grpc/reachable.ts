import type { SecuritySchemeDeclaration } from '../card/declaration.js';
import type { PublishedSecurity } from '../card/publish.js';
import { configurationError } from '../errors.js';

/**
 * Refuses a security that no caller could meet over gRPC. Alternatives of which one needs what has no place there are met on
 * other bindings alone.
 *
 * @throws {ConfigurationError} `UNREACHABLE_SCHEME`
 */
export function assertReachable({ schemes, requirements }: PublishedSecurity): void {
  const obstacles = requirements.map((requirement) =>
    Object.keys(requirement).flatMap((id) => {
      const declaration = schemes.get(id);
      const obstacle = declaration === undefined ? undefined : obstacleOf(declaration);
      return obstacle === undefined ? [] : [`"${id}" (${obstacle})`];
    }),
  );
  if (obstacles.length === 0 || obstacles.some((found) => found.length === 0)) return;
  const culprits = [...new Set(obstacles.flat())].join(', ');
  throw configurationError(
    'UNREACHABLE_SCHEME',
    `No caller could meet a requirement over gRPC, where there is no place for ${culprits}. Add an alternative whose credentials are in headers or in the connection, or serve this agent over HTTP alone.`,
  );
}

/** Why a gRPC call cannot carry a credential of this scheme. */
function obstacleOf(declaration: SecuritySchemeDeclaration): string | undefined {
  if (declaration.type !== 'apiKey') return undefined;
  const { in: place, name } = declaration;
  if (place !== 'header') return `an API key in a ${place === 'query' ? 'query parameter' : 'cookie'}`;
  // What gRPC takes for the name of a text; `grpc-` is its own, and `-bin` announces bytes.
  const isMetadataName = /^(?!grpc-)[0-9a-z_.-]+(?<!-bin)$/i.test(name);
  return isMetadataName ? undefined : `the header ${name}, a name that gRPC metadata cannot have`;
}

import { promisify } from 'node:util';

import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

import { report } from './agent.js';

export async function serveGrpc(
  services: readonly {
    readonly definition: ServiceDefinition;
    readonly implementation: UntypedServiceImplementation;
  }[],
): Promise<void> {
  const server = new Server();
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  const bind = promisify(server.bindAsync.bind(server));
  report(await bind('127.0.0.1:0', ServerCredentials.createInsecure()));
}

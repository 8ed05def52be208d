import { A2AService, grpcService } from '@a2a-js/sdk/server/grpc';

import { createRequestHandler, userNamed } from './agent.js';
import { serveGrpc } from './grpc-server.js';

await serveGrpc([
  {
    definition: A2AService,
    implementation: grpcService({
      requestHandler: createRequestHandler(),
      userBuilder: () => Promise.resolve(userNamed(undefined)),
    }),
  },
]);

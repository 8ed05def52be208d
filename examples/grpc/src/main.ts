import { promisify } from 'node:util';

import { AgentSecurity, apiKey, createApiKey } from '@a2a-auth/server';
import { agentServices } from '@a2a-auth/server/grpc';
import { Server, ServerCredentials } from '@grpc/grpc-js';

import { agentCard, createRequestHandler } from './agent.js';
import { ask } from './client.js';

const key = createApiKey('partner');
const security = new AgentSecurity()
  .addSecurityScheme('partnerKey', apiKey({ in: 'header', name: 'X-API-Key', keys: [{ key, owner: 'Ada' }] }))
  .addSecurityRequirement({ partnerKey: [] });

const server = new Server();
const listen = promisify(server.bindAsync.bind(server));
const port = await listen(`localhost:${process.env.PORT ?? '50051'}`, ServerCredentials.createInsecure());
const card = agentCard(`localhost:${String(port)}`);
const requestHandler = createRequestHandler(card);
for (const { definition, implementation } of agentServices({ security, requestHandler })) {
  server.addService(definition, implementation);
}
console.log(`The agent listens for gRPC at localhost:${String(port)}.`);

console.log('The official client, without credentials:');
console.log(`  ${await ask(card, {})}`);
console.log('The official client, with an API key in its metadata:');
console.log(`  ${await ask(card, { 'x-api-key': key })}`);

if (process.argv.includes('--serve')) {
  console.log(`The agent goes on until Ctrl+C. The key: ${key}`);
} else {
  server.forceShutdown();
}

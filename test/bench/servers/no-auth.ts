import { agentBehind, serve, userNamed } from './agent.js';

await serve(agentBehind([], () => userNamed(undefined)));
